"""How long a request waits for the database, and how many requests wait for one that is silent.

PostgreSQL's own timeouts end what is slow. A server that hangs, or a network that swallows, ends
nothing: the system still acknowledges what nobody reads. So the client watches the clock.
"""

import select
from collections.abc import Sequence
from contextvars import ContextVar
from math import inf
from time import perf_counter
from typing import Any, NoReturn, Self

from psycopg import Connection, DataError, OperationalError, errors
from psycopg.abc import RV, PQGen, PQGenConn
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

PATIENCE = 4.5
"""Seconds from its start after which a request gives up: later than `statement_timeout`."""
STATEMENT = 2.0
"""Seconds after which PostgreSQL ends a statement of the API (`tasks/operations/role.py`)."""
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
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arrivals = select.poll()
        self._arrivals.register(self.fileno(), select.POLLIN)

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
            self._give_up()
        silence.end()
        return result

    def is_stale(self) -> bool:
        """Whether the server has ended its side of this connection while it was idle.

        A server never speaks unasked on an idle connection, except to end it; so a socket with
        something to read is one to replace. That costs a system call where `SELECT 1` costs a
        round trip.
        """
        return self.closed or bool(self._arrivals.poll(0))

    def call(self, statement: bytes, values: Sequence[bytes]) -> list[bytes | None]:
        """The first row of a statement with `$1`, `$2`, …; values go and come as PostgreSQL's text.

        Nothing is prepared under a name, which on a connection that a pooler shares would be
        somebody else's statement. A cursor would find out types, adapt values and rows, and ask the
        socket five times instead of three: that is a sixth of a request.
        """
        if any(b"\0" in value for value in values):
            # libpq would end the text there: another text, and of a user another user.
            raise DataError("text cannot contain NUL")
        if not self.autocommit and self.pgconn.transaction_status == TransactionStatus.IDLE:
            self.execute("SELECT")  # psycopg begins the transaction with its first statement
        try:
            self.pgconn.send_query_params(statement, values)
            result = self._answer()
        except BaseException:
            self.close()  # the next statement would take the answer that is still to come
            raise
        silence.end()
        if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
            raise errors.error_from_result(result)
        return [result.get_value(0, column) for column in range(result.nfields)]

    def _answer(self) -> PGresult:
        *_, result = iter(self._next_result, None)
        return result

    def _next_result(self) -> PGresult | None:
        while self.pgconn.is_busy():
            limit = due.get()
            left = None if limit == inf else max(limit - perf_counter(), 0) * 1000
            if not self._arrivals.poll(left):
                self._give_up()
            self.pgconn.consume_input()
        return self.pgconn.get_result()

    def _give_up(self) -> NoReturn:
        # The answer may still come, and would be taken for that of the next statement.
        self.close()
        silence.begin()
        raise OperationalError("no answer in the time of a request")
