"""The users of the tests: their tokens, and a client that sends them."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote

import jwt
from django.test import Client

Sends = Callable[[int], AbstractContextManager[None]]
"""`with sends(1):` asserts that the block sends exactly one statement to the database."""

SECRET = "0123456789abcdef0123456789abcdef-tests"


def is_error(response: Any, status: int, error_code: str, detail: str) -> bool:
    """Asserts that an answer is this error, in the form that all errors have."""
    members = {"detail", "error_code", "timestamp", "request_id"}
    if error_code == "VALIDATION_ERROR":
        members.add("errors")
    body = response.json()
    assert response["Content-Type"] == "application/json"
    assert body.keys() == members
    assert body["request_id"] == response["X-Request-ID"]
    assert (response.status_code, body["error_code"], body["detail"]) == (
        status,
        error_code,
        detail,
    )
    return True


def token_of(user_id: str, **claims: Any) -> str:
    now = int(time.time())
    return jwt.encode({"sub": user_id, "iat": now, "exp": now + 900, **claims}, SECRET, "HS256")


class Person:
    """A user with a token, who sends JSON to paths under `tasks`."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.tasks = f"/api/{quote(user_id, safe='')}/tasks"
        self.client = Client(headers={"Authorization": f"Bearer {token_of(user_id)}"})

    def task(self, task_id: object) -> str:
        return f"{self.tasks}/{task_id}"

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def post(self, path: str, body: Any) -> Any:
        return self.client.post(path, body, content_type="application/json")

    def put(self, path: str, body: Any) -> Any:
        return self.client.put(path, body, content_type="application/json")

    def patch(self, path: str, body: Any) -> Any:
        return self.client.patch(path, body, content_type="application/json")

    def delete(self, path: str) -> Any:
        return self.client.delete(path)

    def create(self, **fields: Any) -> dict[str, Any]:
        response = self.post(self.tasks, {"title": "Buy milk", **fields})
        assert response.status_code == 201, response.content
        created: dict[str, Any] = response.json()
        return created
