"""The API's connections to PostgreSQL.

Each request of the API is one statement, so it takes a connection for that statement and gives it
back at once. Whoever verifies a token, reads a body or writes an answer holds none.
"""

from collections import deque
from collections.abc import Sequence
from threading import Condition, Lock, Thread
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


class Pool:
    """At most `size` connections as the database `alias` of the settings has them.

    The connection that was used last is used first, so that the others become idle and are closed.
    Where PostgreSQL opens no further one, requests wait for those that are open.
    """

    def __init__(self, alias: str, size: int) -> None:
        self.size = size
        self._settings = connections.create_connection(alias)
        self._free = Condition(Lock())
        self._idle: deque[tuple[Connection, float]] = deque()
        self._open = 0
        self._waiting = 0
        self._retry_at = 0.0
        self._closer: Thread | None = None

    @property
    def open(self) -> int:
        return self._open

    @property
    def in_use(self) -> int:
        return self._open - len(self._idle)

    @property
    def waiting(self) -> int:
        return self._waiting

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
        with self._free:
            idle, self._idle = self._idle, deque()
            self._open -= len(idle)
        for connection, _ in idle:
            connection.close()

    def _take(self) -> Connection:
        start = perf_counter()
        deadline = start + CONNECTION_TIMEOUT
        failure: ConnectionFailed | None = None
        try:
            while True:
                if connection := self._idle_one(deadline, failure):
                    if not connection.is_stale:
                        return connection
                    self._forget(connection)
                    continue
                try:
                    return self._connect(deadline)
                except ConnectionFailed as error:
                    failure = error
        finally:
            account.waited("connection", perf_counter() - start)
            metrics.connections(self.in_use, self._waiting)

    def _idle_one(self, deadline: float, failure: ConnectionFailed | None) -> Connection | None:
        """None where the caller may open one. Raises ConnectionFailed."""
        with self._free:
            while not self._idle:
                if failure and not self._open:
                    raise failure
                now = perf_counter()
                if not self._open or (self._open < self.size and now >= self._retry_at):
                    self._open += 1
                    return None
                if self._waiting >= MAX_WAITING:
                    raise ConnectionFailed("no_connection", "too many requests are waiting")
                self._waiting += 1
                try:
                    in_time = self._free.wait(deadline - now)
                finally:
                    self._waiting -= 1
                if not in_time:
                    raise failure or ConnectionFailed("no_connection", "all connections are in use")
            return self._idle.pop()[0]

    def _connect(self, deadline: float) -> Connection:
        opened = False
        try:
            connection = Connection(self._conninfo(), deadline)
            opened = True
        finally:
            with self._free:
                if opened:
                    self._retry_at = 0.0
                else:
                    self._open -= 1
                    self._retry_at = perf_counter() + RETRY_AFTER if self._open else 0.0
                    self._free.notify()
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
        with self._free:
            self._idle.append((connection, perf_counter()))
            self._free.notify()
        metrics.connections(self.in_use, self._waiting)

    def _forget(self, connection: Connection) -> None:
        connection.close()
        with self._free:
            self._open -= 1
            self._free.notify()

    def _watch_idle_ones(self) -> None:
        if self._closer is None:
            self._closer = Thread(
                target=self._close_idle_ones, name="idle-connections", daemon=True
            )
            self._closer.start()

    def _close_idle_ones(self) -> None:
        while True:
            sleep(MAX_IDLE / 4)
            while connection := self._idle_too_long():
                self._forget(connection)

    def _idle_too_long(self) -> Connection | None:
        with self._free:
            if self._idle and perf_counter() - self._idle[0][1] > MAX_IDLE:
                return self._idle.popleft()[0]
        return None
