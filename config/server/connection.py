"""One connection of the API to PostgreSQL, with a deadline for everything it waits for.

PostgreSQL's own timeouts end slow statements, but they do not help if the server hangs or the
network drops packets: the operating system may still acknowledge what no process reads. So the
client has deadlines as well.

This uses libpq directly (`psycopg.pq`), because psycopg's connection has no deadline, and its
cursor takes 40 µs more, a twelfth of a request.
"""

import re
import select
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Literal

import psycopg
from django.db import OperationalError
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, PGconn, PollingStatus
from psycopg.pq.abc import PGresult

Row = list[bytes | None]
Statement = tuple[bytes, Sequence[bytes]]
"""With `$1`, `$2`, …, and its values in PostgreSQL's text form."""
Cause = Literal["refused", "password", "too_many", "tls", "dns", "timeout", "no_connection"]

CAUSES: Sequence[tuple[Cause, str]] = (
    ("dns", "translate host name|resolve host|name resolution|name or service"),
    ("refused", "refused|no such file|unreachable|no route to host"),
    ("too_many", "too many|remaining connection slots|no more connections allowed"),
    ("tls", r"\bssl\b|certificate|\btls\b"),
    ("password", "password|authentication|pg_hba|role .* does not exist|no such user"),
    ("timeout", "timeout|timed out"),
)
"""Patterns in the messages of libpq, since a connection that failed has no SQLSTATE."""


class ConnectionFailed(OperationalError):
    """There is no connection, so nothing was sent."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class AnswerLost(OperationalError):
    """A statement was sent, but its answer will not arrive. It may have been executed."""


class ShardFailed(Exception):
    """A proxy did not reach the one shard that has the tasks of this user. Others may work."""


class ShardNotReached(ShardFailed, ConnectionFailed):
    """Nothing was sent to the shard."""


class ShardAnswerLost(ShardFailed, AnswerLost):
    """The shard did not answer what it was sent."""


def error_of_proxy(message: str) -> Exception:
    """PL/Proxy's own errors have no SQLSTATE that tells them apart, so this reads their message."""
    if "PQconnect" in message or "connect timeout" in message:
        return ShardNotReached(cause_of(message), message)
    return ShardAnswerLost(message)


def cause_of(message: str) -> Cause:
    return next(
        (cause for cause, pattern in CAUSES if re.search(pattern, message, re.IGNORECASE)),
        "no_connection",
    )


