"""django-bolt as in its documentation: async handlers, serializers, tokens verified in Rust."""

from datetime import datetime
from typing import Annotated, Any, Literal

from django_bolt import BoltAPI, Request
from django_bolt.auth import IsAuthenticated, JWTAuthentication
from django_bolt.exceptions import HTTPException
from django_bolt.serializers import Serializer
from msgspec import Meta

from peers.tasks.models import Task
from peers.tokens import DOCUMENT, ISSUER, SECRET

Title = Annotated[str, Meta(min_length=1, max_length=200)]
Description = Annotated[str, Meta(max_length=1000)] | None
Priority = Literal["low", "medium", "high"]

AUTH: dict[str, Any] = {
    "auth": [
        JWTAuthentication(jwks=DOCUMENT, algorithms=["EdDSA"], issuer=ISSUER, audience=ISSUER),
        JWTAuthentication(secret=SECRET, algorithms=["HS256"], issuer=ISSUER, audience=ISSUER),
    ],
    "guards": [IsAuthenticated()],
}

api = BoltAPI()


class TaskIn(Serializer):
    title: Title
    description: Description = None
    complete: bool = False
    priority: Priority = "medium"


class TaskPatch(Serializer):
    title: Title = ""
    description: Description = None
    complete: bool = False
    priority: Priority = "medium"


class TaskOut(Serializer):
    id: int
    user_id: str
    title: str
    description: str | None
    complete: bool
    priority: str
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class TaskList(Serializer):
    tasks: list[TaskOut]
    count: int


def check_owner(request: Request, user_id: str) -> None:
    if request.context["user_id"] != user_id:
        raise HTTPException(403, "This token belongs to another user.")


async def find(user_id: str, task_id: int) -> Task:
    try:
        return await Task.objects.aget(id=task_id, user_id=user_id, deleted_at=None)
    except Task.DoesNotExist:
        raise HTTPException(404, "There is no such task.") from None


async def update(user_id: str, task_id: int, values: dict[str, Any]) -> TaskOut:
    task = await find(user_id, task_id)
    for name, value in values.items():
        setattr(task, name, value)
    await task.asave()
    return TaskOut.from_model(task)


@api.get("/api/{user_id}/tasks", **AUTH)
async def list_tasks(request: Request, user_id: str) -> TaskList:
    check_owner(request, user_id)
    tasks = await TaskOut.afrom_models(Task.objects.filter(user_id=user_id, deleted_at=None)[:1000])
    return TaskList(tasks=tasks, count=len(tasks))


@api.post("/api/{user_id}/tasks", status_code=201, **AUTH)
async def create_task(request: Request, user_id: str, task: TaskIn) -> TaskOut:
    check_owner(request, user_id)
    return TaskOut.from_model(await Task.objects.acreate(user_id=user_id, **task.to_dict()))


@api.get("/api/{user_id}/tasks/{task_id}", **AUTH)
async def read_task(request: Request, user_id: str, task_id: int) -> TaskOut:
    check_owner(request, user_id)
    return TaskOut.from_model(await find(user_id, task_id))


@api.put("/api/{user_id}/tasks/{task_id}", **AUTH)
async def replace_task(request: Request, user_id: str, task_id: int, task: TaskIn) -> TaskOut:
    check_owner(request, user_id)
    return await update(user_id, task_id, task.to_dict())


@api.patch("/api/{user_id}/tasks/{task_id}", **AUTH)
async def change_task(request: Request, user_id: str, task_id: int, task: TaskPatch) -> TaskOut:
    check_owner(request, user_id)
    return await update(user_id, task_id, task.to_dict(exclude_unset=True))


@api.delete("/api/{user_id}/tasks/{task_id}", status_code=204, **AUTH)
async def delete_task(request: Request, user_id: str, task_id: int) -> None:
    check_owner(request, user_id)
    await (await find(user_id, task_id)).atrash()
