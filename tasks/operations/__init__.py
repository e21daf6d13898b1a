"""The operations: each is one call of a function in PostgreSQL, and one wait for it.

What they do is in `operations.sql`, how it gets into the database in `installation.py`, and who may
call it in `role.py`. The connections are those of the server, which hands them in at its start.
What a client sent travels as JSON and names its fields itself; answers are the JSON that the client
gets, in bytes. Raises Task.DoesNotExist where the user has no such task.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import orjson
from django.conf import settings

from tasks.models import Task

LIST = b"SELECT tasks, beside FROM tasks_api.list_tasks($1, $2)"
CREATE = b"SELECT tasks_api.create_task($1, $2)"
READ = b"SELECT tasks_api.read_task($1, $2)"
CHANGE = b"SELECT tasks_api.change_task($1, $2, $3)"
REPLACE = b"SELECT tasks_api.replace_task($1, $2, $3)"
TRASH = b"SELECT tasks_api.trash_task($1, $2)"
DELETE = b"SELECT tasks_api.delete_task($1, $2)"

Row = list[bytes | None]
_database: "Database"


class Database(Protocol):
    """The connections of the API."""

    def call(self, statement: bytes, values: Sequence[bytes]) -> Row:
        """The first row of a statement with `$1`, `$2`, …; all values are PostgreSQL's text."""


def use(database: Database) -> None:
    global _database  # noqa: PLW0603  set once, at the start
    _database = database


def page(user_id: str, query: str) -> tuple[bytes, int]:
    """The answer to a list, and how many tasks match, whatever the page."""
    tasks, beside = _call(LIST, user_id, query)
    facts = orjson.loads(beside)
    return b'{"tasks":%b,%b' % (tasks, orjson.dumps(facts)[1:]), facts["count"]


def create(user_id: str, given: str) -> tuple[bytes, int]:
    """The new task, and its id."""
    (task,) = _call(CREATE, user_id, given)
    return task, orjson.loads(task)["id"]


def read(user_id: str, task_id: int) -> bytes:
    return _found(_call(READ, user_id, str(task_id)))


def change(user_id: str, task_id: int, given: str) -> bytes:
    """What is not given stays as it is."""
    return _found(_call(CHANGE, user_id, str(task_id), given))


def replace(user_id: str, task_id: int, given: str) -> bytes:
    """What is not given returns to its default."""
    return _found(_call(REPLACE, user_id, str(task_id), given))


def delete(user_id: str, task_id: int) -> None:
    """To the trash, or for good where the trash keeps nothing."""
    _found(_call(TRASH if settings.TASKS_RETENTION_DAYS else DELETE, user_id, str(task_id)))


def _found(row: Row) -> bytes:
    if row[0] is None:
        raise Task.DoesNotExist
    return row[0]


def _call(statement: bytes, *values: str) -> Any:
    return _database.call(statement, [value.encode() for value in values])
