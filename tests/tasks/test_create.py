"""POST /api/{user_id}/tasks"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.http.errors import NOT_JSON
from tasks.models import Task
from tests.people import Person, Sends, is_error

pytestmark = pytest.mark.django_db


def test_a_title_makes_a_task_with_defaults(alice: Person) -> None:
    response = alice.post(alice.tasks, {"title": "Buy milk"})

    task = Task.objects.get()
    created_at = response.json()["created_at"]
    assert response.status_code == 201
    assert response["Location"] == f"/api/alice/tasks/{task.id}"
    assert response["Cache-Control"] == "private, no-cache"
    assert response["Content-Type"] == "application/json"
    assert response.json() == {
        "id": task.id,
        "user_id": "alice",
        "title": "Buy milk",
        "description": None,
        "complete": False,
        "priority": "medium",
        "due_date": None,
        "tags": [],
        "completed_at": None,
        "created_at": created_at,
        "updated_at": created_at,
    }


def test_timestamps_are_rfc_3339_in_utc(alice: Person) -> None:
    created = alice.create(complete=True)["created_at"]

    assert created.endswith("Z")
    assert abs(datetime.fromisoformat(created) - datetime.now(UTC)) < timedelta(minutes=1)


def test_all_fields_are_kept(alice: Person) -> None:
    created = alice.create(
        title="Call Bob",
        description="about the milk",
        complete=True,
        priority="high",
        due_date="2026-01-31",
        tags=["home", "Shopping"],
    )

    assert created["title"] == "Call Bob"
    assert created["description"] == "about the milk"
    assert created["complete"] is True
    assert created["completed_at"] == created["created_at"]
    assert created["priority"] == "high"
    assert created["due_date"] == "2026-01-31"
    assert created["tags"] == ["home", "Shopping"]


def test_create_costs_one_statement(alice: Person, sends: Sends) -> None:
    with sends(1):
        alice.create()


def test_the_location_leads_to_the_task(alice: Person) -> None:
    response = alice.post(alice.tasks, {"title": "Buy milk"})

    assert alice.get(response["Location"]).json() == response.json()


@pytest.mark.parametrize("user_id", ["a b", "a/b", "ä?#%", "550e8400-e29b-41d4-a716-446655440000"])
def test_the_location_of_any_user_leads_to_the_task(user_id: str) -> None:
    person = Person(user_id)
    response = person.post(person.tasks, {"title": "Buy milk"})

    assert response.status_code == 201
    assert response.json()["user_id"] == user_id
    assert person.get(response["Location"]).json() == response.json()


def test_white_space_around_the_title_is_trimmed(alice: Person) -> None:
    assert alice.create(title=" \t\u2003Buy  milk\n")["title"] == "Buy  milk"


def test_a_title_of_200_characters_fits_with_white_space_around_it(alice: Person) -> None:
    assert alice.create(title=f" {'😀' * 200} ")["title"] == "😀" * 200


def test_a_description_of_1000_characters_is_kept_untrimmed(alice: Person) -> None:
    text = " " + "x" * 998 + "\n"

    assert alice.create(description=text)["description"] == text


@pytest.mark.parametrize("priority", ["HIGH", "High", "hIGH", "high"])
def test_priority_is_stored_in_lower_case(alice: Person, priority: str) -> None:
    assert alice.create(priority=priority)["priority"] == "high"


def test_read_only_fields_have_no_effect(alice: Person, bob: Person) -> None:
    created = alice.create(
        id=1_000_000,
        user_id="bob",
        completed_at="2000-01-01T00:00:00Z",
        created_at=17,
        updated_at=["never"],
    )

    assert created["id"] != 1_000_000
    assert created["user_id"] == "alice"
    assert created["completed_at"] is None
    assert not created["created_at"].startswith("2000")
    assert bob.get(bob.tasks).json() == {"tasks": [], "count": 0, "next_cursor": None}


def test_a_broken_rule_is_422_and_names_the_field(
    alice: Person, broken: tuple[Any, str, str]
) -> None:
    fields, place, sentence = broken
    response = alice.post(alice.tasks, json.dumps({"title": "Buy milk", **fields}))

    assert is_error(response, 422, "VALIDATION_ERROR", f"{place}: {sentence}")
    assert [(item["loc"], item["msg"]) for item in response.json()["errors"]] == [
        (["body", place], sentence)
    ]
    assert not Task.objects.exists()


def test_all_broken_rules_are_reported_together(alice: Person) -> None:
    response = alice.post(alice.tasks, {"description": 5, "complete": "no", "colour": "red"})

    assert [item["loc"][1] for item in response.json()["errors"]] == [
        "colour",
        "title",
        "description",
        "complete",
    ]


def test_errors_are_bounded_in_number_and_length(alice: Person) -> None:
    body = {"title": "Buy milk", "x" * 5000: 1} | {f"field{n}": n for n in range(3000)}
    response = alice.post(alice.tasks, body)

    assert response.status_code == 422
    assert len(response.json()["errors"]) == 20
    assert len(response.content) < 4000


def test_a_lone_surrogate_in_a_name_is_422(alice: Person) -> None:
    response = alice.post(alice.tasks, '{"title": "Buy milk", "\\ud83d": 1}')

    assert response.status_code == 422
    assert response.json()["error_code"] == "VALIDATION_ERROR"


def test_malformed_json_is_400(alice: Person, malformed: Any) -> None:
    response = alice.post(alice.tasks, malformed)

    assert response.status_code == 400
    assert is_error(response, 400, "VALIDATION_ERROR", response.json()["detail"])
    assert not Task.objects.exists()


def test_malformed_json_is_reported_with_line_and_column(alice: Person) -> None:
    response = alice.post(alice.tasks, '{"title":\n nix}')

    assert response.json()["detail"] == "The body is not valid JSON (line 2, column 2)."


def test_json_that_is_no_object_is_422(alice: Person, no_object: str) -> None:
    response = alice.post(alice.tasks, no_object)

    assert is_error(response, 422, "VALIDATION_ERROR", "must be a JSON object")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"],
)
def test_another_content_type_is_415(alice: Person, content_type: str) -> None:
    response = alice.client.post(alice.tasks, '{"title": "x"}', content_type=content_type)

    assert is_error(response, 415, "UNSUPPORTED_MEDIA_TYPE", NOT_JSON)


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;"]
)
def test_json_with_parameters_is_json(alice: Person, content_type: str) -> None:
    response = alice.client.post(alice.tasks, '{"title": "x"}', content_type=content_type)

    assert response.status_code == 201


def test_a_compressed_body_is_415(alice: Person) -> None:
    response = alice.client.post(
        alice.tasks,
        b"\x1f\x8b",
        content_type="application/json",
        headers={"Content-Encoding": "gzip"},
    )

    assert is_error(response, 415, "UNSUPPORTED_MEDIA_TYPE", "The body must not be compressed.")


def test_64_kib_are_read_and_one_byte_more_is_413(alice: Person) -> None:
    fits = json.dumps({"title": "Buy milk"}).ljust(64 * 1024)

    assert alice.post(alice.tasks, fits).status_code == 201
    assert is_error(
        alice.post(alice.tasks, fits + " "),
        413,
        "PAYLOAD_TOO_LARGE",
        "The body must have at most 64 KiB.",
    )
