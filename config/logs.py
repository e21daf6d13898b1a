"""What log lines leave out."""

import sys
from collections.abc import MutableMapping
from typing import Any

from django.db import DatabaseError


def without_database_texts(
    _logger: Any, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor that keeps rows out of the log.

    PostgreSQL quotes the offending row in the message of an error, and with it a task's text.
    The SQLSTATE and the names of table and constraint say as much without it.
    """
    info = line.get("exc_info")
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, DatabaseError):
        del line["exc_info"]
        line["error"] = summary(error)
    return line


def summary(error: DatabaseError) -> str:
    """For instance `IntegrityError 23514 tasks_task.task_priority`."""
    cause = error.__cause__
    diag = getattr(cause, "diag", None)
    place = ".".join(
        name
        for name in (getattr(diag, "table_name", ""), getattr(diag, "constraint_name", ""))
        if name
    )
    words = (type(error).__name__, getattr(cause, "sqlstate", None), place)
    return " ".join(word for word in words if word)
