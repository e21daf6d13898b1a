"""The endpoints. Who may call them is decided before, in `authjwt.bearer`."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any
from urllib.parse import quote

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router
from pydantic import BeforeValidator

from authjwt.bearer import BearerToken
from tasks import cursor, headers, operations, sync
from tasks.models import MAX_ID, USER_ID_LENGTH
from tasks.query import DeleteQuery, ListQuery
from tasks.schemas import TaskIn, TaskList, TaskOut, TaskPatch, TaskPut

TASKS = "/{path:user_id}/tasks"
TASK = "/{path:user_id}/tasks/{task_id}"

CACHING = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Origin"}
"""A browser may keep the answer, but asks each time whether it is still the same."""
NO_HEADERS: Mapping[str, str] = {}

router = Router(auth=BearerToken(owner="user_id"), tags=["tasks"])


def _canonical(text: Any) -> Any:
    """An id exactly as its URL spells it: ASCII digits, without a sign or a leading zero."""
    return (
        text
        if isinstance(text, str) and text.isascii() and text[:1] != "0" and text.isdigit()
        else None
    )


UserId = Annotated[
    str, Path(min_length=1, max_length=USER_ID_LENGTH, description="The user of the token.")
]
TaskId = Annotated[int, BeforeValidator(_canonical), Path(ge=1, le=MAX_ID)]


@router.get(TASKS, operation_id="listTasks", response=TaskList)
def list_tasks(request: HttpRequest, user_id: UserId, query: Query[ListQuery]) -> HttpResponse:
    """The newest first, unless `sort` says otherwise. `Link` and `next_cursor` name the next page,
    if there is one.
    """
    bookmark = headers.bookmark(request)
    if query.sync is not None:
        return _changes(user_id, query.limit, query.sync)
    selection = query.selection()
    position: dict[str, Any] = {"limit": query.limit, "offset": query.offset}
    if query.cursor is not None:
        position["after"] = cursor.read(query.cursor, user_id, selection)
    page = operations.page(user_id, selection | position, bookmark)
    next_cursor, link = None, {}
    if page.last:
        next_cursor = cursor.write(page.last, user_id, selection)
        link["Link"] = f'<{_address(user_id)}?{_next_page(request, next_cursor)}>; rel="next"'
    body = b'{"tasks":%b,"count":%d,"next_cursor":%b}'
    return _found(request, body % (page.tasks, page.count, orjson.dumps(next_cursor)), link)


def _changes(user_id: str, limit: int, token: str) -> HttpResponse:
    changes = operations.sync(user_id, limit, sync.read(token, user_id))
    body = b'{"tasks":%b,"deleted":%b,"count":%d,"sync":%b,"more":%b}' % (
        changes.tasks,
        changes.deleted,
        changes.count,
        orjson.dumps(sync.write(changes.position, user_id)),
        orjson.dumps(changes.more),
    )
    return _json(body, NO_HEADERS)


@router.post(TASKS, operation_id="createTask", response={201: TaskOut})
def create_task(request: HttpRequest, user_id: UserId, task: TaskIn) -> HttpResponse:
    """`Location` is the address of the new task. With an `Idempotency-Key` the request can be
    repeated: it creates one task, whichever answers are lost.
    """
    key, fields = headers.idempotency_key(request), _sent_fields(task)
    replayed = {}
    if key is None:
        created, task_id = operations.create(user_id, fields)
    else:
        created, task_id, is_replay = operations.create_once(
            user_id, fields, key, _fingerprint(task)
        )
        if is_replay:
            replayed["Idempotent-Replayed"] = "true"
    return _task(created, 201, {"Location": _address(user_id, task_id), **replayed})


@router.get(TASK, operation_id="readTask", response=TaskOut)
def read_task(request: HttpRequest, user_id: UserId, task_id: TaskId) -> HttpResponse:
    """404 also for a task of somebody else."""
    return _found(request, operations.read(user_id, task_id, headers.bookmark(request)))


@router.put(TASK, operation_id="replaceTask", response=TaskOut)
def replace_task(
    request: HttpRequest, user_id: UserId, task_id: TaskId, task: TaskPut
) -> HttpResponse:
    """What is left out returns to its default."""
    conditions = headers.conditions(request)
    return _task(operations.write("replace", user_id, task_id, _sent_fields(task), conditions))


@router.patch(TASK, operation_id="changeTask", response=TaskOut)
def change_task(
    request: HttpRequest, user_id: UserId, task_id: TaskId, task: TaskPatch
) -> HttpResponse:
    """What is left out stays as it is. A change that changes nothing leaves `updated_at` alone.
    `{"deleted": false}` brings the task back from the trash.
    """
    conditions = headers.conditions(request)
    if "deleted" in task.model_fields_set:
        fields = task.model_dump_json(exclude_unset=True, exclude={"deleted"})
        return _task(operations.write("restore", user_id, task_id, fields, conditions))
    return _task(operations.write("change", user_id, task_id, _sent_fields(task), conditions))


@router.delete(TASK, operation_id="deleteTask", response={204: None})
def delete_task(
    request: HttpRequest, user_id: UserId, task_id: TaskId, query: Query[DeleteQuery]
) -> HttpResponse:
    """Moves the task to the trash, where it stays for a while. A second time it is 404."""
    conditions = headers.conditions(request)
    operations.delete(user_id, task_id, conditions, permanently=query.permanent)
    return _empty(204, {"Cache-Control": "private, no-store"})


def _next_page(request: HttpRequest, next_cursor: str) -> str:
    query = request.GET.copy()
    query.pop("offset", None)
    query["cursor"] = next_cursor
    return query.urlencode()


def _sent_fields(body: TaskIn) -> str:
    """What the client sent, as JSON. The database fills in the defaults."""
    return body.model_dump_json(exclude_unset=True)


def _fingerprint(body: TaskIn) -> str:
    """Equal for bodies that mean the same. A default that a later release adds changes nothing."""
    return sha256(body.model_dump_json(exclude_defaults=True).encode()).hexdigest()


def _address(user_id: str, task_id: int | None = None) -> str:
    tasks = f"{settings.API_URL}{quote(user_id, safe='')}/tasks"
    return tasks if task_id is None else f"{tasks}/{task_id}"


def _found(
    request: HttpRequest, content: bytes, more_headers: Mapping[str, str] = NO_HEADERS
) -> HttpResponse:
    """The answer to a GET or HEAD: 304 if the client has this content."""
    tag = headers.entity_tag(content)
    if headers.is_not_modified(request, tag):
        return _empty(304, {**CACHING, "ETag": tag})
    return _json(content, {"ETag": tag, **more_headers})


def _task(
    content: bytes, status: int = 200, more_headers: Mapping[str, str] = NO_HEADERS
) -> HttpResponse:
    return _json(content, {"ETag": headers.entity_tag(content), **more_headers}, status)


def _json(content: bytes, more_headers: Mapping[str, str], status: int = 200) -> HttpResponse:
    return HttpResponse(
        content,
        status=status,
        content_type="application/json",
        headers={**CACHING, **more_headers},
    )


def _empty(status: int, response_headers: Mapping[str, str]) -> HttpResponse:
    response = HttpResponse(status=status, headers=response_headers)
    del response["Content-Type"]
    return response
