"""How long a request waits for the database, and how many requests wait for one that is silent.

PostgreSQL's own timeouts end what is slow. A server that hangs, or a network that swallows, ends
nothing: the system still acknowledges what nobody reads. So the client watches the clock.
"""

from contextvars import ContextVar
from math import inf
from time import perf_counter
from typing import Any, Self

from psycopg import Connection, OperationalError, errors
from psycopg.abc import RV, PQGen, PQGenConn

PATIENCE = 4.5
"""Seconds from its start after which a request gives up: later than `statement_timeout`."""
STATEMENT = 2.0
"""Seconds after which PostgreSQL ends a statement of the API (`tasks/isolation.py`)."""
PAUSE = 1.5
"""Seconds between two requests that ask a silent database: of sixteen turns most stay free."""

DUE = "tasks.due"
"""Where the server tells it in a request's environment."""
due = ContextVar("due", default=inf)
"""When the request must have its answer, on the clock of `perf_counter`. Commands have no limit."""


class Silence:
    """Of a database that is silent, one request each pause asks; the others are refused at once.

    Else all threads would wait, and the requests behind them wait once more. It begins when a
    request has waited in vain, unless others were just answered: then only a connection is lost.
    """

    def __init__(self) -> None:
        self.heard = 0.0
        self.ask_again = 0.0

    def begin(self) -> None:
        now = perf_counter()
        if now - self.heard > PAUSE and not self.ask_again:
            self.ask_again = now + PAUSE

    def end(self) -> None:
        self.heard = perf_counter()
        self.ask_again = 0.0

    def refuses(self) -> bool:
        if self.ask_again:
            now = perf_counter()
            if now < self.ask_again:
                return True
            self.ask_again = now + PAUSE
        return False


silence = Silence()


class PatientConnection(Connection[Any]):
    @classmethod
    def connect(cls, *args: Any, **kwargs: Any) -> Self:
        try:
            return super().connect(*args, **kwargs)
        except errors.ConnectionTimeout:
            silence.begin()
            raise

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Self]:
        """Each address of a host may take `connect_timeout`; all together, what is left."""
        connecting = super()._connect_gen(conninfo)
        ready: Any = None
        try:
            while perf_counter() < due.get():
                ready = yield connecting.send(ready)
        except StopIteration as done:
            connection: Self = done.value
            return connection
        raise errors.ConnectionTimeout("no connection in the time of a request")

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        limit = due.get()
        if limit == inf or timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            result = super().wait(gen, interval, max(limit - perf_counter(), 0))
        except errors._WaitTimeout:  # noqa: SLF001  what psycopg documents for `wait`
            # The answer may still come, and would be taken for that of the next statement.
            self.close()
            silence.begin()
            raise OperationalError("no answer in the time of a request") from None
        silence.end()
        return result
