"""`erase_user`: erases everything of one user, for a request under the GDPR."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection

from tasks import audit, history
from tasks.models import ChangedTask, PageView, Task
from tests.commands import Run, Terminal, run

TRASHED = datetime(2026, 1, 1, tzinfo=UTC)
OTHERS = {"recorded_changes": 2, "page_views": 1}

pytestmark = pytest.mark.django_db


def task(user_id: str, **values: Any) -> Task:
    fields = {"due_day": TRASHED.date(), "tags": ["Secret", "Geheimnisträger"], **values}
    return Task.objects.create(user_id=user_id, title="A secret", **fields)


def rows() -> list[list[Any]]:
    tables = (Task, LogEntry, ChangedTask, PageView)
    return [list(table.objects.order_by("id").values()) for table in tables]


def people() -> None:
    """Alice and bob, each with two living tasks, one in the trash, and history of three tasks."""
    sam = User.objects.create_user("sam")
    for user_id in ("alice", "bob"):
        alive, trashed = task(user_id), task(user_id, deleted_at=TRASHED)
        gone = task(user_id, complete=True, completed_at=TRASHED)
        task(user_id)
        history.changed(sam.pk, [(alive, {"title": ("a secret", "A secret")}), (trashed, {})])
        history.deleted(sam.pk, [gone])
        audit.viewed(sam.pk, PageView.Page.TASK, user_id=user_id, task_id=alive.pk)
        gone.delete()


def erase(*arguments: str) -> Run:
    return run("erase_user", "--user", "alice", *arguments)


def receipt(result: Run) -> Any:
    summary = result.json()
    at = datetime.fromisoformat(summary.pop("at"))
    assert timedelta(0) <= datetime.now(UTC) - at < timedelta(minutes=1)
    return summary


def test_everything_of_the_user_is_erased_and_nothing_of_others() -> None:
    people()
    of_bob = [
        list(Task.objects.owned_by("bob").order_by("id").values()),
        list(history.of_owner("bob").order_by("id").values()),
        list(ChangedTask.objects.filter(user_id="bob").order_by("id").values()),
        list(PageView.objects.filter(user_id="bob").order_by("id").values()),
    ]

    result = erase("--yes")

    assert receipt(result) == {
        "command": "erase_user",
        "user": "alice",
        "left": 0,
        "dry_run": False,
        "ended": "finished",
        "erased": {"tasks": 2, "trashed_tasks": 1, "history_records": 3, **OTHERS},
    }
    assert (result.status, result.err) == (0, "")
    assert rows() == of_bob
    assert "secret" not in result.out.casefold()


def test_a_dry_run_reports_the_same_numbers_and_changes_nothing() -> None:
    people()

    assert receipt(erase("--dry-run")) == {
        "command": "erase_user",
        "user": "alice",
        "dry_run": True,
        "ended": "finished",
        "erased": {"tasks": 2, "trashed_tasks": 1, "history_records": 3, **OTHERS},
    }
    assert (Task.objects.count(), LogEntry.objects.count()) == (6, 6)


def test_a_user_without_anything_gets_a_receipt_too() -> None:
    assert receipt(erase("--yes"))["erased"] == {
        "tasks": 0,
        "trashed_tasks": 0,
        "history_records": 0,
        "recorded_changes": 0,
        "page_views": 0,
    }


def arriving(times: int) -> Any:
    """The user creates a task whenever one is erased, at most so many times."""
    left = iter(range(times))

    def arrive(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("DELETE") and next(left, None) is not None:
            task("alice")
        return result

    return connection.execute_wrapper(arrive)


def test_a_task_created_in_the_meantime_is_erased_too() -> None:
    people()

    with arriving(2):
        result = erase("--yes")

    assert receipt(result)["erased"]["tasks"] == 4
    assert not Task.objects.owned_by("alice").exists()


def test_tasks_that_keep_arriving_are_reported() -> None:
    task("alice")

    with arriving(1000):
        result = erase("--yes")

    assert (result.status, result.err) == (
        1,
        "1 new row arrived in the meantime. End the user's sessions, then run the command again.",
    )
    assert (receipt(result)["left"], receipt(result)["ended"]) == (1, "failed")
    assert Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("answer", "status"), [("alice", 0), ("alic", 1)])
def test_the_user_id_must_be_typed(answer: str, status: int) -> None:
    people()
    terminal = Terminal("erase_user", "--user", "alice")
    terminal.read_until("to continue: ")
    assert terminal.shown == (
        "Will be erased: 2 tasks, 1 trashed task, 3 history records, 2 recorded changes, "
        "1 page view. This cannot be undone.\r\n"
        "Type alice to continue: "
    )
    terminal.type(f"{answer}\n")

    result = terminal.ended()

    assert result.status == status
    assert Task.objects.count() == (3 if status == 0 else 6)
    if status == 0:
        assert json.loads(result.out.splitlines()[-1])["left"] == 0


@pytest.mark.parametrize("user", ["", " ", "x" * 256])
def test_an_invalid_user_id_is_refused(user: str) -> None:
    task("alice")

    result = run("erase_user", "--user", user, "--yes")

    assert "argument --user: must have 1 to 255 characters" in result.err
    assert Task.objects.count() == 1
