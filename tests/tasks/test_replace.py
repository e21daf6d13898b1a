"""PUT /api/{user_id}/tasks/{task_id}"""

import json
from typing import Any

import pytest

from tests.people import Person, Sends, is_error

pytestmark = pytest.mark.django_db


def test_a_replacement_sets_every_field(alice: Person) -> None:
    created = alice.create(title="Buy milk")
    response = alice.put(
        alice.task(created["id"]),
        {"title": " Buy bread ", "description": "rye", "complete": True, "priority": "LOW"},
    )

    updated_at = response.json()["updated_at"]
    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-cache"
    assert updated_at > created["updated_at"]
    assert response.json() == created | {
        "title": "Buy bread",
        "description": "rye",
        "complete": True,
        "priority": "low",
        "completed_at": updated_at,
        "updated_at": updated_at,
    }
    assert alice.get(alice.task(created["id"])).json() == response.json()


def test_what_is_left_out_returns_to_its_default(alice: Person) -> None:
    created = alice.create(description="two litres", complete=True, priority="high")
    replaced = alice.put(alice.task(created["id"]), {"title": "Buy milk", "complete": False}).json()

    assert replaced["description"] is None
    assert replaced["priority"] == "medium"
    assert replaced["completed_at"] is None


def test_replace_costs_one_statement(alice: Person, sends: Sends) -> None:
    path = alice.task(alice.create()["id"])

    with sends(1):
        alice.put(path, {"title": "Buy bread", "complete": True})


def test_completed_at_is_kept_while_complete_stays_true(alice: Person) -> None:
    created = alice.create(complete=True)
    replaced = alice.put(alice.task(created["id"]), {"title": "Buy bread", "complete": True}).json()

    assert replaced["completed_at"] == created["completed_at"]
    assert replaced["updated_at"] > created["updated_at"]


def test_a_task_sent_back_unchanged_changes_nothing(alice: Person) -> None:
    created = alice.create(description="two litres", complete=True, priority="high")

    assert alice.put(alice.task(created["id"]), created).json() == created


@pytest.mark.parametrize(
    ("body", "place"), [({"title": "Buy milk"}, "complete"), ({"complete": True}, "title")]
)
def test_title_and_complete_are_required(alice: Person, body: Any, place: str) -> None:
    response = alice.put(alice.task(alice.create()["id"]), body)

    assert is_error(
        response,
        422,
        "VALIDATION_ERROR",
        f"{place}: is required; to change single fields, use PATCH",
    )


def test_a_broken_rule_is_422_and_changes_nothing(
    alice: Person, broken: tuple[Any, str, str]
) -> None:
    fields, place, sentence = broken
    created = alice.create()
    path = alice.task(created["id"])
    response = alice.put(path, json.dumps({"title": "Buy bread", "complete": True, **fields}))

    assert is_error(response, 422, "VALIDATION_ERROR", f"{place}: {sentence}")
    assert alice.get(path).json() == created


def test_malformed_json_is_400(alice: Person, malformed: Any) -> None:
    response = alice.put(alice.task(alice.create()["id"]), malformed)

    assert is_error(response, 400, "VALIDATION_ERROR", response.json()["detail"])


def test_json_that_is_no_object_is_422(alice: Person, no_object: str) -> None:
    response = alice.put(alice.task(alice.create()["id"]), no_object)

    assert is_error(response, 422, "VALIDATION_ERROR", "must be a JSON object")


def test_a_task_that_does_not_exist_is_404(alice: Person) -> None:
    response = alice.put(alice.task(2**63 - 1), {"title": "Buy milk", "complete": True})

    assert is_error(response, 404, "NOT_FOUND", "There is no such task.")
