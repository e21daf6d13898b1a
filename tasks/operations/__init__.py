"""The operations. Each is one call of a function in PostgreSQL, and so one round trip.

`operations.sql` defines the functions, `installation.py` installs them, and `role.py` creates the
role that may call them. The server passes in its connections when it starts (`use`). The fields
that a client sent are passed on as JSON, and an answer is the JSON that the client gets, in bytes.
Raises Task.DoesNotExist if the user has no such task, and PreconditionFailed if the conditions of
the request do not hold for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

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
DELETE_PERMANENTLY = b"SELECT tasks_api.delete_task_permanently($1, $2)"
RESTORE = b"SELECT tasks_api.restore_task($1, $2, $3)"
WRITE_IF = b"SELECT answer, refused FROM tasks_api.write_task_if($1, $2, $3, $4, $5)"
CREATE_ONCE = b"SELECT task, outcome FROM tasks_api.create_task_once($1, $2, $3, $4)"
SYNC = b"SELECT tasks, deleted, beside FROM tasks_api.sync_tasks($1, $2)"

Row = list[bytes | None]
Change = Literal["change", "replace", "restore"]
CHANGES: Mapping[Change, bytes] = {"change": CHANGE, "replace": REPLACE, "restore": RESTORE}
NO_CONDITIONS: Mapping[str, list[str]] = {}
_database: "Database"


class Database(Protocol):
    """The connections of the API."""

    def call(self, statement: bytes, values: Sequence[bytes]) -> Row:
        """The first row of a statement with `$1`, `$2`, …; values in PostgreSQL's text format."""

    def write(self, statement: bytes, values: Sequence[bytes]) -> Row:
        """The same for a statement that may write."""

    def read(self, statement: bytes, values: Sequence[bytes], bookmark: str) -> Row:
        """The same for a read that a replica may answer, if it has what the bookmark stands for."""


def use(database: Database) -> None:
    global _database  # noqa: PLW0603  set once, at the start
    _database = database


class PreconditionFailed(Exception):
    """task: as it is now, as JSON."""

    def __init__(self, task: bytes) -> None:
        super().__init__()
        self.task = task


class KeyReused(Exception):
    """The key was sent before, with other fields."""


class TaskGone(Exception):
    """The task that was created with this key is in the trash."""


class SyncExpired(Exception):
    """The changes since then are no longer known."""


@dataclass(frozen=True)
class Page:
    """tasks: a JSON array. count: how many tasks match on all pages. last: the id and the sort keys
    of the page's last task, if there is a next page.
    """

    tasks: bytes
    count: int
    last: list[int | str | None] | None = None


def page(user_id: str, query: Mapping[str, Any], bookmark: str | None = None) -> Page:
    """query: what `list_tasks` in `operations.sql` takes.

    bookmark: with one, a replica may answer.
    """
    tasks, beside = _read(bookmark, LIST, user_id, orjson.dumps(query).decode())
    return Page(tasks, **orjson.loads(beside))


@dataclass(frozen=True)
class Changes:
    """tasks, deleted: JSON arrays. count: how many tasks the user has. more: whether there are more
    changes, from `position` on.
    """

    tasks: bytes
    deleted: bytes
    count: int
    more: bool
    position: list[str]


def sync(user_id: str, limit: int, position: list[str] | None) -> Changes:
    """What has changed since `position`; without one, all tasks. Raises SyncExpired."""
    query = orjson.dumps({"limit": limit, "position": position}).decode()
    tasks, deleted, beside = _call(SYNC, user_id, query)
    if beside is None:
        raise SyncExpired
    return Changes(tasks, deleted, **orjson.loads(beside))


def create(user_id: str, fields: str) -> tuple[bytes, int]:
    """The new task, and its id."""
    (task,) = _write(CREATE, user_id, fields)
    return task, orjson.loads(task)["id"]


def create_once(user_id: str, fields: str, key: str, fingerprint: str) -> tuple[bytes, int, bool]:
    """The task, its id, and whether an earlier request with this key has created it.

    Raises KeyReused if that request had another fingerprint, and TaskGone.
    """
    task, outcome = _write(CREATE_ONCE, user_id, fields, key, fingerprint)
    if outcome == b"reused":
        raise KeyReused
    if outcome == b"gone":
        raise TaskGone
    return task, orjson.loads(task)["id"], outcome == b"replayed"


def read(user_id: str, task_id: int, bookmark: str | None = None) -> bytes:
    """bookmark: with one, a replica may answer."""
    return _found(_read(bookmark, READ, user_id, str(task_id)))


def write(
    operation: Change,
    user_id: str,
    task_id: int,
    fields: str,
    conditions: Mapping[str, list[str]] = NO_CONDITIONS,
) -> bytes:
    """The task as it is then. Missing fields stay as they are, or return to their defaults if the
    task is replaced. `restore` brings it back from the trash before.
    """
    if conditions:
        return _write_if(operation, user_id, task_id, fields, conditions)
    return _found(_write(CHANGES[operation], user_id, str(task_id), fields))


def delete(
    user_id: str,
    task_id: int,
    conditions: Mapping[str, list[str]] = NO_CONDITIONS,
    *,
    permanently: bool = False,
) -> None:
    """Moves the task to the trash, or deletes it permanently if the trash keeps nothing.

    permanently: also from the trash.
    """
    if permanently:
        operation, statement = "delete_permanently", DELETE_PERMANENTLY
    elif settings.TASKS_RETENTION_DAYS:
        operation, statement = "trash", TRASH
    else:
        operation, statement = "delete", DELETE
    if conditions:
        _write_if(operation, user_id, task_id, "{}", conditions)
    else:
        _found(_write(statement, user_id, str(task_id)))


def _write_if(
    operation: str, user_id: str, task_id: int, fields: str, conditions: Mapping[str, list[str]]
) -> bytes:
    answer, refused = _write(
        WRITE_IF, user_id, str(task_id), operation, fields, orjson.dumps(conditions).decode()
    )
    if refused is not None:
        raise PreconditionFailed(refused)
    return _found([answer])


def _found(row: Row) -> bytes:
    if row[0] is None:
        raise Task.DoesNotExist
    return row[0]


def _call(statement: bytes, *values: str) -> Any:
    return _database.call(statement, [value.encode() for value in values])


def _write(statement: bytes, *values: str) -> Any:
    return _database.write(statement, [value.encode() for value in values])


def _read(bookmark: str | None, statement: bytes, *values: str) -> Any:
    if bookmark is None:
        return _database.call(statement, [value.encode() for value in values])
    return _database.read(statement, [value.encode() for value in values], bookmark)
