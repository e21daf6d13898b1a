"""The operations. Each is one call of a function in PostgreSQL, and so one round trip.

`operations.sql` defines the functions, `installation.py` installs them, and `role.py` creates the
role that may call them. The server passes in its connections when it starts (`use`). The fields
that a client sent are passed on as JSON, and an answer is the JSON that the client gets, in bytes.
Raises Task.DoesNotExist if the user has no such task.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
        """The first row of a statement with `$1`, `$2`, …; values in PostgreSQL's text format."""


def use(database: Database) -> None:
    global _database  # noqa: PLW0603  set once, at the start
    _database = database


@dataclass(frozen=True)
class Page:
    """tasks: a JSON array. count: how many tasks match on all pages. last: the id and the sort keys
    of the page's last task, if there is a next page.
    """

    tasks: bytes
    count: int
    last: list[int | str | None] | None = None


def page(user_id: str, query: Mapping[str, Any]) -> Page:
    """query: what `list_tasks` in `operations.sql` takes."""
    tasks, beside = _call(LIST, user_id, orjson.dumps(query).decode())
    return Page(tasks, **orjson.loads(beside))


def create(user_id: str, fields: str) -> tuple[bytes, int]:
    """The new task, and its id."""
    (task,) = _call(CREATE, user_id, fields)
    return task, orjson.loads(task)["id"]


def read(user_id: str, task_id: int) -> bytes:
    return _found(_call(READ, user_id, str(task_id)))


def change(user_id: str, task_id: int, fields: str) -> bytes:
    """Missing fields stay as they are."""
    return _found(_call(CHANGE, user_id, str(task_id), fields))


def replace(user_id: str, task_id: int, fields: str) -> bytes:
    """Missing fields return to their defaults."""
    return _found(_call(REPLACE, user_id, str(task_id), fields))


def delete(user_id: str, task_id: int) -> None:
    """Moves the task to the trash, or deletes it permanently if the trash keeps nothing."""
    _found(_call(TRASH if settings.TASKS_RETENTION_DAYS else DELETE, user_id, str(task_id)))


def _found(row: Row) -> bytes:
    if row[0] is None:
        raise Task.DoesNotExist
    return row[0]


def _call(statement: bytes, *values: str) -> Any:
    return _database.call(statement, [value.encode() for value in values])
