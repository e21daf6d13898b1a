"""Undo: users see their trash, and bring tasks back or delete them permanently."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from tasks.models import Task
from tests.people import Person, is_error

pytestmark = pytest.mark.django_db

NO_TRASH = "is not possible here: this server has no trash"


def trashed(person: Person, **fields: Any) -> dict[str, Any]:
    """As the list of the trash shows it."""
    task = person.create(**fields)
    person.delete(person.task(task["id"]))
    (found,) = [each for each in trash(person)["tasks"] if each["id"] == task["id"]]
    assert {**task, "deleted_at": found["deleted_at"]} == found
    return dict(found)


def trash(person: Person, query: str = "") -> Any:
    return person.get(f"{person.tasks}?deleted=true{query}").json()


def test_the_trash_shows_deleted_tasks_with_their_time(alice: Person, bob: Person) -> None:
    trashed(bob)
    first, second = trashed(alice, title="first"), trashed(alice, title="second")
    alice.create(title="alive")

    assert trash(alice) == {"tasks": [second, first], "count": 2, "next_cursor": None}
    assert first["deleted_at"].endswith("Z")
    assert [task["title"] for task in alice.get(alice.tasks).json()["tasks"]] == ["alive"]
    plain = alice.get(f"{alice.tasks}?deleted=false").json()
    assert plain == alice.get(alice.tasks).json()
    assert "deleted_at" not in plain["tasks"][0]


def test_the_trash_has_the_filters_sorts_and_pages_of_the_list(alice: Person) -> None:
    tasks = [
        trashed(alice, title=title, priority=priority, tags=tags)
        for title, priority, tags in (
            ("b", "low", ["home"]),
            ("a", "high", []),
            ("c", "high", ["home"]),
        )
    ]

    def titles(query: str) -> list[str]:
        return [task["title"] for task in trash(alice, query)["tasks"]]

    assert titles("") == titles("&sort=-deleted_at") == ["c", "a", "b"]
    assert titles("&sort=deleted_at") == ["b", "a", "c"]
    assert titles("&sort=-created_at") == ["c", "a", "b"]
    assert titles("&sort=title") == ["a", "b", "c"]
    assert titles("&priority=high&tag=HOME") == ["c"]
    assert titles("&q=B") == ["b"]
    assert titles("&offset=1&limit=1") == ["a"]
    first = trash(alice, "&limit=2&sort=-priority,deleted_at")
    assert first["count"] == 3
    alice.patch(alice.task(first["tasks"][0]["id"]), {"deleted": False})
    second = trash(alice, f"&limit=2&sort=-priority,deleted_at&cursor={first['next_cursor']}")
    assert [task["title"] for task in first["tasks"] + second["tasks"]] == ["a", "c", "b"]
    assert {task["id"] for task in tasks} == {task["id"] for task in first["tasks"]} | {
        second["tasks"][0]["id"]
    }
    refused = alice.get(f"{alice.tasks}?cursor={first['next_cursor']}&sort=-priority")
    assert refused.status_code == 422


def test_a_restored_task_is_as_before_with_a_new_time(alice: Person) -> None:
    before = trashed(alice, complete=True, tags=["home"], due_date="2026-01-31")
    answer = alice.patch(alice.task(before["id"]), {"deleted": False})

    assert answer.status_code == 200
    restored = answer.json()
    assert restored["updated_at"] > before.pop("updated_at")
    del before["deleted_at"]
    assert {name: restored[name] for name in before} == before
    assert alice.get(alice.task(before["id"])).json() == restored
    assert trash(alice)["count"] == 0


def test_other_fields_are_changed_with_it(alice: Person) -> None:
    task = trashed(alice, title="Buy milk")
    fields = {"deleted": False, "title": "Buy bread", "complete": True}

    restored = alice.patch(alice.task(task["id"]), fields).json()
    assert (restored["title"], restored["complete"]) == ("Buy bread", True)


def test_a_task_that_is_not_in_the_trash_stays_as_it_is(alice: Person) -> None:
    task = alice.create(title="Buy milk")

    assert alice.patch(alice.task(task["id"]), {"deleted": False}).json() == task
    changed = alice.patch(alice.task(task["id"]), {"deleted": False, "title": "x"}).json()
    assert changed["title"] == "x"


def test_what_staff_and_commands_deleted_can_be_restored(alice: Person) -> None:
    for _ in range(2):
        alice.create()
    Task.objects.trash()
    Task.objects.update(deleted_at=timezone.now() - timedelta(days=60))  # not purged yet

    for task in trash(alice)["tasks"]:
        assert alice.patch(alice.task(task["id"]), {"deleted": False}).status_code == 200
    assert alice.get(alice.tasks).json()["count"] == 2


def test_what_was_deleted_permanently_cannot(alice: Person) -> None:
    living, deleted, purged = alice.create(), trashed(alice), trashed(alice)
    Task.objects.filter(pk=purged["id"]).update(deleted_at=timezone.now() - timedelta(days=60))
    call_command("purge_tasks", "--yes")
    for task in (living, deleted):
        answer = alice.delete(f"{alice.task(task['id'])}?permanent=true")
        assert (answer.status_code, answer.content) == (204, b"")
    assert not Task.objects.exists()

    for task in (living, deleted, purged):
        answer = alice.patch(alice.task(task["id"]), {"deleted": False})
        assert is_error(answer, 404, "NOT_FOUND", "There is no such task.")
        answer = alice.delete(f"{alice.task(task['id'])}?permanent=true")
        assert answer.status_code == 404


def test_nobody_restores_or_deletes_the_tasks_of_others(alice: Person, bob: Person) -> None:
    task = trashed(alice)

    assert bob.patch(bob.task(task["id"]), {"deleted": False}).status_code == 404
    assert bob.delete(f"{bob.task(task['id'])}?permanent=true").status_code == 404
    assert bob.patch(alice.task(task["id"]), {"deleted": False}).status_code == 403
    assert trash(alice)["tasks"] == [task]
    assert trash(bob)["count"] == 0


def test_an_invalid_change_restores_nothing(alice: Person) -> None:
    task = trashed(alice)

    answer = alice.patch(alice.task(task["id"]), {"deleted": False, "title": ""})
    assert answer.status_code == 422
    assert trash(alice)["tasks"] == [task]


@pytest.mark.parametrize(
    ("deleted", "message"),
    [
        (True, "must be false: to delete a task, use DELETE"),
        (None, "must be true or false"),
        ("false", "must be true or false"),
        (0, "must be true or false"),
    ],
)
def test_nothing_else_than_false_restores(alice: Person, deleted: Any, message: str) -> None:
    task = alice.create()

    answer = alice.patch(alice.task(task["id"]), {"deleted": deleted})
    assert is_error(answer, 422, "VALIDATION_ERROR", f"deleted: {message}")


def test_deleted_is_not_a_field_of_other_bodies(alice: Person) -> None:
    task = alice.task(alice.create()["id"])
    body = {"title": "x", "complete": False, "deleted": False}

    for answer in (alice.post(alice.tasks, body), alice.put(task, body)):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["loc"] == ["body", "deleted"]


def test_a_task_of_the_trash_may_be_sent_back(alice: Person) -> None:
    task = trashed(alice)

    assert alice.patch(alice.task(task["id"]), {**task, "deleted": False}).status_code == 200
    assert alice.put(alice.task(task["id"]), task).status_code == 200
    assert alice.post(alice.tasks, task).status_code == 201


def test_conditions_hold_for_the_trash_too(alice: Person) -> None:
    task = trashed(alice)
    address = alice.task(task["id"])

    def restore(tag: str) -> Any:
        return alice.client.patch(
            address,
            json.dumps({"deleted": False}),
            content_type="application/json",
            headers={"If-Match": tag},
        )

    stale = restore('"2026-01-31T12:00:00.000000Z"')
    assert stale.status_code == 412
    assert trash(alice)["tasks"] == [task]
    restored = restore(f'"{task["updated_at"]}"')
    assert restored.status_code == 200

    alice.delete(address)
    headers = {"If-Match": f'"{task["updated_at"]}"'}
    permanent = f"{address}?permanent=true"
    assert alice.client.delete(permanent, headers=headers).status_code == 412
    headers = {"If-Match": f'"{restored.json()["updated_at"]}"'}
    assert alice.client.delete(address, headers=headers).status_code == 404
    assert alice.client.delete(permanent, headers=headers).status_code == 204


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("permanent=yes", "permanent: must be true or false"),
        ("permanent=", "permanent: must be true or false"),
        ("permanent=true&permanent=true", "permanent: may be given only once"),
        ("hard=true", "hard: is not a known parameter; did you mean permanent?"),
    ],
)
def test_a_bad_parameter_deletes_nothing(alice: Person, query: str, message: str) -> None:
    task = alice.create()

    answer = alice.delete(f"{alice.task(task['id'])}?{query}")
    assert is_error(answer, 422, "VALIDATION_ERROR", message)
    assert alice.get(alice.task(task["id"])).status_code == 200


def test_permanent_false_moves_to_the_trash(alice: Person) -> None:
    task = alice.create()

    assert alice.delete(f"{alice.task(task['id'])}?permanent=false").status_code == 204
    assert trash(alice)["count"] == 1


def test_without_a_trash_both_are_refused(alice: Person, settings: Any) -> None:
    settings.TASKS_RETENTION_DAYS = 0
    task, other = alice.create(), alice.create()

    answer = alice.get(f"{alice.tasks}?deleted=true")
    assert is_error(answer, 422, "VALIDATION_ERROR", f"deleted: {NO_TRASH}")
    answer = alice.patch(alice.task(task["id"]), {"deleted": False})
    assert is_error(answer, 422, "VALIDATION_ERROR", f"deleted: {NO_TRASH}")
    assert alice.get(f"{alice.tasks}?deleted=false").status_code == 200
    assert alice.delete(alice.task(task["id"])).status_code == 204
    assert alice.delete(f"{alice.task(other['id'])}?permanent=true").status_code == 204
    assert not Task.objects.exists()
