"""The endpoints. Who may call them is decided before, in `authjwt.bearer`."""

from typing import Annotated, Any
from urllib.parse import quote

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router
from pydantic import BeforeValidator

from authjwt.bearer import BearerToken
from tasks import cursor, operations
from tasks.models import MAX_ID, USER_ID_LENGTH
from tasks.query import ListQuery
from tasks.schemas import TaskIn, TaskList, TaskOut, TaskPatch, TaskPut

TASKS = "/{path:user_id}/tasks"
TASK = "/{path:user_id}/tasks/{task_id}"

PRIVATE = {"Cache-Control": "private, no-store"}

router = Router(auth=BearerToken(), tags=["tasks"])


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
    selection = query.selection()
    position: dict[str, Any] = {"limit": query.limit, "offset": query.offset}
    if query.cursor is not None:
        position["after"] = cursor.read(query.cursor, user_id, selection)
    page = operations.page(user_id, selection | position)
    next_cursor, headers = None, {}
    if page.last:
        next_cursor = cursor.write(page.last, user_id, selection)
        headers["Link"] = f'<{_address(user_id)}?{_next_page(request, next_cursor)}>; rel="next"'
    body = b'{"tasks":%b,"count":%d,"next_cursor":%b}'
    return _json(body % (page.tasks, page.count, orjson.dumps(next_cursor)), headers=headers)


@router.post(TASKS, operation_id="createTask", response={201: TaskOut})
def create_task(request: HttpRequest, user_id: UserId, task: TaskIn) -> HttpResponse:
    """`Location` is the address of the new task."""
    created, task_id = operations.create(user_id, _sent_fields(task))
    return _json(created, 201, {"Location": _address(user_id, task_id)})


@router.get(TASK, operation_id="readTask", response=TaskOut)
def read_task(request: HttpRequest, user_id: UserId, task_id: TaskId) -> HttpResponse:
    """404 also for a task of somebody else."""
    return _json(operations.read(user_id, task_id))


@router.put(TASK, operation_id="replaceTask", response=TaskOut)
def replace_task(
    request: HttpRequest, user_id: UserId, task_id: TaskId, task: TaskPut
) -> HttpResponse:
    """What is left out returns to its default."""
    return _json(operations.replace(user_id, task_id, _sent_fields(task)))


@router.patch(TASK, operation_id="changeTask", response=TaskOut)
def change_task(
    request: HttpRequest, user_id: UserId, task_id: TaskId, task: TaskPatch
) -> HttpResponse:
    """What is left out stays as it is. A change that changes nothing leaves `updated_at` alone."""
    return _json(operations.change(user_id, task_id, _sent_fields(task)))


@router.delete(TASK, operation_id="deleteTask", response={204: None})
def delete_task(request: HttpRequest, user_id: UserId, task_id: TaskId) -> HttpResponse:
    """A second time it is 404. Staff can bring the task back for a while."""
    operations.delete(user_id, task_id)
    response = HttpResponse(status=204, headers=PRIVATE)
    del response["Content-Type"]
    return response


def _next_page(request: HttpRequest, next_cursor: str) -> str:
    query = request.GET.copy()
    query.pop("offset", None)
    query["cursor"] = next_cursor
    return query.urlencode()


def _sent_fields(body: TaskIn) -> str:
    """What the client sent, as JSON. The database fills in the defaults."""
    return body.model_dump_json(exclude_unset=True)


def _address(user_id: str, task_id: int | None = None) -> str:
    tasks = f"{settings.API_URL}{quote(user_id, safe='')}/tasks"
    return tasks if task_id is None else f"{tasks}/{task_id}"


def _json(content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(
        content,
        status=status,
        content_type="application/json",
        headers={**PRIVATE, **(headers or {})},
    )
