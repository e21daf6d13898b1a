"""Timeouts of the admin's pages in the database, and a limit of how many costly pages run at once.

The timeouts are set for one transaction. A `SET` would stay on a connection that a pooler shares,
a pooler refuses startup options, and a setting of the role would apply to everybody who signs in
with that role.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Semaphore

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest

STATEMENT_TIMEOUT = "20s"
LOCK_TIMEOUT = "5s"
SET_LOCAL = "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)"


@contextmanager
def limited() -> Iterator[None]:
    """A transaction with the timeouts of the admin."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(SET_LOCAL, [STATEMENT_TIMEOUT, LOCK_TIMEOUT])
        yield


@contextmanager
def page_transaction(request: HttpRequest, *, signing_in: bool = False) -> Iterator[None]:
    """One limited transaction for a page, which `suspended` may interrupt.

    Without a session a page needs no statement, and so it takes no connection.
    """
    with ExitStack() as stack:
        request.transaction = stack  # type: ignore[attr-defined]
        if signing_in or settings.SESSION_COOKIE_NAME in request.COOKIES:
            stack.enter_context(limited())
        yield


@contextmanager
def suspended(request: HttpRequest) -> Iterator[None]:
    """Commits the transaction of a page, and begins another one afterwards.

    For code with its own transactions, and for slow work that does not use the database.
    """
    stack: ExitStack = request.transaction  # type: ignore[attr-defined]
    stack.close()
    yield
    stack.enter_context(limited())


def give_back_connection() -> None:
    """Call this before a wait that needs no connection. A transaction keeps its connection."""
    if not connection.in_atomic_block:
        connection.close()


class Unavailable(Exception):
    """Becomes a page with status 503.

    reason: for the log. sentence: what happened and what to do. retry_after: seconds.
    """

    reason: str
    title: str
    sentence: str
    retry_after: int


class ConcurrencyLimit:
    """Limits what runs at once in this process.

    at_once: how many run. waiting: how many more may wait. seconds: how long each of them waits.
    """

    def __init__(self, at_once: int, *, waiting: int = 0, seconds: float = 0) -> None:
        self._running = Semaphore(at_once)
        self._present = Semaphore(at_once + waiting)
        self._seconds = seconds

    @contextmanager
    def slot(self, refusal: type[Unavailable]) -> Iterator[None]:
        """Raises `refusal` if too many wait already, or after the wait."""
        if not self._present.acquire(blocking=False):
            raise refusal
        try:
            if not self._running.acquire(timeout=self._seconds):
                raise refusal
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._present.release()
