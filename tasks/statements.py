"""The six operations: each is one message to the database and one wait.

What they do stands in `operations.sql`, and who may call them in `isolation.py`. Here is how they
are called; the rest of the project does not know. Answers are JSON as the client gets it, in bytes.
Raises Task.DoesNotExist where the user has no such task.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import connections

from tasks.models import Task

LIST = b"SELECT tasks, total FROM api.list_tasks($1, $2, $3, $4)"
CREATE = b"SELECT id, task FROM api.create_task($1, $2, $3, $4, $5)"
READ = b"SELECT api.read_task($1, $2)"
CHANGE = b"SELECT api.change_task($1, $2, $3, $4, $5, $6, $7)"
TRASH = b"SELECT api.trash_task($1, $2)"
DELETE = b"SELECT api.delete_task($1, $2)"


def page(user_id: str, *, complete: bool | None, limit: int, offset: int) -> tuple[bytes, int]:
    """A page, newest first, and how many tasks match over all."""
    tasks, total = _call(LIST, user_id, complete, limit, offset)
    return b'{"tasks":%b,"count":%b}' % (tasks, total), int(total)


def create(user_id: str, values: Mapping[str, Any]) -> tuple[bytes, int]:
    """The new task, and its id."""
    fields = (values[name] for name in ("title", "description", "complete", "priority"))
    task_id, task = _call(CREATE, user_id, *fields)
    return task, int(task_id)


def read(user_id: str, task_id: int) -> bytes:
    return _found(_call(READ, user_id, task_id))


def change(user_id: str, task_id: int, values: Mapping[str, Any]) -> bytes:
    """Sets what `values` names, and leaves the rest as it is."""
    given = (
        values.get("title"),
        values.get("description"),
        "description" in values,
        values.get("complete"),
        values.get("priority"),
    )
    return _found(_call(CHANGE, user_id, task_id, *given))


def delete(user_id: str, task_id: int) -> None:
    """To the trash, or for good where the trash keeps nothing."""
    _found(_call(TRASH if settings.TASKS_RETENTION_DAYS else DELETE, user_id, task_id))


def _found(row: list[bytes | None]) -> bytes:
    if row[0] is None:
        raise Task.DoesNotExist
    return row[0]


def _call(statement: bytes, *given: Any) -> Any:
    """The row that an operation answers with. Values go as text: PostgreSQL knows their types."""
    values = [None if value is None else str(value).encode() for value in given]
    return connections["api"].call(statement, values)  # type: ignore[attr-defined] # of our backend
