"""Checks come in this order: 401, 403, and only then path, query and body."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from authjwt.bearer import MISSING
from tests.people import Person, Sends, is_error, token_of

pytestmark = pytest.mark.django_db

Operation = Callable[[Client, Person, object], Any]
Request = Callable[[Client, Person], Any]

OPERATIONS: dict[str, Operation] = {
    "list": lambda client, person, task: client.get(person.tasks),
    "create": lambda client, person, task: client.post(
        person.tasks, {"title": "Mine now"}, content_type="application/json"
    ),
    "read": lambda client, person, task: client.get(person.task(task)),
    "replace": lambda client, person, task: client.put(
        person.task(task),
        {"title": "Mine now", "complete": True},
        content_type="application/json",
    ),
    "change": lambda client, person, task: client.patch(
        person.task(task), {"title": "Mine now"}, content_type="application/json"
    ),
    "delete": lambda client, person, task: client.delete(person.task(task)),
}
NONSENSE: dict[str, Request] = {
    "path": lambda client, person: client.get(person.task("no-id")),
    "query": lambda client, person: client.get(f"{person.tasks}?limit=-1"),
    "body": lambda client, person: client.post(person.tasks, "{", content_type="application/json"),
    "type": lambda client, person: client.post(person.tasks, "x", content_type="text/plain"),
    "size": lambda client, person: client.post(
        person.tasks, "x" * 70_000, content_type="application/json"
    ),
}

every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
every_nonsense = pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE.keys())


@every_operation
def test_without_a_token_it_is_401(operation: Operation, alice: Person) -> None:
    task = alice.create()
    response = operation(Client(), alice, task["id"])

    assert is_error(response, 401, "AUTH_MISSING", MISSING)
    assert response["WWW-Authenticate"] == "Bearer"
    assert alice.get(alice.tasks).json()["tasks"] == [task]


@every_operation
def test_a_stranger_gets_403_and_nothing_happens(
    operation: Operation,
    alice: Person,
    charlie: Person,
    sends: Sends,
) -> None:
    task = alice.create()
    with sends(0):
        response = operation(charlie.client, alice, task["id"])

    detail = "This token belongs to another user. The address says user alice."
    assert is_error(response, 403, "AUTH_FORBIDDEN", detail)
    assert alice.get(alice.tasks).json()["tasks"] == [task]


@every_operation
def test_a_stranger_cannot_find_out_who_exists(
    operation: Operation, alice: Person, charlie: Person
) -> None:
    task = alice.create()
    somebody = operation(charlie.client, alice, task["id"]).json()
    nobody = operation(charlie.client, Person("nobody"), 2**40).json()

    detail = somebody["detail"].replace("alice", "nobody")  # the answer repeats the address
    same = {"timestamp": "", "request_id": ""}
    assert somebody | same == nobody | same | {"detail": somebody["detail"]}
    assert detail == nobody["detail"]


@pytest.mark.parametrize("name", ["read", "replace", "change", "delete"])
def test_another_users_task_is_404_as_if_it_did_not_exist(
    name: str, alice: Person, bob: Person
) -> None:
    task = alice.create()
    operation = OPERATIONS[name]
    hers = operation(bob.client, bob, task["id"])
    none = operation(bob.client, bob, 2**40)

    same = {"timestamp": "", "request_id": ""}
    assert is_error(hers, 404, "NOT_FOUND", "There is no such task.")
    assert hers.json() | same == none.json() | same
    assert {**hers.headers, "X-Request-ID": ""} == {**none.headers, "X-Request-ID": ""}
    assert alice.get(alice.tasks).json()["tasks"] == [task]


@every_nonsense
def test_nonsense_without_a_token_is_401(nonsense: Request, alice: Person) -> None:
    assert nonsense(Client(), alice).status_code == 401


@every_nonsense
def test_nonsense_from_a_stranger_is_403(nonsense: Request, alice: Person, charlie: Person) -> None:
    assert nonsense(charlie.client, alice).status_code == 403


def test_only_the_header_authenticates(alice: Person) -> None:
    client = Client()
    token = token_of("alice")
    client.cookies["better-auth.session_token"] = token
    client.cookies["Authorization"] = f"Bearer {token}"

    assert client.get(alice.tasks).status_code == 401
    assert client.get(f"{alice.tasks}?access_token={token}").status_code == 401
    assert client.get(alice.tasks, headers={"X-Authorization": token}).status_code == 401


@pytest.mark.parametrize(
    "path_user", ["Alice", "alice ", "alice/", "alic%65/x", "ALICE", "a", "alice\x00"]
)
def test_a_user_id_is_compared_character_for_character(alice: Person, path_user: str) -> None:
    response = alice.get(f"/api/{path_user}/tasks")

    assert response.status_code == 403


def test_a_percent_encoded_spelling_of_the_own_id_is_accepted(alice: Person) -> None:
    assert alice.get("/api/al%69ce/tasks").status_code == 200


def test_a_user_id_too_long_for_any_token_is_403(alice: Person) -> None:
    assert alice.get(f"/api/{'x' * 5000}/tasks").status_code == 403
