"""The six operations as six statements, each complete in one round trip.

Every statement names the owner: a task of somebody else is a task that is not there.
Text instead of querysets, since `UPDATE … RETURNING` is not theirs to say, and since building
and compiling them anew for each request costs as much as the rest of it.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from django.db import connection

from tasks.models import Task

Row = dict[str, Any]

FIELDS = (
    "id",
    "user_id",
    "title",
    "description",
    "complete",
    "priority",
    "completed_at",
    "created_at",
    "updated_at",
)
COLUMNS = ", ".join(FIELDS)

LIST = f"""
    SELECT {COLUMNS} FROM tasks_task
    WHERE user_id = %(user_id)s AND (%(complete)s::boolean IS NULL OR complete = %(complete)s)
    ORDER BY created_at DESC, id DESC LIMIT %(limit)s OFFSET %(offset)s
"""  # noqa: S608
COUNT = """
    SELECT count(*) FROM tasks_task
    WHERE user_id = %(user_id)s AND (%(complete)s::boolean IS NULL OR complete = %(complete)s)
"""
CREATE = f"""
    INSERT INTO tasks_task (user_id, title, description, complete, priority,
                            completed_at, created_at, updated_at)
    VALUES (%(user_id)s, %(title)s, %(description)s, %(complete)s, %(priority)s,
            CASE WHEN %(complete)s THEN statement_timestamp() END,
            statement_timestamp(), statement_timestamp())
    RETURNING {COLUMNS}
"""  # noqa: S608
READ = f"SELECT {COLUMNS} FROM tasks_task WHERE id = %(id)s AND user_id = %(user_id)s"  # noqa: S608
DELETE = "DELETE FROM tasks_task WHERE id = %(id)s AND user_id = %(user_id)s"

# Later than any change before, whatever the clock does.
NOW = "greatest(statement_timestamp(), updated_at + interval '1 microsecond')"


# With their types: a value that stands in two places of a statement must have one.
GIVEN = {
    "title": "%(title)s::text",
    "description": "%(description)s::text",
    "complete": "%(complete)s::boolean",
    "priority": "%(priority)s::text",
}


@cache
def update(fields: tuple[str, ...]) -> str:
    """The UPDATE that sets these columns; `updated_at` only where one of them really changes."""
    columns = ", ".join(fields)
    values = ", ".join(GIVEN[name] for name in fields)
    settings = [f"{name} = {GIVEN[name]}" for name in fields]
    if "complete" in fields:
        settings.append(
            f"completed_at = CASE WHEN {GIVEN['complete']} THEN coalesce(completed_at, {NOW}) END"
        )
    return f"""
        UPDATE tasks_task SET {", ".join(settings)},
            updated_at = CASE WHEN ROW({columns}) IS DISTINCT FROM ROW({values})
                              THEN {NOW} ELSE updated_at END
        WHERE id = %(id)s AND user_id = %(user_id)s
        RETURNING {COLUMNS}
    """  # noqa: S608


def page(user_id: str, *, complete: bool | None, limit: int, offset: int) -> tuple[list[Row], int]:
    """The tasks of a page, newest first, and how many match over all.

    One row more than the page is read: where it is not there, the page is the last one, and
    the total is known without a second statement.
    """
    given = {"user_id": user_id, "complete": complete, "limit": limit + 1, "offset": offset}
    rows = _all(LIST, given)
    if len(rows) <= limit and (rows or not offset):
        return rows, offset + len(rows)
    with connection.cursor() as cursor:
        cursor.execute(COUNT, given)
        (count,) = cursor.fetchone()
    return rows[:limit], count


def create(user_id: str, values: Mapping[str, Any]) -> Row:
    return _one(CREATE, {**values, "user_id": user_id})


def read(user_id: str, task_id: int) -> Row:
    return _one(READ, {"id": task_id, "user_id": user_id})


def change(user_id: str, task_id: int, values: Mapping[str, Any]) -> Row:
    """Sets what `values` names, and leaves the rest as it is."""
    return _one(update(tuple(values)), {**values, "id": task_id, "user_id": user_id})


def delete(user_id: str, task_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(DELETE, {"id": task_id, "user_id": user_id})
        if not cursor.rowcount:
            raise Task.DoesNotExist


def _all(statement: str, given: Mapping[str, Any]) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        return [_row(found) for found in cursor.fetchall()]


def _one(statement: str, given: Mapping[str, Any]) -> Row:
    """The one row of a statement; Task.DoesNotExist where the user has no such task."""
    rows = _all(statement, given)
    if not rows:
        raise Task.DoesNotExist
    return rows[0]


def _row(values: Iterable[Any]) -> Row:
    return dict(zip(FIELDS, values, strict=True))
