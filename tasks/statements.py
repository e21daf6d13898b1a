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

LIST = "SELECT tasks, total FROM api.list_tasks(%s, %s, %s, %s)"
CREATE = "SELECT id, task FROM api.create_task(%s, %s, %s, %s, %s)"
READ = "SELECT api.read_task(%s, %s)"
CHANGE = "SELECT api.change_task(%s, %s, %s, %s, %s, %s, %s)"
TRASH = "SELECT api.trash_task(%s, %s)"
DELETE = "SELECT api.delete_task(%s, %s)"


def page(user_id: str, *, complete: bool | None, limit: int, offset: int) -> tuple[bytes, int]:
    """A page, newest first, and how many tasks match over all."""
    tasks, total = _call(LIST, user_id, complete, limit, offset)
    return f'{{"tasks":{tasks},"count":{total}}}'.encode(), total


def create(user_id: str, values: Mapping[str, Any]) -> tuple[bytes, int]:
    """The new task, and its id."""
    fields = (values[name] for name in ("title", "description", "complete", "priority"))
    task_id, task = _call(CREATE, user_id, *fields)
    return task.encode(), task_id


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
    if _call(TRASH if settings.TASKS_RETENTION_DAYS else DELETE, user_id, task_id) == (None,):
        raise Task.DoesNotExist


def _found(row: tuple[str | None]) -> bytes:
    if row[0] is None:
        raise Task.DoesNotExist
    return row[0].encode()


def _call(statement: str, *given: Any) -> Any:
    """Values go as text of no type, so that a statement is prepared once and not once per types.

    psycopg sends 7 and 70000 as two types, and NULL as a third; to prepare costs a wait each time.
    """
    values = [None if value is None else str(value) for value in given]
    return connections["api"].call(statement, values)  # type: ignore[attr-defined] # of our backend
