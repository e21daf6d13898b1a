"""A PostgreSQL that a test can stop, freeze and lock, behind a network that it can break."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Thread
from typing import Any, Self
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
import psycopg

from tests.cluster import Cluster, version_of_the_tests
from tests.processes import manage

MAX_CONNECTIONS = 20
READY = b"Z\0\0\0\5I"
"""The end of PostgreSQL's answers: it is ready for a statement, and not in a transaction."""

END_BACKENDS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'tasks'"
)
RUNNING = "SELECT pid FROM pg_stat_activity WHERE pid = ANY (%s)"


def children(parent: int) -> list[int]:
    with suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(parent).children()]
    return []


@contextmanager
def frozen(cluster: Cluster) -> Iterator[None]:
    """Stops every process of the server: connections stay open, but get no answers."""
    postmaster = int((cluster.folder / "data/postmaster.pid").read_text().split()[0])
    stopped = [postmaster]
    try:
        # First the postmaster, which starts the others.
        os.kill(postmaster, signal.SIGSTOP)
        stopped += children(postmaster)
        for pid in stopped[1:]:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


class Postgres:
    """A separate server, of the version of the other tests, behind the network `wire`."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.query(f"ALTER SYSTEM SET max_connections = {MAX_CONNECTIONS}")
        self.stop()
        self.start()
        self.wire = Wire(f"{cluster.folder}/.s.PGSQL.{cluster.port}")
        parts = urlsplit(cluster.url)
        netloc = f"{parts.username}:{parts.password}@127.0.0.1:{self.wire.port}"
        self.url = parts._replace(netloc=netloc).geturl()

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        with Cluster.running(version_of_the_tests()) as cluster:
            postgres = cls(cluster)
            try:
                yield postgres
            finally:
                postgres.wire.close()

    def migrate(self, environment: dict[str, str]) -> None:
        manage("migrate", env=environment).check_returncode()

    def query(self, sql: str) -> list[Any]:
        return self.cluster.execute(sql)

    def tasks(self) -> list[Any]:
        return self.query("SELECT id, title, description FROM tasks_task WHERE deleted_at IS NULL")

    def stop(self) -> None:
        self.cluster.control("stop", "-m", "immediate")

    def start(self) -> None:
        self.cluster.control("start", "-l", self.cluster.folder / "log")

    @contextmanager
    def away(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        with frozen(self.cluster):
            yield

    @contextmanager
    def locked(self) -> Iterator[None]:
        with psycopg.connect(self.cluster.url) as other:
            other.execute("LOCK TABLE tasks_task IN ACCESS EXCLUSIVE MODE")
            yield

    @contextmanager
    def exhausted(self) -> Iterator[None]:
        """Other clients hold every connection, and the service's are closed."""
        others = [psycopg.connect(self.cluster.url, autocommit=True)]
        try:
            # A connection that the service was opening meanwhile is ended as well.
            while others[0].execute(END_BACKENDS).fetchall() or len(others) < MAX_CONNECTIONS:
                with suppress(psycopg.OperationalError):
                    while len(others) < MAX_CONNECTIONS:
                        others.append(psycopg.connect(self.cluster.url))
            yield
        finally:
            pids = [other.info.backend_pid for other in others[1:]]
            for other in others[1:]:
                other.close()
            # PostgreSQL counts a connection until its process has ended.
            while others[0].execute(RUNNING, [pids]).fetchall():
                time.sleep(0.01)
            others[0].close()

    def end_backends(self) -> int:
        """Ends the connections of the service, waits for that, and returns their number."""
        return len(self.query(END_BACKENDS))


class Wire:
    """A TCP port in front of a Unix socket.

    delay: seconds until a new connection is passed on.
    loses_an_answer: if true, the next answer to a statement is lost, together with its connection.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.delay = 0.0
        self.breaks = 0
        self.broken = False
        self.loses_an_answer = False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self.listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    @contextmanager
    def swallowing(self) -> Iterator[None]:
        """Accepts and acknowledges everything, but drops it instead of passing it on."""
        self.breaks += 1
        self.broken = True
        try:
            yield
        finally:
            self.broken = False

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        born = -1 if self.broken else self.breaks
        with (
            suppress(OSError),
            closing(client),
            closing(socket.socket(socket.AF_UNIX)) as server,
        ):
            time.sleep(self.delay)
            server.connect(self.target)
            back = Thread(target=self._pump, args=(server, client, born), daemon=True)
            back.start()
            self._pump(client, server, born)
            back.join()

    def _pump(self, source: socket.socket, sink: socket.socket, born: int) -> None:
        ready = False
        with suppress(OSError):
            while data := source.recv(65536):
                if ready and self.loses_an_answer:
                    self.loses_an_answer = False
                    break
                if born == self.breaks:
                    sink.sendall(data)
                ready = ready or data.endswith(READY)
        # Through a broken network, a client does not notice that the server has closed.
        if sink.family == socket.AF_UNIX or born == self.breaks:
            with suppress(OSError):
                sink.shutdown(socket.SHUT_RDWR)
