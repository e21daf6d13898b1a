"""Django's PostgreSQL backend, which counts statements and refuses those of API endpoints."""

from contextvars import ContextVar
from typing import Any

from django.db import ProgrammingError
from django.db.backends.postgresql import base

from config.database import derived_role, embedded
from config.server.stats import stats

serving_the_api = ContextVar("serving_the_api", default=False)
"""Set while an endpoint of the API runs: endpoints may use the database only by operations."""


class DatabaseWrapper(base.DatabaseWrapper):
    """Also starts the embedded server, if the settings name it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(self._watch)

    def _watch(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        if serving_the_api.get():
            raise ProgrammingError("permission denied: an endpoint may only call an operation")
        stats.statements_sent += 1
        return execute(sql, params, many, context)

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        if data := self.settings_dict.get("EMBEDDED"):
            params["host"] = embedded.start(data)
        if self.settings_dict.get("ROLE_IS_DERIVED"):
            params["user"] = derived_role(params["dbname"])
        return params
