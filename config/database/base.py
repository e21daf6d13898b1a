"""Django's PostgreSQL backend, which counts statements and keeps endpoints off the tables."""

from contextvars import ContextVar
from typing import Any

from django.db import ProgrammingError
from django.db.backends.postgresql import base

from config.database import derived_role, embedded
from config.server.account import account

serving_the_api = ContextVar("serving_the_api", default=False)
"""Set while an endpoint runs: it reaches the database by operations alone."""


class DatabaseWrapper(base.DatabaseWrapper):
    """Starts the embedded server where it is used."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(self._watch)

    def _watch(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        if serving_the_api.get():
            raise ProgrammingError("permission denied: an endpoint may only call an operation")
        account.sent += 1
        return execute(sql, params, many, context)

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        if data := self.settings_dict.get("EMBEDDED"):
            params["host"] = embedded.start(data)
        if self.settings_dict.get("ROLE_IS_DERIVED"):
            params["user"] = derived_role(params["dbname"])
        return params
