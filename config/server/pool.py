"""The API's connection pool to PostgreSQL.

Each request of the API is one statement, and holds a connection only for that statement: not while
it reads a body, verifies a token or writes an answer.
"""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from time import perf_counter, sleep

from django.db import connections
from psycopg.conninfo import make_conninfo

from config.server import metrics
from config.server.connection import Connection, ConnectionFailed, Row, Statement
from config.server.stats import stats

CONNECTION_TIMEOUT = 2.5
"""Seconds until a connection must be free, or a new one open."""
ANSWER_TIMEOUT = 2.3
"""Seconds for the answer. PostgreSQL ends a statement earlier (`tasks/operations/role.py`)."""
MAX_WAITING = 256
"""Requests that may wait for a connection. Further ones are refused immediately."""
MAX_IDLE = 60.0
"""Seconds after which an idle connection is closed."""
RETRY_AFTER = 1.0
"""Seconds until the next attempt, after PostgreSQL refused a further connection."""


class Waiter:
    """A waiting request. Its result is a connection, or the error for all waiting requests."""

    def __init__(self) -> None:
        self._result: Connection | ConnectionFailed
        self._done = Lock()
        self._done.acquire()

    def set_result(self, result: Connection | ConnectionFailed) -> None:
        self._result = result
        self._done.release()

    def wait(self, deadline: float) -> bool:
        return self._done.acquire(timeout=max(deadline - perf_counter(), 0))

    def result(self) -> Connection:
        if isinstance(self._result, ConnectionFailed):
            raise ConnectionFailed(self._result.cause, str(self._result))
        return self._result


