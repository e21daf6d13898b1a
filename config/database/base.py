"""Django's PostgreSQL backend, with a health check that costs no round trip."""

import select
import threading
from collections.abc import Sequence
from contextvars import ContextVar
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import psycopg
from django.db import OperationalError, ProgrammingError, connections
from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper

from tasks.isolation import role

from . import embedded
from .patience import STATEMENT, PatientConnection, due, silence


class Sent(threading.local):
    """How many statements this thread has sent, on whichever connection."""

    count = 0


sent = Sent()
serving_the_api = ContextVar("serving_the_api", default=False)
"""Set while an endpoint runs: then the connection that may do everything does nothing."""


class DatabaseWrapper(base.DatabaseWrapper):
    """Counts its statements in `sent`, and starts the embedded server where it is used."""

    Database = SimpleNamespace(  # type: ignore[assignment]  # Django takes psycopg for a module
        **vars(psycopg) | {"connect": PatientConnection.connect}
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(self._watch)

    def _watch(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        if serving_the_api.get() and self is not connections["api"]:
            raise ProgrammingError("permission denied: the API has a connection of its own")
        sent.count += 1
        return execute(sql, params, many, context)

    def call(self, statement: str, given: Sequence[Any]) -> Any:
        """The first row of a statement, past the cursor that Django wraps around psycopg's.

        That wrapper converts, counts and logs for the ORM, at a quarter of the price of a read.
        """
        _unless_in_vain()
        self.close_if_health_check_failed()
        self.ensure_connection()
        if perf_counter() + STATEMENT > due.get():
            # It could outlive its request, and do what its client was told is not done.
            raise OperationalError("no time is left for a statement")
        sent.count += 1
        with self.wrap_database_errors:
            return self.caller.execute(statement, given).fetchone()

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        # What it learns about types it would learn again as a cursor of each call.
        self.caller = connection.cursor()
        return connection

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        if data := self.settings_dict.get("EMBEDDED"):
            params["host"] = embedded.start(data)
        if self.alias == "api":
            params["user"] = role(params["dbname"])
        return params

    def cursor(self) -> CursorWrapper:
        _unless_in_vain()
        return super().cursor()

    def close_if_health_check_failed(self) -> None:
        """At each statement outside of transactions: signals that ask once a request cost more."""
        if not self.in_atomic_block and not self.is_usable():
            self.close()

    def is_usable(self) -> bool:
        """Whether the server still holds its end of an idle connection.

        A server never speaks unasked on an idle connection, except to end it; so a socket with
        something to read is one to replace. That costs a system call where Django's own check,
        `SELECT 1`, costs a round trip.
        """
        if self.connection is None or self.connection.closed:
            return False
        poller = select.poll()
        poller.register(self.connection.fileno(), select.POLLIN)
        return not poller.poll(0)


def _unless_in_vain() -> None:
    if perf_counter() > due.get():
        raise OperationalError("the time of the request is over")
    if silence.refuses():
        raise OperationalError("the database is silent")
