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
    """A request that waits: it is handed a connection, or why nobody gets one."""

    def __init__(self) -> None:
        self._result: Connection | ConnectionFailed
        self._handed = Lock()
        self._handed.acquire()

    def hand(self, result: Connection | ConnectionFailed) -> None:
        self._result = result
        self._handed.release()

    def wait(self, deadline: float) -> bool:
        return self._handed.acquire(timeout=max(deadline - perf_counter(), 0))

    def result(self) -> Connection:
        if isinstance(self._result, ConnectionFailed):
            raise ConnectionFailed(self._result.cause, str(self._result))
        return self._result


class Pool:
    """At most `size` connections as the database `alias` of the settings has them.

    The connection that was used last is used first, so that the others become idle and are closed.
    The request that has waited longest gets the next one. Where PostgreSQL opens no further one,
    requests wait for those that are open.

    Connections are opened beside the requests, which take whichever comes first. While none is
    open, attempts begin one after the other. What PostgreSQL says to one of them is told to all who
    wait. Where nothing answers, another one begins after a moment, so that the network that is back
    serves the next request, however long the earlier attempts still hang.
    """

    def __init__(self, alias: str, size: int) -> None:
        self.size = size
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
        """Closes what is idle, and whatever else is open once it is given back."""
        self.size = 0
        while connection := self._oldest_idle(0):
            self._forget(connection)

    def _take(self) -> Connection:
        start = perf_counter()
        try:
            while (connection := self._next(start + CONNECTION_TIMEOUT)).is_stale:
                self._forget(connection)
            return connection
        finally:
            account.waited("connection", perf_counter() - start)
            metrics.connections(self.in_use, self.waiting)

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
                    raise self._none_in_time()
                self._open_more()
        return waiter.result()

    def _none_in_time(self) -> ConnectionFailed:
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
            connection = Connection(self._conninfo(), perf_counter() + CONNECTION_TIMEOUT)
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
            self._give(connection)
            self._watch_idle_ones()

    def _fail(self, error: ConnectionFailed) -> None:
        if self._open:
            self._next_attempt = perf_counter() + RETRY_AFTER
        elif error.cause != "timeout":
            self._next_attempt = 0.0
            while self._waiters:
                self._waiters.popleft().hand(error)

    def _conninfo(self) -> bytes:
        params = self._settings.get_connection_params()
        names = ("cursor_factory", "context", "prepare_threshold")
        return make_conninfo(
            **{name: value for name, value in params.items() if name not in names}
        ).encode()

    def _give(self, connection: Connection) -> None:
        if not connection.is_open or self._open > self.size:
            self._forget(connection)
            return
        with self._lock:
            if self._waiters:
                self._waiters.popleft().hand(connection)
                self._open_more()
            else:
                self._idle.append((connection, perf_counter()))
        metrics.connections(self.in_use, self.waiting)

    def _forget(self, connection: Connection) -> None:
        connection.close()
        with self._lock:
            self._open -= 1
            self._open_more()

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
