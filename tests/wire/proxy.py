"""A TCP proxy in front of PostgreSQL that records the messages of both sides."""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Lock, Thread
from typing import Self

from tests.server import connect, database_address, database_url_at

FRONTEND = "frontend"
BACKEND = "backend"
SSL_REQUEST = 80877103
UNTYPED = {SSL_REQUEST: "SSLRequest", 196608: "StartupMessage", 196610: "StartupMessage"}
"""The first messages of a client have a code instead of a type (PostgreSQL, section 54.7)."""
MIN_BYTES = {True: 5, False: 8}
"""The size of the shortest message, with a type and without."""


@dataclass(frozen=True)
class Message:
    """One message of the protocol. Its kind is its letter, or its name if it has no letter."""

    connection: int
    side: str
    kind: str


class Messages:
    """Splits what one side sends into messages, and yields the kind of each complete one."""

    def __init__(self, *, typed: bool) -> None:
        self.typed = typed
        self.unread = b""

    def feed(self, chunk: bytes) -> Iterator[str]:
        self.unread += chunk
        while len(self.unread) >= MIN_BYTES[self.typed]:
            kind, length = self._head()
            if len(self.unread) < length:
                return
            self.unread = self.unread[length:]
            yield kind

    def _head(self) -> tuple[str, int]:
        if self.typed:
            return chr(self.unread[0]), 1 + int(struct.unpack_from("!i", self.unread, 1)[0])
        length, code = struct.unpack_from("!ii", self.unread)
        self.typed = UNTYPED[code] == "StartupMessage"
        return UNTYPED[code], int(length)


class Proxy:
    """Listens on the loopback interface, and passes everything on to the database of the tests.

    url: a DATABASE_URL that leads through it.
    messages: the messages of all connections, in the order of their arrival.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.connections = 0
        self.database = database_address()
        self._lock = Lock()
        proxy = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                proxy.carry(self.request)

        self._listener = ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._listener.daemon_threads = True
        self.url = database_url_at(self._listener.server_address[1])

    def __enter__(self) -> Self:
        Thread(target=self._listener.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._listener.server_close()

    def carry(self, client: socket.socket) -> None:
        server = connect(self.database)
        with self._lock:
            self.connections += 1
            connection = self.connections
        with client, server:
            back = Thread(target=self._pass_on, args=[connection, BACKEND, server, client])
            back.start()
            self._pass_on(connection, FRONTEND, client, server)
            back.join()

    def _pass_on(
        self, connection: int, side: str, source: socket.socket, target: socket.socket
    ) -> None:
        messages = Messages(typed=side == BACKEND)
        may_be_refusal = side == BACKEND
        with suppress(OSError):
            while chunk := source.recv(65536):
                # The answer to an SSLRequest is a single letter: N without TLS.
                if may_be_refusal and chunk == b"N":
                    self._record(connection, side, "N")
                else:
                    for kind in messages.feed(chunk):
                        self._record(connection, side, kind)
                may_be_refusal = False
                target.sendall(chunk)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _record(self, connection: int, side: str, kind: str) -> None:
        with self._lock:
            self.messages.append(Message(connection, side, kind))


def waits(messages: list[Message]) -> int:
    """How often a client had to wait for an answer before it could continue."""
    return sum(
        side == BACKEND
        for connection in {message.connection for message in messages}
        for side, _ in groupby(
            message.side for message in messages if message.connection == connection
        )
    )


def sent(messages: list[Message]) -> str:
    """The kinds of the messages of the client: letters, and names in brackets."""
    return "".join(
        message.kind if len(message.kind) == 1 else f"<{message.kind}>"
        for message in messages
        if message.side == FRONTEND
    )
