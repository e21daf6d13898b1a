"""Django's PostgreSQL backend, with a health check that costs no round trip."""

import threading
from collections.abc import Sequence
from contextvars import ContextVar
from time import perf_counter
from types import SimpleNamespace
from typing import Any, Self

import psycopg
from django.db import OperationalError, ProgrammingError
from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper

from . import derived_role, embedded
from .patience import STATEMENT, PatientConnection, due, silence


class Sent(threading.local):
    """How many statements this thread has sent, on whichever connection."""

    count = 0


sent = Sent()
serving_the_api = ContextVar("serving_the_api", default=False)
"""Set while an endpoint runs: then only `call` reaches the database, on the API's connection."""


class DatabaseWrapper(base.DatabaseWrapper):
    """Counts its statements in `sent`, and starts the embedded server where it is used."""

    Database = SimpleNamespace(  # type: ignore[assignment]  # Django takes psycopg for a module
        **vars(psycopg) | {"connect": PatientConnection.connect}
    )

    others: Sequence[Self] = ()
    """Of which at most one is open: a place for one connection serves all of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(self._watch)

    def connect(self) -> None:
        for other in self.others:
            other.close()
        super().connect()

    def _watch(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        if serving_the_api.get():
            raise ProgrammingError("permission denied: an endpoint may only call an operation")
        sent.count += 1
        return execute(sql, params, many, context)

    def call(self, statement: bytes, values: Sequence[bytes]) -> list[bytes | None]:
        """As PatientConnection does it, on a connection that stands, while the request has time."""
        _unless_in_vain()
        self.close_if_health_check_failed()
        self.ensure_connection()
        if perf_counter() + STATEMENT > due.get():
            # It could outlive its request, and do what its client was told is not done.
            raise OperationalError("no time is left for a statement")
        sent.count += 1
        with self.wrap_database_errors:
            return self.connection.call(statement, values)  # type: ignore[no-any-return]

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        if data := self.settings_dict.get("EMBEDDED"):
            params["host"] = embedded.start(data)
        if self.settings_dict.get("ROLE_IS_DERIVED"):
            params["user"] = derived_role(params["dbname"])
        return params

    def cursor(self) -> CursorWrapper:
        _unless_in_vain()
        return super().cursor()

    def close_if_health_check_failed(self) -> None:
        """At each statement outside of transactions: signals that ask once a request cost more."""
        if not self.in_atomic_block and not self.is_usable():
            self.close()

    def is_usable(self) -> bool:
        """Instead of Django's own check, which is a round trip."""
        return self.connection is not None and not self.connection.is_stale()


def _unless_in_vain() -> None:
    if perf_counter() > due.get():
        raise OperationalError("the time of the request is over")
    if silence.refuses():
        raise OperationalError("the database is silent")
