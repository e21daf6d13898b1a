"""The API's connections to PostgreSQL.

Each request of the API is one statement, so it takes a connection for that statement and gives it
back at once. Whoever verifies a token, reads a body or writes an answer holds none.
"""

from collections import deque
from collections.abc import Sequence
from threading import Lock, Thread
from time import perf_counter, sleep

from django.db import connections
from psycopg.conninfo import make_conninfo

from config.server import metrics
from config.server.account import account
from config.server.connection import Connection, ConnectionFailed, Row

CONNECTION_TIMEOUT = 2.5
"""Seconds for a connection: until one is free, or a new one is open."""
ANSWER_TIMEOUT = 2.3
"""Seconds for the answer. PostgreSQL ends a statement before (`tasks/operations/role.py`)."""
MAX_WAITING = 256
"""Requests that wait for a connection; further ones are refused at once."""
MAX_IDLE = 60.0
"""Seconds after which a connection that nobody needs is closed."""
RETRY_AFTER = 1.0
"""Seconds without another attempt while PostgreSQL opens no further connection."""


class Waiter:
    """A request that waits. What it is handed is a connection, or None: then it may open one."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self._handed = Lock()
        self._handed.acquire()

    def hand(self, connection: Connection | None) -> None:
        self.connection = connection
        self._handed.release()

    def wait(self, deadline: float) -> bool:
        return self._handed.acquire(timeout=max(deadline - perf_counter(), 0))


class Pool:
    """At most `size` connections as the database `alias` of the settings has them.

    The connection that was used last is used first, so that the others become idle and are closed.
    The request that has waited longest gets the next one. Where PostgreSQL opens no further one,
    requests wait for those that are open.
    """

    def __init__(self, alias: str, size: int) -> None:
        self.size = size
        self._settings = connections.create_connection(alias)
        self._lock = Lock()
        self._idle: deque[tuple[Connection, float]] = deque()
        self._waiters: deque[Waiter] = deque()
        self._open = 0
        self._opening = 0
        self._retry_at = 0.0
        self._closer: Thread | None = None

    @property
    def open(self) -> int:
        return self._open

    @property
    def in_use(self) -> int:
        return self._open + self._opening - len(self._idle)

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    def call(self, statement: bytes, values: Sequence[bytes]) -> Row:
        """The first row of a statement: see `Connection.call`.

        Raises Django's database errors; ConnectionFailed and AnswerLost are among them.
        """
        connection = self._take()
        account.sent += 1
        try:
            with self._settings.wrap_database_errors:
                return connection.call(statement, values, ANSWER_TIMEOUT)
        finally:
            self._give(connection)

    def close(self) -> None:
        """Closes what is idle."""
        while connection := self._oldest_idle(0):
            self._forget(connection)

    def _take(self) -> Connection:
        start = perf_counter()
        deadline = start + CONNECTION_TIMEOUT
        failure: ConnectionFailed | None = None
        try:
            while True:
                connection = self._next(deadline, failure)
                if connection is None:
                    try:
                        return self._connect(deadline)
                    except ConnectionFailed as error:
                        failure = error
                elif connection.is_stale:
                    self._forget(connection)
                else:
                    return connection
        finally:
            account.waited("connection", perf_counter() - start)
            metrics.connections(self.in_use, self.waiting)

    def _next(self, deadline: float, failure: ConnectionFailed | None) -> Connection | None:
        """A connection that is free, or None: then one may be opened. Raises ConnectionFailed."""
        with self._lock:
            if self._idle:
                return self._idle.pop()[0]
            if failure and not self._open:
                raise failure
            if self._may_open():
                self._opening += 1
                return None
            if len(self._waiters) >= MAX_WAITING:
                raise ConnectionFailed("no_connection", "too many requests are waiting")
            waiter = Waiter()
            if failure:
                self._waiters.appendleft(waiter)
            else:
                self._waiters.append(waiter)
        if not waiter.wait(deadline):
            with self._lock:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                    raise failure or ConnectionFailed("no_connection", "all are in use")
        return waiter.connection

    def _may_open(self) -> bool:
        if self._open + self._opening >= self.size:
            return False
        return not self._open or perf_counter() >= self._retry_at

    def _connect(self, deadline: float) -> Connection:
        try:
            connection = Connection(self._conninfo(), deadline)
        except BaseException:
            with self._lock:
                self._opening -= 1
                self._retry_at = perf_counter() + RETRY_AFTER
                self._let_the_next_open()
            raise
        with self._lock:
            self._opening -= 1
            self._open += 1
            self._retry_at = 0.0
        self._watch_idle_ones()
        return connection

    def _conninfo(self) -> bytes:
        params = self._settings.get_connection_params()
        names = ("cursor_factory", "context", "prepare_threshold")
        return make_conninfo(
            **{name: value for name, value in params.items() if name not in names}
        ).encode()

    def _give(self, connection: Connection) -> None:
        if not connection.is_open:
            self._forget(connection)
            return
        with self._lock:
            if self._waiters:
                self._waiters.popleft().hand(connection)
            else:
                self._idle.append((connection, perf_counter()))
        metrics.connections(self.in_use, self.waiting)

    def _forget(self, connection: Connection) -> None:
        connection.close()
        with self._lock:
            self._open -= 1
            self._let_the_next_open()

    def _let_the_next_open(self) -> None:
        if self._waiters and self._may_open():
            self._opening += 1
            self._waiters.popleft().hand(None)

    def _watch_idle_ones(self) -> None:
        if self._closer is None:
            self._closer = Thread(
                target=self._close_idle_ones, name="idle-connections", daemon=True
            )
            self._closer.start()

    def _close_idle_ones(self) -> None:
        while True:
            sleep(MAX_IDLE / 4)
            while connection := self._oldest_idle(MAX_IDLE):
                self._forget(connection)

    def _oldest_idle(self, seconds: float) -> Connection | None:
        with self._lock:
            if self._idle and perf_counter() - self._idle[0][1] >= seconds:
                return self._idle.popleft()[0]
        return None
