"""Endpoints written as in django-ninja's tutorial are thread-safe here."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from ninja import Schema

from config.http import handlers
from config.http.openapi import DocumentedAPI

CALLS = int(os.environ.get("ENDPOINT_CALLS", "2000"))
THREADS = 8


class Greeting(Schema):
    user: str
    number: int


api = DocumentedAPI(urls_namespace="tutorial")
handlers.install(api)


@api.get("/dict/{user}/{number}")
def as_a_dict(request: HttpRequest, user: str, number: int) -> dict[str, Any]:
    return {"user": user, "number": number}


@api.get("/schema/{user}/{number}", response=Greeting)
def as_a_schema(request: HttpRequest, user: str, number: int) -> Greeting:
    return Greeting(user=user, number=number)


@api.get("/status/{user}/{number}", response={200: Greeting, 204: None, 418: Greeting})
def with_a_status(request: HttpRequest, user: str, number: int) -> Any:
    if number % 3 == 0:
        return 204, None
    return (418 if number % 3 == 1 else 200), {"user": user, "number": number}


PATTERNS: Any = api.urls[0]
VIEWS = {pattern.name: pattern.callback for pattern in PATTERNS}


def body(user: str, number: int) -> bytes:
    return b'{"user": "%s", "number": %d}' % (user.encode(), number)


def plain(user: str, number: int) -> tuple[int, bytes]:
    return 200, body(user, number)


def by_number(user: str, number: int) -> tuple[int, bytes]:
    status = (204, 418, 200)[number % 3]
    return status, b"" if status == 204 else body(user, number)


@pytest.mark.filterwarnings("ignore:Returning tuple")  # as in older tutorials
@pytest.mark.parametrize(
    ("name", "expected"),
    [("as_a_dict", plain), ("as_a_schema", plain), ("with_a_status", by_number)],
)
def test_users_in_parallel_threads_never_get_the_answer_of_another(
    name: str, expected: Callable[[str, int], tuple[int, bytes]]
) -> None:
    view, requests = VIEWS[name], RequestFactory()

    def ask(user: str, number: int) -> None:
        answer = view(requests.get("/"), user=user, number=number)
        assert (answer.status_code, answer.content) == expected(user, number)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(ask, ["alice", "bob"] * (CALLS // 2), range(CALLS)))