class Pool:
    """At most `size` connections to the database `alias` of the settings.

    The connection that was used last is used next, so that the others become idle and are closed.
    The request that has waited longest gets the next free connection. If PostgreSQL refuses further
    connections, requests wait for those that are open.

    Connections are opened in separate threads, and a waiting request takes the first connection
    that becomes free, old or new. While none is open, one attempt starts after the other. If
    PostgreSQL refuses one, all waiting requests get that error. If nothing answers, another attempt
    starts after a short pause, so that requests succeed as soon as the network works again, even
    while earlier attempts still hang.
    """

    def __init__(
        self, alias: str, size: int, report: Callable[[int, int], None] = metrics.connections
    ) -> None:
        """report: gets the number of connections in use and of waiting requests at each change."""
        self.size = size
        self._report = report
        self._pause = CONNECTION_TIMEOUT / size
        self._settings = connections.create_connection(alias)
        self._lock = Lock()
        self._idle: deque[tuple[Connection, float]] = deque()
        self._waiters: deque[Waiter] = deque()
        self._open = 0
        self._opening = 0
        self._next_attempt = 0.0
        self._closer: Thread | None = None

    @property
    def open(self) -> int:
        return self._open

    @property
    def in_use(self) -> int:
        return self._open - len(self._idle)

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    def call(self, statement: bytes, values: Sequence[bytes], deadline: float | None = None) -> Row:
        """The first row of a statement: see `Connection.call`.

        deadline: until when to wait for a connection, by `perf_counter`; by default for
        CONNECTION_TIMEOUT. Raises Django's database errors, which include ConnectionFailed and
        AnswerLost.
        """
        connection = self._acquire(deadline)
        stats.statements_sent += 1
        try:
            with self._settings.wrap_database_errors:
                return connection.call(statement, values, ANSWER_TIMEOUT)
        finally:
            self._release(connection)

    write = call
    """There is no replica that must know of writes."""

    def read(self, statement: bytes, values: Sequence[bytes], _bookmark: str) -> Row:
        return self.call(statement, values)

    def pipeline(
        self,
        statements: Sequence[Statement],
        *,
        commits_each: bool,
        timeout: float = ANSWER_TIMEOUT,
        deadline: float | None = None,
    ) -> list[Row | Exception]:
        """The first row of each statement, or its error: see `Connection.pipeline`.

        Raises the error of the first statement, and otherwise the same as `call`.
        """
        connection = self._acquire(deadline)
        stats.statements_sent += len(statements)
        try:
            with self._settings.wrap_database_errors:
                results = connection.pipeline(statements, timeout, commits_each=commits_each)
                if isinstance(results[0], Exception):
                    raise results[0]
                return results
        finally:
            self._release(connection)

    def close(self) -> None:
        """Closes the idle connections now, and the others when they are released."""
        self.size = 0
        while connection := self._pop_idle(0):
            self._discard(connection)

    def _acquire(self, deadline: float | None) -> Connection:
        start = perf_counter()
        if deadline is None:
            deadline = start + CONNECTION_TIMEOUT
        try:
            while (connection := self._next(deadline)).is_stale:
                self._discard(connection)
            return connection
        finally:
            stats.add_wait("connection", perf_counter() - start)
            self._report(self.in_use, self.waiting)

    def _next(self, deadline: float) -> Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()[0]
            if len(self._waiters) >= MAX_WAITING:
                raise ConnectionFailed("no_connection", "too many requests are waiting")
            waiter = Waiter()
            self._waiters.append(waiter)
            self._open_more()
        while not waiter.wait(min(deadline, perf_counter() + self._pause)):
            with self._lock:
                if waiter not in self._waiters:
                    break
                if perf_counter() >= deadline:
                    self._waiters.remove(waiter)
                    raise self._timeout_error()
                self._open_more()
        return waiter.result()

    def _timeout_error(self) -> ConnectionFailed:
        if self._open:
            return ConnectionFailed("no_connection", "all are in use")
        return ConnectionFailed("timeout", "connecting took too long")

    def _open_more(self) -> None:
        while (
            self._opening < len(self._waiters)
            and self._open + self._opening < self.size
            and perf_counter() >= self._next_attempt
        ):
            try:
                Thread(target=self._connect, name="connect", daemon=True).start()
            except RuntimeError as error:  # no more threads
                self._fail(ConnectionFailed("no_connection", str(error)))
                break
            self._opening += 1
            if not self._open:
                self._next_attempt = perf_counter() + self._pause

    def _connect(self) -> None:
        connection = None
        try:
            connection = self.connect(CONNECTION_TIMEOUT)
        except ConnectionFailed as error:
            with self._lock:
                self._fail(error)
        finally:
            with self._lock:
                self._opening -= 1
                if connection:
                    self._open += 1
                    self._next_attempt = 0.0
        if connection:
            self._release(connection)
            self._start_closer()

    def _fail(self, error: ConnectionFailed) -> None:
        if self._open:
            self._next_attempt = perf_counter() + RETRY_AFTER
        elif error.cause != "timeout":
            self._next_attempt = 0.0
            while self._waiters:
                self._waiters.popleft().set_result(error)

    def connect(self, timeout: float) -> Connection:
        """Another connection, which the pool does not count. Raises ConnectionFailed."""
        params = self._settings.get_connection_params()
        names = ("cursor_factory", "context", "prepare_threshold")
        conninfo = make_conninfo(
            **{name: value for name, value in params.items() if name not in names}
        )
        return Connection(conninfo.encode(), perf_counter() + timeout)

    def _release(self, connection: Connection) -> None:
        if not connection.is_open or self._open > self.size:
            self._discard(connection)
            return
        with self._lock:
            if self._waiters:
                self._waiters.popleft().set_result(connection)
                self._open_more()
            else:
                self._idle.append((connection, perf_counter()))
        self._report(self.in_use, self.waiting)

    def _discard(self, connection: Connection) -> None:
        connection.close()
        with self._lock:
            self._open -= 1
            self._open_more()

    def _start_closer(self) -> None:
        if self._closer is None:
            self._closer = Thread(target=self._close_idle, name="idle-connections", daemon=True)
            self._closer.start()

    def _close_idle(self) -> None:
        while True:
            sleep(MAX_IDLE / 4)
            while connection := self._pop_idle(MAX_IDLE):
                self._discard(connection)

    def _pop_idle(self, seconds: float) -> Connection | None:
        """Removes and returns the connection that is idle longest, if for that many seconds."""
        with self._lock:
            if self._idle and perf_counter() - self._idle[0][1] >= seconds:
                return self._idle.popleft()[0]
        return None
