"""Requests with the same condition or the same key at the same time: exactly one wins."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from threading import Barrier
from typing import Any

import orjson
import pytest

from tasks.models import Task
from tests.people import SECRET, token_of
from tests.server import Answer, Server

THREADS = 32
ROUNDS = 10
TASKS = "/api/alice/tasks"


class Clients:
    """Threads, each with a connection that stays open, which send requests at the same time."""

    def __init__(self, server: Server, running: ExitStack) -> None:
        self.wires = [HTTPConnection("127.0.0.1", server.port, timeout=30) for _ in range(THREADS)]
        for wire in self.wires:
            wire.connect()
            running.callback(wire.close)
        self.pool = running.enter_context(ThreadPoolExecutor(THREADS))

    def send(
        self, method: str, path: str, body: Callable[[int], Any], **headers: str
    ) -> list[Answer]:
        """One request of each thread; `body` makes its body from its number."""
        ready = Barrier(THREADS)

        def send(number: int) -> Answer:
            wire = self.wires[number]
            content = orjson.dumps(body(number))
            ready.wait(30)
            wire.request(method, path, content, sent)
            response = wire.getresponse()
            return Answer(response.status, response.headers, response.read())

        sent = {
            "Authorization": f"Bearer {token_of('alice')}",
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return list(self.pool.map(send, range(THREADS)))


@pytest.fixture
def clients(serve: Callable[..., Server]) -> Iterator[Clients]:
    with ExitStack() as running:
        yield Clients(serve(BETTER_AUTH_SECRET=SECRET, WEB_CONCURRENCY="4"), running)


@pytest.mark.parametrize("by", ["ETag", "updated_at"])
def test_of_all_who_change_the_same_version_exactly_one_succeeds(clients: Clients, by: str) -> None:
    first, *_ = clients.send("POST", TASKS, lambda _: {"title": "x"}, Idempotency_Key="first")
    task, tag = first.json(), first.headers["ETag"]
    for number in range(ROUNDS):
        condition = tag if by == "ETag" else f'"{task["updated_at"]}"'
        answers = clients.send(
            "PATCH",
            f"{TASKS}/{task['id']}",
            lambda thread, number=number: {"title": f"{number} of {thread}"},  # type: ignore[misc]
            If_Match=condition,
        )
        assert Counter(each.status for each in answers) == {200: 1, 412: THREADS - 1}
        (won,) = (each for each in answers if each.status == 200)
        task, tag = won.json(), won.headers["ETag"]
        assert {each.headers["ETag"] for each in answers} == {tag}

    assert Task.objects.get().title == task["title"]


def test_of_all_who_delete_the_same_version_exactly_one_succeeds(clients: Clients) -> None:
    first, *_ = clients.send("POST", TASKS, lambda _: {"title": "x"}, Idempotency_Key="first")
    answers = clients.send(
        "DELETE",
        f"{TASKS}/{first.json()['id']}?permanent=true",
        lambda _: None,
        If_Match=first.headers["ETag"],
    )

    assert Counter(each.status for each in answers) == {204: 1, 404: THREADS - 1}


def test_one_key_creates_one_task(clients: Clients) -> None:
    for number in range(ROUNDS):
        answers = clients.send(
            "POST", TASKS, lambda _: {"title": "x", "tags": ["a"]}, Idempotency_Key=f"key-{number}"
        )
        assert {each.status for each in answers} == {201}
        assert len({each.body for each in answers}) == 1
        assert len({each.headers["Location"] for each in answers}) == 1
        replayed = Counter(each.headers["Idempotent-Replayed"] for each in answers)
        assert replayed == {None: 1, "true": THREADS - 1}
        assert Task.objects.count() == number + 1


def test_one_key_with_several_bodies_creates_one_task(clients: Clients) -> None:
    answers = clients.send(
        "POST", TASKS, lambda thread: {"title": f"{thread % 2}"}, Idempotency_Key="key"
    )

    statuses = Counter(each.status for each in answers)
    assert statuses == {201: THREADS // 2, 422: THREADS // 2}
    assert {each.json()["error_code"] for each in answers if each.status == 422} == {
        "IDEMPOTENCY_KEY_REUSED"
    }
    assert Task.objects.count() == 1