class Connection:
    """Raises ConnectionFailed if it cannot be opened before `deadline`, by `perf_counter`."""

    def __init__(self, conninfo: bytes, deadline: float) -> None:
        self._libpq = PGconn.connect_start(conninfo)
        try:
            self._open(deadline)
        except BaseException as error:
            self.close()
            if isinstance(error, psycopg.OperationalError):
                raise ConnectionFailed(cause_of(str(error)), str(error)) from error
            raise
        self._libpq.nonblocking = 1
        self._socket = select.poll()
        self._socket.register(self._libpq.socket, select.POLLIN)

    def _open(self, deadline: float) -> None:
        """All addresses of a host share the deadline."""
        status = PollingStatus.WRITING
        while status != PollingStatus.OK:
            if status == PollingStatus.FAILED or self._libpq.status == ConnStatus.BAD:
                message = self._libpq.get_error_message()
                raise ConnectionFailed(cause_of(message), message)
            # libpq opens another socket for each address, and after TLS was refused.
            socket = select.poll()
            event = select.POLLIN if status == PollingStatus.READING else select.POLLOUT
            socket.register(self._libpq.socket, event)
            if not socket.poll(_milliseconds_until(deadline)):
                raise ConnectionFailed("timeout", "connecting took too long")
            status = PollingStatus(self._libpq.connect_poll())

    @property
    def is_open(self) -> bool:
        return self._libpq.status == ConnStatus.OK

    @property
    def is_stale(self) -> bool:
        """Whether the server has closed this connection while it was idle.

        On an idle connection, a server sends something only to close it. So a connection whose
        socket has something to read must be replaced. Polling the socket takes one system call,
        while `SELECT 1` would take a round trip.
        """
        return bool(self._socket.poll(0))

    def close(self) -> None:
        self._libpq.finish()

    def call(self, statement: bytes, values: Sequence[bytes], timeout: float) -> Row:
        """The first row of a statement with `$1`, `$2`, …; values are in PostgreSQL's text form.

        Statements are not prepared under a name: on a connection that a pooler shares, the same
        name could be another client's statement. Raises AnswerLost, and psycopg's errors for those
        of PostgreSQL.
        """
        if any(b"\0" in value for value in values):
            # libpq would truncate the text there, which could even make it another user's id.
            raise psycopg.DataError("text cannot contain NUL")
        try:
            self._libpq.send_query_params(statement, values)
            result = self._result(perf_counter() + timeout)
        except BaseException as error:
            self.close()  # otherwise the next statement would read the answer to this one
            if isinstance(error, psycopg.OperationalError):
                raise AnswerLost("the connection was lost before the answer") from error
            raise
        if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
            raise self._error(result)
        return [result.get_value(0, column) for column in range(result.nfields)]

    def pipeline(
        self, statements: Sequence[Statement], timeout: float, *, commits_each: bool
    ) -> list[Row | Exception]:
        """The first row of each statement, or the error that it caused, in one round trip.

        commits_each: whether each statement is a separate transaction, so that the next one sees
        what it has committed. Otherwise all are one transaction. Raises AnswerLost.
        """
        if any(b"\0" in value for _, values in statements for value in values):
            raise psycopg.DataError("text cannot contain NUL")
        try:
            self._libpq.enter_pipeline_mode()
            for number, (statement, values) in enumerate(statements, start=1):
                self._libpq.send_query_params(statement, values)
                if commits_each or number == len(statements):
                    self._libpq.pipeline_sync()
            syncs = len(statements) if commits_each else 1
            results = list(self._results(perf_counter() + timeout, syncs))
            self._libpq.exit_pipeline_mode()
        except BaseException as error:
            self.close()
            if isinstance(error, psycopg.OperationalError):
                raise AnswerLost("the connection was lost before the answer") from error
            raise
        return [
            [result.get_value(0, column) for column in range(result.nfields)]
            if result.status in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
            else self._error(result)
            for result in results
        ]

    def _results(self, deadline: float, syncs: int) -> Iterator[PGresult]:
        """Those of a pipeline, until so many of its synchronization points have been reached."""
        while self._libpq.flush():
            self._wait(deadline, select.POLLIN | select.POLLOUT)
        while syncs:
            result = self._next_result(deadline)
            if result is None:  # the statement has no more results
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                syncs -= 1
            else:
                yield result

    def _result(self, deadline: float) -> PGresult:
        while self._libpq.flush():
            self._wait(deadline, select.POLLIN | select.POLLOUT)
        *_, result = iter(lambda: self._next_result(deadline), None)
        return result

    def _next_result(self, deadline: float) -> PGresult | None:
        while self._libpq.is_busy():
            self._wait(deadline, select.POLLIN)
        return self._libpq.get_result()

    def _wait(self, deadline: float, events: int) -> None:
        self._socket.modify(self._libpq.socket, events)
        if not self._socket.poll(_milliseconds_until(deadline)):
            raise AnswerLost("no answer in time")
        self._libpq.consume_input()

    def _error(self, result: PGresult) -> Exception:
        error = error_from_result(result)
        # A pooler that has lost the server answers with an error of class 08.
        if error.sqlstate is None or error.sqlstate.startswith("08"):
            self.close()
            return AnswerLost("the connection was lost before the answer")
        message = error.diag.message_primary or ""
        if error.sqlstate == "XX000" and message.startswith("PL/Proxy function "):
            return error_of_proxy(message)
        return error


def _milliseconds_until(deadline: float) -> float:
    return max(deadline - perf_counter(), 0) * 1000
