"""Conditional requests: nobody overwrites what somebody else has changed, or gets it again."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from tasks.headers import entity_tag
from tasks.models import Task
from tests.people import Person, is_error

pytestmark = pytest.mark.django_db

CHANGED = "The task has changed since then. Read it again before changing it."
REPLACEMENT = {"title": "Buy bread", "complete": True}


def send(person: Person, method: str, path: str, **headers: str) -> Any:
    """A request with these headers: `if_match` is If-Match."""
    body = {"PUT": REPLACEMENT, "PATCH": {"title": "Buy bread"}}.get(method)
    return person.client.generic(
        method,
        path,
        "" if body is None else json.dumps(body),
        content_type="application/json",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


@pytest.fixture
def task(alice: Person) -> dict[str, Any]:
    return alice.create(title="Buy milk")


def test_every_answer_with_a_task_has_the_same_strong_tag(alice: Person) -> None:
    created = alice.post(alice.tasks, {"title": "Buy milk"})
    address = alice.task(created.json()["id"])
    read, head = alice.get(address), alice.client.head(address)

    assert created["ETag"] == read["ETag"] == head["ETag"]
    assert created["ETag"].startswith('"')
    changed = alice.patch(address, {"title": "Buy bread"})
    assert changed["ETag"] == alice.get(address)["ETag"] != read["ETag"]
    replaced = alice.put(address, REPLACEMENT)
    assert replaced["ETag"] == alice.get(address)["ETag"] != changed["ETag"]


def test_the_database_computes_the_same_tag(alice: Person) -> None:
    for title in ("Buy milk", "Äpfel 🍎", *"abcdefgh"):
        content = alice.post(alice.tasks, {"title": title}).content
        with connection.cursor() as cursor:
            cursor.execute("SELECT tasks_api.tag_of(%s)", [content.decode()])
            assert cursor.fetchone() == (entity_tag(content)[1:-1],)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("is_list", [False, True], ids=["task", "list"])
def test_an_unchanged_answer_is_304(
    alice: Person, task: dict[str, Any], method: str, *, is_list: bool
) -> None:
    address = f"{alice.tasks}?limit=1" if is_list else alice.task(task["id"])
    alice.create()
    full = send(alice, method, address)
    tag = full["ETag"]

    for value in (tag, f"W/{tag}", "*", f'"x", {tag}', f'"a,b" ,, W/{tag},'):
        answer = send(alice, method, address, if_none_match=value)
        assert (answer.status_code, answer.content) == (304, b"")
        assert {name: answer[name] for name in ("ETag", "Cache-Control", "Vary")} == {
            "ETag": tag,
            "Cache-Control": "private, no-cache",
            "Vary": full["Vary"],
        }
        assert "Content-Type" not in answer
        assert "Link" not in answer
    assert send(alice, method, address, if_none_match='"x"').status_code == 200
    assert send(alice, method, address, if_match='"x"').status_code == 200


def test_a_changed_list_is_sent_again(alice: Person, task: dict[str, Any]) -> None:
    tag = alice.get(alice.tasks)["ETag"]
    alice.patch(alice.task(task["id"]), {"complete": True})

    answer = send(alice, "GET", alice.tasks, if_none_match=tag)

    assert answer.status_code == 200
    assert answer["ETag"] != tag


def test_a_cache_may_keep_an_answer_but_must_ask(alice: Person, task: dict[str, Any]) -> None:
    address = alice.task(task["id"])
    answers = [
        alice.get(alice.tasks),
        alice.get(address),
        alice.post(alice.tasks, {"title": "x"}),
        alice.patch(address, {"title": "x"}),
        alice.put(address, REPLACEMENT),
    ]

    for answer in answers:
        assert answer["Cache-Control"] == "private, no-cache"
        assert {name.strip().lower() for name in answer["Vary"].split(",")} >= {
            "authorization",
            "origin",
        }
    deleted = alice.delete(address)
    assert "no-store" in deleted["Cache-Control"]
    assert "ETag" not in deleted
    assert "ETag" not in alice.get(address)


WRITES = ("PUT", "PATCH", "DELETE")


@pytest.mark.parametrize("method", WRITES)
def test_a_tag_of_the_present_task_holds(alice: Person, task: dict[str, Any], method: str) -> None:
    address = alice.task(task["id"])

    for value in ('W/"x", {tag}', '"{time}"', "*", '"x","{time}"', '{tag}, "x"'):
        Task.objects.filter(pk=task["id"]).update(deleted_at=None)
        present = alice.get(address)
        value = value.format(tag=present["ETag"], time=present.json()["updated_at"])  # noqa: PLW2901
        answer = send(alice, method, address, if_match=value)
        assert answer.status_code == (204 if method == "DELETE" else 200), value


@pytest.mark.parametrize("method", WRITES)
def test_another_tag_is_412_and_nothing_happens(
    alice: Person, task: dict[str, Any], method: str
) -> None:
    address = alice.task(task["id"])
    old = alice.get(address)["ETag"]
    alice.patch(address, {"complete": True})
    present = alice.get(address)

    for condition in (
        {"if_match": old},
        {"if_match": f"W/{present['ETag']}"},
        {"if_match": f'"{task["updated_at"]}"'},
        {"if_match": '"x", "y"'},
        {"if_none_match": present["ETag"]},
        {"if_none_match": f"W/{present['ETag']}"},
        {"if_none_match": "*"},
        {"if_match": present["ETag"], "if_none_match": present["ETag"]},
    ):
        answer = send(alice, method, address, **condition)
        assert is_error(answer, 412, "PRECONDITION_FAILED", CHANGED)
        assert answer["ETag"] == present["ETag"]
    assert alice.get(address).content == present.content


def test_a_tag_that_is_not_the_present_one_may_be_excluded(
    alice: Person, task: dict[str, Any]
) -> None:
    address = alice.task(task["id"])

    assert send(alice, "PATCH", address, if_none_match='"x"').status_code == 200


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("condition", [{"if_match": "*"}, {"if_none_match": "*"}], ids=str)
def test_no_such_task_stays_404(alice: Person, method: str, condition: dict[str, str]) -> None:
    another = Person("bob").create()
    for task_id in (another["id"], 2**62):
        answer = send(alice, method, alice.task(task_id), **condition)
        assert is_error(answer, 404, "NOT_FOUND", "There is no such task.")


UNREADABLE = ["", " ", "x", '"', '"a', 'a"', '"a" "b"', "W/", 'w/"a"', '"a",*', "*,*", '"a\tb"']
RULE = 'must be * or entity tags in quotes, such as "abc", with commas in between'


@pytest.mark.parametrize("value", UNREADABLE)
def test_a_condition_that_cannot_be_read_is_400(
    alice: Person, task: dict[str, Any], value: str
) -> None:
    address = alice.task(task["id"])

    for method in ("GET", "HEAD", *WRITES):
        answer = send(alice, method, address, if_none_match=value)
        assert answer.status_code == 400
    for method in WRITES:
        answer = send(alice, method, address, if_match=value)
        assert is_error(answer, 400, "VALIDATION_ERROR", f"if-match: {RULE}")
        assert answer.json()["errors"][0]["loc"] == ["header", "if-match"]
    for method in ("GET", "HEAD"):
        assert send(alice, method, address, if_match=value).status_code == 200
    assert alice.get(address).json() == task


def test_the_order_of_refusals(alice: Person, task: dict[str, Any]) -> None:
    """401, 403, header 400, body 422, 404, 412."""
    mine, nothing = alice.task(task["id"]), alice.task(2**62)
    unreadable, stale = {"If-Match": "x"}, {"If-Match": '"x"'}

    def status(client: Client, path: str, body: Any, headers: dict[str, str]) -> int:
        answer = client.patch(path, body, content_type="application/json", headers=headers)
        return answer.status_code

    assert status(Client(), mine, {"title": ""}, unreadable) == 401
    assert status(Person("bob").client, mine, {"title": ""}, unreadable) == 403
    assert status(alice.client, nothing, {"title": ""}, unreadable) == 400
    assert status(alice.client, nothing, {"title": ""}, stale) == 422
    assert status(alice.client, nothing, {"title": "x"}, stale) == 404
    assert status(alice.client, mine, {"title": "x"}, stale) == 412
    assert alice.client.get(nothing, headers={"If-None-Match": "*"}).status_code == 404


def test_a_change_that_changes_nothing_keeps_the_tag(alice: Person, task: dict[str, Any]) -> None:
    address = alice.task(task["id"])
    before = alice.get(address)["ETag"]

    assert alice.patch(address, {"title": "Buy milk"})["ETag"] == before
