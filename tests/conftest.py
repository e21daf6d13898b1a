"""Three people, their tokens, and a client that sends them."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jwt
import pytest
from django.test import Client

from tests.server import Server

SECRET = "0123456789abcdef0123456789abcdef-tests"


@pytest.fixture(autouse=True)
def _shared_secret(settings: Any) -> None:
    """The tests bring their own configuration, whatever the machine has."""
    settings.BETTER_AUTH_URL = ""
    settings.BETTER_AUTH_JWKS_URL = ""
    settings.BETTER_AUTH_ISSUER = ""
    settings.BETTER_AUTH_AUDIENCE = []
    settings.BETTER_AUTH_SECRET = SECRET


def token_of(user_id: str, **claims: Any) -> str:
    now = int(time.time())
    return jwt.encode({"sub": user_id, "iat": now, "exp": now + 900, **claims}, SECRET, "HS256")


class Person:
    """Somebody with a token; sends JSON to paths below their own tasks."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.tasks = f"/api/{user_id}/tasks"
        self.client = Client(headers={"Authorization": f"Bearer {token_of(user_id)}"})

    def task(self, task_id: object) -> str:
        return f"{self.tasks}/{task_id}"

    def get(self, path: str, **kwargs: Any) -> Any:
        return self.client.get(path, **kwargs)

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


@pytest.fixture
def alice() -> Person:
    return Person("alice")


@pytest.fixture
def bob() -> Person:
    return Person("bob")


@pytest.fixture
def charlie() -> Person:
    """The stranger: a good token, and no task."""
    return Person("charlie")


@pytest.fixture
def serve(transactional_db: None, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers on the tests' database, each with the environment variables given."""
    with ExitStack() as running:

        def start(**environment: str) -> Server:
            log = tmp_path / f"server-{time.monotonic_ns()}.log"
            return running.enter_context(Server(log, **environment))

        yield start
