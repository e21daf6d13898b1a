"""No framework: the minimum that a server in Python can do.

One prepared statement per operation, one connection per thread, bodies checked by hand, no
isolation except the WHERE. A faster service in Python would do less.
"""

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

import jwt
import orjson
import psycopg

from peers.tokens import user_of

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
    SELECT {COLUMNS} FROM tasks_task WHERE user_id = %s AND deleted_at IS NULL
    ORDER BY created_at DESC, id DESC LIMIT 1000
"""
READ = f"""
    SELECT {COLUMNS} FROM tasks_task WHERE id = %s AND user_id = %s AND deleted_at IS NULL
"""
CREATE = f"""
    INSERT INTO tasks_task (user_id, title, description, complete, priority, completed_at)
    VALUES (%(user_id)s, %(title)s, %(description)s, %(complete)s, %(priority)s,
            CASE WHEN %(complete)s THEN now() END)
    RETURNING {COLUMNS}
"""
DELETE = """
    UPDATE tasks_task SET deleted_at = now() WHERE id = %s AND user_id = %s AND deleted_at IS NULL
"""

TYPES = {"title": str, "description": (str, type(None)), "complete": bool, "priority": str}
DEFAULTS = {"description": None, "complete": False, "priority": "medium"}
REASONS = {
    200: "200 OK",
    201: "201 Created",
    204: "204 No Content",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    422: "422 Unprocessable Content",
}
JSON = [("Content-Type", "application/json")]

local = threading.local()
updates: dict[tuple[str, ...], str] = {}

Answer = tuple[int, Any]


def connection() -> psycopg.Connection:
    try:
        return local.connection  # type: ignore[no-any-return]
    except AttributeError:
        local.connection = psycopg.connect(
            os.environ["DATABASE_URL"],
            autocommit=True,
            prepare_threshold=0,
            options="-c timezone=UTC",
        )
        return local.connection  # type: ignore[no-any-return]


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    status, content = answer(environ)
    body = b"" if status == 204 else orjson.dumps(content, option=orjson.OPT_UTC_Z)
    start_response(REASONS[status], [] if status == 204 else JSON)
    return [body]


def answer(environ: dict[str, Any]) -> Answer:
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    try:
        user = user_of(token) if scheme == "Bearer" else None
    except jwt.InvalidTokenError:
        user = None
    if user is None:
        return 401, {"detail": "Send a good token."}
    _, _, owner, _, *rest = environ["PATH_INFO"].split("/")
    if unquote(owner) != user:
        return 403, {"detail": "This token belongs to another user."}
    method = environ["REQUEST_METHOD"]
    if not rest:
        return all_tasks(user) if method == "GET" else create(user, environ)
    task = int(rest[0])
    if method == "GET":
        return one(READ, (task, user))
    if method == "DELETE":
        gone = connection().execute(DELETE, (task, user)).rowcount
        return (204, None) if gone else (404, {"detail": "There is no such task."})
    return update(task, user, environ)


def all_tasks(user: str) -> Answer:
    rows = connection().execute(LIST, (user,)).fetchall()
    return 200, {
        "tasks": [dict(zip(FIELDS, row, strict=True)) for row in rows],
        "count": len(rows),
    }


def one(statement: str, given: Any, status: int = 200) -> Answer:
    row = connection().execute(statement, given).fetchone()
    if row is None:
        return 404, {"detail": "There is no such task."}
    return status, dict(zip(FIELDS, row, strict=True))


def create(user: str, environ: dict[str, Any]) -> Answer:
    task = {**DEFAULTS, **orjson.loads(environ["wsgi.input"].read()), "user_id": user}
    return one(CREATE, task, 201) if is_good(task) else (422, {"detail": "A field is wrong."})


def update(task_id: int, user: str, environ: dict[str, Any]) -> Answer:
    task = orjson.loads(environ["wsgi.input"].read())
    if environ["REQUEST_METHOD"] == "PUT":
        task = {**DEFAULTS, **task}
    if not task or not is_good(task):
        return 422, {"detail": "A field is wrong."}
    names = tuple(task)
    return one(
        updates.get(names) or updates.setdefault(names, statement(names)),
        {**task, "id": task_id, "owner": user},
    )


def statement(names: tuple[str, ...]) -> str:
    columns = [f"{name} = %({name})s" for name in names]
    if "complete" in names:
        columns.append(
            "completed_at = CASE WHEN %(complete)s THEN coalesce(completed_at, now()) END"
        )
    return f"""
        UPDATE tasks_task SET {", ".join(columns)}, updated_at = now()
        WHERE id = %(id)s AND user_id = %(owner)s AND deleted_at IS NULL RETURNING {COLUMNS}
    """


def is_good(task: dict[str, Any]) -> bool:
    return (
        all(isinstance(value, TYPES.get(name, str)) for name, value in task.items())
        and 1 <= len(task.get("title", " ").strip()) <= 200
        and len(task.get("description") or "") <= 1000
        and task.get("priority", "low") in ("low", "medium", "high")
    )
