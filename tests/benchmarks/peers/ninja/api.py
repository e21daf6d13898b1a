"""django-ninja as in its tutorial (https://django-ninja.dev/tutorial/other/crud/)."""

from datetime import datetime
from typing import Any, Literal

import jwt
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import path
from ninja import Field, NinjaAPI, Schema
from ninja.errors import HttpError
from ninja.security import HttpBearer

from peers.tasks.models import Task
from peers.tokens import user_of

Priority = Literal["low", "medium", "high"]


class BetterAuth(HttpBearer):
    def authenticate(self, request: HttpRequest, token: str) -> str | None:
        try:
            user = user_of(token)
        except jwt.InvalidTokenError:
            return None
        if user != request.resolver_match.kwargs["user_id"]:
            raise HttpError(403, "This token belongs to another user.")
        return user


class TaskIn(Schema):
    title: str = Field(min_length=1, max_length=200)
    description: str | None = Field(None, max_length=1000)
    complete: bool = False
    priority: Priority = "medium"


class TaskPatch(Schema):
    title: str = Field(None, min_length=1, max_length=200)
    description: str | None = Field(None, max_length=1000)
    complete: bool = None
    priority: Priority = None


class TaskOut(Schema):
    id: int
    user_id: str
    title: str
    description: str | None
    complete: bool
    priority: Priority
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class TaskList(Schema):
    tasks: list[TaskOut]
    count: int


api = NinjaAPI(auth=BetterAuth())


@api.get("/{user_id}/tasks", response=TaskList)
def list_tasks(request: HttpRequest, user_id: str) -> dict[str, Any]:
    tasks = list(Task.objects.filter(user_id=user_id, deleted_at=None)[:1000])
    return {"tasks": tasks, "count": len(tasks)}


@api.post("/{user_id}/tasks", response={201: TaskOut})
def create_task(request: HttpRequest, user_id: str, payload: TaskIn) -> tuple[int, Task]:
    return 201, Task.objects.create(user_id=user_id, **payload.dict())


@api.get("/{user_id}/tasks/{task_id}", response=TaskOut)
def read_task(request: HttpRequest, user_id: str, task_id: int) -> Task:
    return find(user_id, task_id)


@api.put("/{user_id}/tasks/{task_id}", response=TaskOut)
def replace_task(request: HttpRequest, user_id: str, task_id: int, payload: TaskIn) -> Task:
    return update(user_id, task_id, payload.dict())


@api.patch("/{user_id}/tasks/{task_id}", response=TaskOut)
def change_task(request: HttpRequest, user_id: str, task_id: int, payload: TaskPatch) -> Task:
    return update(user_id, task_id, payload.dict(exclude_unset=True))


@api.delete("/{user_id}/tasks/{task_id}", response={204: None})
def delete_task(request: HttpRequest, user_id: str, task_id: int) -> tuple[int, None]:
    find(user_id, task_id).trash()
    return 204, None


def find(user_id: str, task_id: int) -> Task:
    return get_object_or_404(Task, id=task_id, user_id=user_id, deleted_at=None)


def update(user_id: str, task_id: int, values: dict[str, Any]) -> Task:
    task = find(user_id, task_id)
    for name, value in values.items():
        setattr(task, name, value)
    task.save()
    return task


urlpatterns = [path("api/", api.urls)]
