"""`reassign_tasks`: gives the tasks of one user to another, after accounts were merged."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User

from tasks import audit, history
from tasks.models import ChangedTask, PageView, Task
from tests.commands import Run, run

TRASHED = datetime(2026, 1, 1, tzinfo=UTC)
OLD = 'al"ice\\ ü'
NEW = "{bob} é"

pytestmark = pytest.mark.django_db
OTHERS = {"recorded_changes": 1, "page_views": 1}


@pytest.fixture
def tasks() -> dict[str, list[Task]]:
    """For each user one task alive, one in the trash and one deleted, with history of all three."""
    sam = User.objects.create_user("sam")
    made = {}
    for user_id in (OLD, NEW, "charlie"):
        alive = Task.objects.create(
            user_id=user_id, title="Buy milk", due_day=TRASHED.date(), tags=["Home", "Café"]
        )
        trashed = Task.objects.create(
            user_id=user_id, title="Buy brötchen", due_at=TRASHED, deleted_at=TRASHED
        )
        gone = Task.objects.create(user_id=user_id, title="Buy tea")
        history.added(sam.pk, alive, {"title": (None, "Buy milk")})
        history.changed(
            sam.pk, [(trashed, {"title": ("Buy", "Buy brötchen"), "tags": ([], ["Café"])})]
        )
        history.deleted(sam.pk, [gone])
        audit.viewed(sam.pk, PageView.Page.TASK, user_id=user_id, task_id=alive.pk)
        gone.delete()
        made[user_id] = [alive, trashed]
    return made


def reassign(*arguments: str, old: str = OLD, new: str = NEW) -> Run:
    return run("reassign_tasks", f"--from={old}", f"--to={new}", *arguments)


def everything() -> Any:
    return (
        list(Task.objects.order_by("id").values_list()),
        list(LogEntry.objects.order_by("id").values_list()),
        list(ChangedTask.objects.order_by("id").values_list()),
        list(PageView.objects.order_by("id").values_list()),
    )


def test_ids_and_times_stay_and_the_trash_moves_along(tasks: dict[str, list[Task]]) -> None:
    before = list(Task.objects.order_by("id").values())

    assert reassign("--yes") == Run(
        0,
        "Reassigned: 1 task, 1 trashed task, 3 history records, 1 recorded change, 1 page view.\n",
    )

    owners = {OLD: NEW, NEW: NEW, "charlie": "charlie"}
    after = [{**row, "user_id": owners[row["user_id"]]} for row in before]
    assert list(Task.objects.order_by("id").values()) == after
    assert set(Task.objects.owned_by(NEW)) == {*tasks[OLD], *tasks[NEW]}
    assert set(Task.objects.owned_by("charlie")) == set(tasks["charlie"])
    assert not Task.objects.owned_by(OLD).exists()
    for table in (ChangedTask, PageView):
        assert sorted(table.objects.values_list("user_id", flat=True)) == ["charlie", NEW, NEW]


def test_history_moves_along_unchanged(tasks: dict[str, list[Task]]) -> None:
    def history_of(owner: str) -> list[Any]:
        return [
            (line.entry.pk, line.action, line.changes, line.entry.action_time)
            for line in history.lines(history.of_owner(owner))
        ]

    both = sorted(history_of(OLD) + history_of(NEW), key=lambda line: -line[0])
    charlies = history_of("charlie")
    messages = [entry.get_change_message() for entry in LogEntry.objects.order_by("id")]

    reassign("--yes")

    assert history_of(NEW) == both
    assert history_of(OLD) == []
    assert history_of("charlie") == charlies
    assert [entry.get_change_message() for entry in LogEntry.objects.order_by("id")] == messages


def test_a_dry_run_changes_nothing(tasks: dict[str, list[Task]]) -> None:
    before = everything()

    result = reassign("--dry-run", "--json")

    assert result.json() == {
        "command": "reassign_tasks",
        "from": OLD,
        "to": NEW,
        "dry_run": True,
        "ended": "finished",
        "reassigned": {"tasks": 1, "trashed_tasks": 1, "history_records": 3, **OTHERS},
    }
    assert everything() == before


def test_the_same_user_twice_is_wrong_usage() -> None:
    assert reassign("--yes", new=OLD) == Run(2, "", "--to must be another user than --from.")


@pytest.mark.parametrize(("flag", "given"), [("--from", {"old": ""}), ("--to", {"new": " "})])
def test_an_invalid_user_id_is_refused(flag: str, given: dict[str, str]) -> None:
    assert f"argument {flag}: must have 1 to 255 characters" in reassign("--yes", **given).err


def test_a_user_without_tasks_is_success(tasks: dict[str, list[Task]]) -> None:
    before = everything()

    assert reassign("--yes", old="nobody") == Run(
        0,
        "Reassigned: 0 tasks, 0 trashed tasks, 0 history records, "
        "0 recorded changes, 0 page views.\n",
    )
    assert everything() == before
