"""`restore_tasks`: brings back what a user deleted."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.models import Task
from tests.commands import Run, run
from tests.people import Person

pytestmark = pytest.mark.django_db


def trashed(user_id: str, hours: int) -> Task:
    return Task.objects.create(
        user_id=user_id, title="Buy milk", deleted_at=datetime.now(UTC) - timedelta(hours=hours)
    )


def in_the_trash() -> set[Task]:
    return set(Task.objects.trashed())


@pytest.mark.parametrize("due_date", ["2026-01-31", "2026-01-31T16:30:00.000000Z"])
def test_a_task_is_as_it_was(alice: Person, due_date: str) -> None:
    fields = {"description": "2 l", "complete": True, "due_date": due_date, "tags": ["Café"]}
    task = alice.create(priority="high", **fields)
    row = Task.objects.values().get()
    alice.delete(alice.task(task["id"]))

    assert run("restore_tasks", "--user", "alice") == Run(0, "Restored: 1 task.\n")

    assert alice.get(alice.task(task["id"])).json() == task
    assert Task.objects.values().get() == row


def test_only_this_users() -> None:
    trashed("alice", 1)
    kept = trashed("bob", 1)

    assert run("restore_tasks", "--user", "alice").out == "Restored: 1 task.\n"
    assert in_the_trash() == {kept}


def test_only_what_was_deleted_since() -> None:
    trashed("alice", 1)
    kept = trashed("alice", 3)

    assert run("restore_tasks", "--user", "alice", "--since", "2h").out == "Restored: 1 task.\n"
    assert in_the_trash() == {kept}


def test_a_dry_run_changes_nothing() -> None:
    kept = trashed("alice", 1)

    result = run("restore_tasks", "--user", "alice", "--dry-run")

    assert result == Run(0, "Would be restored: 1 task.\n")
    assert in_the_trash() == {kept}


def test_nothing_in_the_trash_is_success() -> None:
    assert run("restore_tasks", "--user", "alice") == Run(0, "Restored: 0 tasks.\n")


def test_the_summary_for_programs() -> None:
    trashed("alice", 1)

    assert run("restore_tasks", "--user", "alice", "--json").json() == {
        "command": "restore_tasks",
        "user": "alice",
        "dry_run": False,
        "ended": "finished",
        "restored": {"tasks": 1},
    }
