"""Request bodies: how long one may take, and how many may be arriving at the same time.

granian passes a request to a thread when its headers have arrived, and the thread then blocks until
the body has arrived too. No timeout interrupts that (granian declined one in its issue 728), and
reading in another thread would cost each request 50 µs. So a watchdog answers instead of a thread
that has waited too long. That thread stays blocked until its client disconnects, and until then it
counts as an arriving body. So slow clients never hold more than MAX_BODIES of the threads.
"""

import io
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Any, Literal

from django.conf import settings

from config.server.stats import stats

BODY_TIMEOUT = 10.0
MAX_BODIES = 128
MAX_DISCARDED = 16 * 1024 * 1024
CHUNK = 64 * 1024
INTERVAL = 0.25
"""Seconds between two checks of the watchdog."""

REFUSAL = "tasks.body"
"""The key in the WSGI environment that says why a body was refused."""
Refusal = Literal["timeout", "too many"]
Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]


@dataclass
class ArrivingBody:
    environ: Environ
    since: float
    is_answered: bool = False


class Bodies:
    """Reads bodies for `application`, and has it answer 408 for bodies that arrive too late."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._arriving: dict[int, ArrivingBody] = {}
        self._watchdog: threading.Thread | None = None

    def receive(self, environ: Environ) -> bool:
        """Puts the whole body into the environment. False if the watchdog has answered already."""
        thread, arriving = threading.get_ident(), ArrivingBody(environ, perf_counter())
        if not self._begin(thread, arriving):
            environ |= refused("too many")
            return True
        try:
            body = read(environ)
        finally:
            self._end(thread)
            stats.add_wait("body", perf_counter() - arriving.since)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return not arriving.is_answered

    def _begin(self, thread: int, arriving: ArrivingBody) -> bool:
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
            for thread, arriving in self._mark_overdue():
                self._answer(thread, arriving)

    def _mark_overdue(self) -> list[tuple[int, ArrivingBody]]:
        """Marks the overdue bodies as answered, and returns them with the threads that wait."""
        now = perf_counter()
        with self._lock:
            overdue = [
                (thread, arriving)
                for thread, arriving in self._arriving.items()
                if not arriving.is_answered and now - arriving.since > BODY_TIMEOUT
            ]
            for _, arriving in overdue:
                arriving.is_answered = True
        return overdue

    def _answer(self, thread: int, arriving: ArrivingBody) -> None:
        answer: list[Any] = []
        stats.begin()
        stats.arrived = arriving.since
        stats.add_wait("body", perf_counter() - arriving.since)
        environ = {**arriving.environ, **refused("timeout")}
        body = self._application(environ, lambda status, headers: answer.extend((status, headers)))
        status, headers = answer
        if protocol := protocol_of(thread):
            protocol.response_bytes(int(status[:3]), headers, b"".join(body))


def refused(reason: Refusal) -> Environ:
    return {REFUSAL: reason, "wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "0"}


def protocol_of(thread: int) -> Any:
    """The object that granian's thread answers through: a local variable of `granian.wsgi`."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001
    while frame and "proto" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["proto"] if frame else None


def read(environ: Environ) -> bytes:
    """The whole body, even if it was sent in chunks, which Django would read as an empty body.

    A client that is still sending when it is refused never sees the answer, so the rest of a body
    that is too large is read and discarded. A body that breaks off counts as empty, because its
    client has disconnected.
    """
    stream = environ["wsgi.input"]
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body: bytes = stream.read(limit + 1)
    if len(body) < min(int(environ.get("CONTENT_LENGTH") or 0), limit):
        return b""
    remaining = MAX_DISCARDED if len(body) > limit else 0
    while remaining > 0 and (chunk := stream.read(CHUNK)):
        remaining -= len(chunk)
    return body
