"""Request bodies: how long one may take, and how many may be on their way at once.

granian hands a request to a thread when its headers are there, and the thread then blocks until the
body is. No timeout interrupts that (granian declined one: its issue 728), and reading in another
thread would cost each request 50 µs. So a watchdog answers in the place of a thread that has waited
too long. That thread is free again when its client ends, and until then it counts as a body on its
way; so slow clients never hold more than MAX_BODIES of the threads.
"""

import io
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Any, Literal

from django.conf import settings

from config.server.account import account

BODY_TIMEOUT = 10.0
MAX_BODIES = 128
MAX_DISCARDED = 16 * 1024 * 1024
CHUNK = 64 * 1024
INTERVAL = 0.25
"""Seconds between two looks of the watchdog."""

REFUSAL = "tasks.body"
"""Where the environment of a request says that its body was refused, and why."""
Refusal = Literal["late", "too many"]
Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]


@dataclass
class Arriving:
    environ: Environ
    since: float
    is_answered: bool = False


class Bodies:
    """Reads bodies for `application`, and answers for it where one does not come in time."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._arriving: dict[int, Arriving] = {}
        self._watchdog: threading.Thread | None = None

    def receive(self, environ: Environ) -> bool:
        """Puts the whole body into the environment. False where the watchdog has answered."""
        thread, arriving = threading.get_ident(), Arriving(environ, perf_counter())
        if not self._begin(thread, arriving):
            environ |= refused("too many")
            return True
        try:
            body = read(environ)
        finally:
            self._end(thread)
            account.waited("body", perf_counter() - arriving.since)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return not arriving.is_answered

    def _begin(self, thread: int, arriving: Arriving) -> bool:
        with self._lock:
            if len(self._arriving) >= MAX_BODIES:
                return False
            self._arriving[thread] = arriving
            if self._watchdog is None:
                self._watchdog = threading.Thread(target=self._watch, name="bodies", daemon=True)
                self._watchdog.start()
            return True

    def _end(self, thread: int) -> None:
        with self._lock:
            del self._arriving[thread]

    def _watch(self) -> None:
        while True:
            sleep(INTERVAL)
            for thread, arriving in self._late():
                self._answer(thread, arriving)

    def _late(self) -> list[tuple[int, Arriving]]:
        now = perf_counter()
        with self._lock:
            late = [
                (thread, arriving)
                for thread, arriving in self._arriving.items()
                if not arriving.is_answered and now - arriving.since > BODY_TIMEOUT
            ]
            for _, arriving in late:
                arriving.is_answered = True
        return late

    def _answer(self, thread: int, arriving: Arriving) -> None:
        answer: list[Any] = []
        account.begin()
        account.arrived = arriving.since
        account.waited("body", perf_counter() - arriving.since)
        environ = {**arriving.environ, **refused("late")}
        body = self._application(environ, lambda status, headers: answer.extend((status, headers)))
        status, headers = answer
        if protocol := protocol_of(thread):
            protocol.response_bytes(int(status[:3]), headers, b"".join(body))


def refused(why: Refusal) -> Environ:
    return {REFUSAL: why, "wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "0"}


def protocol_of(thread: int) -> Any:
    """What granian's thread sends its answer through: a local variable of `granian.wsgi`."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001
    while frame and "proto" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["proto"] if frame else None


def read(environ: Environ) -> bytes:
    """The whole body, also one that came in chunks.

    Django takes a body without a length for an empty one. A client that still sends when it is
    refused never sees the answer, so of a body that is too large the rest is read and discarded.
    A body that breaks off counts as none: its client is gone.
    """
    stream = environ["wsgi.input"]
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body: bytes = stream.read(limit + 1)
    if len(body) < min(int(environ.get("CONTENT_LENGTH") or 0), limit):
        return b""
    left = MAX_DISCARDED if len(body) > limit else 0
    while left > 0 and (chunk := stream.read(CHUNK)):
        left -= len(chunk)
    return body
