"""A proxy in front of the service that loses answers, as a phone in a lift does."""

import re
from contextlib import suppress
from random import Random
from select import select
from socket import create_connection, socket
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Lock, Thread
from typing import Self

CHUNK = 65536


class LossyProxy:
    """Listens on the loopback interface, and passes everything on to the service at `port`.

    An answer is lost with its connection: sometimes all of it, sometimes only its end. The
    request has reached the service, which has done what it says.
    The answer to a preflight is never lost, because the request itself would not follow.

    loses: the share of answers that are lost, from 0 to 1.
    cuts: whether the beginning of some of them arrives.
    seed: of the random numbers that decide it.
    without: the name of a header that is taken from every request.
    url: where it answers. answers, lost: how many answers came, and how many of them were lost.
    received, sent: the bytes of answers and of requests, with their headers.
    """

    def __init__(
        self,
        port: int,
        *,
        loses: float = 0.0,
        cuts: bool = True,
        seed: object = 0,
        without: str | None = None,
    ) -> None:
        self.loses = loses
        self.cuts = cuts
        self.answers = self.lost = self.received = self.sent = 0
        self._service = ("127.0.0.1", port)
        self._random = Random(str(seed))
        self._unwanted = re.compile(rb"(?i)\r\n%b:[^\r]*" % without.encode()) if without else None
        self._lock = Lock()
        proxy = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError), create_connection(proxy._service) as service:
                    proxy.carry(self.request, service)

        self._listener = ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._listener.daemon_threads = True
        self.port: int = self._listener.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        Thread(target=self._listener.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._listener.server_close()

    def carry(self, client: socket, service: socket) -> None:
        """Until one of them hangs up, or an answer is lost."""
        is_waiting = False
        while True:
            ready, _, _ = select([client, service], [], [])
            if client in ready:
                request = client.recv(CHUNK)
                if not request:
                    return
                service.sendall(self._passed_on(request))
                is_waiting = not request.startswith(b"OPTIONS ")
            if service in ready:
                answer = service.recv(CHUNK)
                if not answer:
                    return
                kept = self._kept(answer) if is_waiting else len(answer)
                is_waiting = False
                client.sendall(answer[:kept])
                with self._lock:
                    self.received += kept
                if kept < len(answer):
                    return

    def _passed_on(self, request: bytes) -> bytes:
        with self._lock:
            self.sent += len(request)
        return self._unwanted.sub(b"", request) if self._unwanted else request

    def _kept(self, answer: bytes) -> int:
        """How many bytes of the beginning of an answer reach the client."""
        with self._lock:
            self.answers += 1
            if self._random.random() >= self.loses:
                return len(answer)
            self.lost += 1
            return self._random.choice([0, len(answer) - 1]) if self.cuts else 0
