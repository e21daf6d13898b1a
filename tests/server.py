"""The service as a separate process: `manage.py serve` on a free port and the tests' database."""

import json
import os
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from django.db import connection

from config.database import embedded
from config.env import Environment
from tests.processes import INHERITED, ROOT, Process

START_UP = 30.0
SHUT_DOWN = 40.0
TIMEOUT = 30.0
"""Seconds for a start, a stop and an answer, before the test fails."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def send(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request on a new connection. A body of bytes is sent as it is, others as JSON."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    sent = {} if body is None else {"Content-Type": "application/json"}
    wire = HTTPConnection(parts.netloc, timeout=TIMEOUT)
    try:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        wire.request(method, target, data, {**sent, **(headers or {})})
        response = wire.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        wire.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def database_url() -> str:
    """The URL of the tests' database, for another process."""
    config = connection.settings_dict
    if "EMBEDDED" in config:
        url = embedded.url(config["EMBEDDED"])
    else:
        url = Environment(os.environ).text("DATABASE_URL")
    return urlsplit(url)._replace(path=f"/{config['NAME']}").geturl()


def database_address() -> tuple[str, int]:
    """Where PostgreSQL listens: a host, or the folder of its socket, and a port."""
    params = connection.get_connection_params()
    return params.get("host") or "localhost", int(params.get("port") or 5432)


def connect(address: tuple[str, int]) -> socket.socket:
    """A socket that is connected to PostgreSQL at its `database_address`."""
    host, port = address
    if not host.startswith("/"):
        return socket.create_connection(address)
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{host}/.s.PGSQL.{port}")
    return server


def database_url_at(port: int) -> str:
    """The URL of the tests' database, through a proxy on this port of the loopback interface."""
    parts = urlsplit(database_url())
    netloc = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}"
    return parts._replace(netloc=netloc, query="").geturl()


class Server:
    """A running server, with the variables that production needs and those of `environment`.

    root: the release that it runs.
    url: where it answers, without a slash at the end.
    log: the file with all that it writes.
    process: the server itself, for tests that send it signals.
    """

    def __init__(self, log: Path, root: Path = ROOT, /, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self.environment = {
            **INHERITED,
            "SECRET_KEY": "a-key-of-fifty-characters-or-more-for-the-tests-only-0123456789",
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "DATABASE_URL": database_url(),
            "WEB_CONCURRENCY": "1",
            "DRAIN_SECONDS": "0",
            "PORT": str(self.port),
            **environment,
        }
        with log.open("wb") as output:
            self.process = Process(
                "serve",
                env=self.environment,
                cwd=root,
                stdout=output.fileno(),
                stderr=output.fileno(),
            )

    def __enter__(self) -> Self:
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_UP
        while not self._is_healthy():
            assert self.process.poll() is None, f"The server ended:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"No answer:\n{self.log.read_text()}"
            time.sleep(0.02)

    def _is_healthy(self) -> bool:
        try:
            return self.request("GET", "/health").status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """Ends it as a host does. The test fails if the server does not end in time."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(SHUT_DOWN)
        finally:
            self.process.kill()

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return send(method, self.url + path, body, {**bearer, **(headers or {})})
