"""PATCH /api/{user_id}/tasks/{task_id}"""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tasks.models import Task
from tests.people import Person, Sends, is_error

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        ("title", " Buy bread ", "Buy bread"),
        ("description", "rye", "rye"),
        ("description", None, None),
        ("description", "", ""),
        ("priority", "LOW", "low"),
    ],
)
def test_one_field_changes_and_the_rest_stays(
    alice: Person, field: str, value: Any, stored: Any
) -> None:
    created = alice.create(title="Buy milk", description="two litres", priority="high")
    response = alice.patch(alice.task(created["id"]), {field: value})

    updated_at = response.json()["updated_at"]
    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-cache"
    assert updated_at > created["updated_at"]
    assert response.json() == created | {field: stored, "updated_at": updated_at}
    assert alice.get(alice.task(created["id"])).json() == response.json()


def test_change_costs_one_statement(alice: Person, sends: Sends) -> None:
    path = alice.task(alice.create()["id"])

    with sends(1):
        alice.patch(path, {"complete": True})


def test_completing_sets_completed_at_and_reopening_clears_it(alice: Person) -> None:
    path = alice.task(alice.create()["id"])

    done = alice.patch(path, {"complete": True}).json()
    assert done["completed_at"] == done["updated_at"]
    still = alice.patch(path, {"complete": True, "title": "Buy bread"}).json()
    assert still["completed_at"] == done["completed_at"]
    assert still["updated_at"] > done["updated_at"]
    again = alice.patch(path, {"complete": False}).json()
    assert again["completed_at"] is None


def test_a_change_that_changes_nothing_leaves_updated_at_alone(alice: Person) -> None:
    created = alice.create(description=None, complete=True)
    path = alice.task(created["id"])

    assert alice.patch(path, {"complete": True, "title": " Buy milk"}).json() == created
    assert alice.patch(path, {"description": None}).json() == created
    assert alice.patch(path, created).json() == created


def test_updated_at_grows_even_when_the_clock_goes_back(alice: Person) -> None:
    created = alice.create()
    tomorrow = timezone.now() + timedelta(days=1)
    Task.objects.update(updated_at=tomorrow)
    changed = alice.patch(alice.task(created["id"]), {"complete": True}).json()

    assert Task.objects.get().updated_at == tomorrow + timedelta(microseconds=1)
    assert changed["completed_at"] == changed["updated_at"]


@pytest.mark.parametrize("body", [{}, {"id": 7, "user_id": "bob", "updated_at": "now"}])
def test_an_empty_change_is_400(alice: Person, body: Any) -> None:
    response = alice.patch(alice.task(alice.create()["id"]), body)

    assert is_error(response, 400, "VALIDATION_ERROR", "At least one field must be provided")


def test_a_broken_rule_is_422_and_changes_nothing(
    alice: Person, broken: tuple[Any, str, str]
) -> None:
    fields, place, sentence = broken
    created = alice.create()
    path = alice.task(created["id"])
    response = alice.patch(path, json.dumps(fields))

    assert is_error(response, 422, "VALIDATION_ERROR", f"{place}: {sentence}")
    assert alice.get(path).json() == created


def test_malformed_json_is_400(alice: Person, malformed: Any) -> None:
    response = alice.patch(alice.task(alice.create()["id"]), malformed)

    assert is_error(response, 400, "VALIDATION_ERROR", response.json()["detail"])


def test_json_that_is_no_object_is_422(alice: Person, no_object: str) -> None:
    response = alice.patch(alice.task(alice.create()["id"]), no_object)

    assert is_error(response, 422, "VALIDATION_ERROR", "must be a JSON object")


def test_a_task_that_does_not_exist_is_404(alice: Person) -> None:
    response = alice.patch(alice.task(2**63 - 1), {"complete": True})

    assert is_error(response, 404, "NOT_FOUND", "There is no such task.")
