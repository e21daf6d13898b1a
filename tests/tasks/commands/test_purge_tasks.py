"""`purge_tasks`: permanently deletes what has been in the trash longer than the retention."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from tasks.models import Task
from tests.commands import Run, run

NOW = datetime.now(UTC)
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db


def task(user_id: str, *, completed: int | None = None, deleted: int | None = None) -> Task:
    """Ages in days."""
    return Task.objects.create(
        user_id=user_id,
        title="Buy milk",
        complete=completed is not None,
        completed_at=None if completed is None else NOW - completed * DAY,
        deleted_at=None if deleted is None else NOW - deleted * DAY,
    )


def purge(*arguments: str) -> Run:
    return run("purge_tasks", "--yes", *arguments)


def kept() -> set[Task]:
    return set(Task.objects.all())


@pytest.fixture
def rows() -> dict[str, Task]:
    return {
        "alive": task("alice"),
        "completed": task("alice", completed=50),
        "lately completed": task("alice", completed=5),
        "trash": task("alice", deleted=50),
        "completed, in the trash": task("alice", completed=60, deleted=50),
        "lately trashed": task("alice", deleted=5),
        "bob's": task("bob"),
        "bob's completed": task("bob", completed=50),
        "bob's trash": task("bob", deleted=50),
    }


@pytest.mark.parametrize(
    ("arguments", "goes"),
    [
        ((), {"trash", "completed, in the trash", "bob's trash"}),
        (("--user", "alice"), {"trash", "completed, in the trash"}),
        (("--older-than", "51d"), set[str]()),
        (
            ("--older-than=0d",),
            {"trash", "completed, in the trash", "lately trashed", "bob's trash"},
        ),
        (("--older-than", "4d", "--user", "bob"), {"bob's trash"}),
        (("--completed-before", "30d"), {"completed", "bob's completed"}),
        (("--completed-before", "30d", "--user", "alice"), {"completed"}),
        (("--completed-before", f"{NOW - 51 * DAY:%Y-%m-%d}"), set[str]()),
        (("--completed-before", f"{NOW - 40 * DAY:%Y-%m-%d}"), {"completed", "bob's completed"}),
        (("--user", "charlie"), set[str]()),
    ],
)
def test_is_permanently_deleted(
    arguments: tuple[str], goes: set[str], rows: dict[str, Task]
) -> None:
    kind = "completed" if "--completed-before" in arguments else "trashed"
    tasks = f"{len(goes)} {kind} task{'' if len(goes) == 1 else 's'}.\n"

    assert (
        run("purge_tasks", "--dry-run", *arguments).out == f"Would be permanently deleted: {tasks}"
    )
    assert kept() == set(rows.values())
    assert purge(*arguments) == Run(0, f"Permanently deleted: {tasks}")
    assert kept() == {row for name, row in rows.items() if name not in goes}


@pytest.mark.parametrize(("days", "left"), [(0, 0), (49, 0), (51, 1)])
def test_the_setting_is_the_default_retention(days: int, left: int, settings: Any) -> None:
    settings.TASKS_RETENTION_DAYS = days
    task("alice", deleted=50)

    assert purge().status == 0
    assert len(kept()) == left


def test_trash_and_completed_tasks_exclude_each_other() -> None:
    result = purge("--older-than", "1d", "--completed-before", "1d")

    assert result.status == 1  # 2 in a process of its own; call_command raises instead
    assert "--completed-before: not allowed with argument --older-than" in result.err


def test_the_summary_for_programs(rows: dict[str, Task]) -> None:
    assert purge("--json").json() == {
        "command": "purge_tasks",
        "dry_run": False,
        "ended": "finished",
        "deleted_for_good": {"trashed_tasks": 3},
    }


def test_a_task_restored_in_the_meantime_is_kept() -> None:
    restored = task("alice", deleted=50)
    task("alice", deleted=60)

    def restore(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        if sql.startswith("DELETE"):
            Task.objects.filter(pk=restored.pk).restore()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(restore):
        assert purge().out == "Permanently deleted: 1 trashed task.\n"

    assert kept() == {restored}


@pytest.mark.parametrize(
    ("arguments", "index"),
    [
        ("", "task_trash"),
        ("--user user7", "task_trash"),
        ("--completed-before 1d", "tasks_task_pkey"),
        ("--completed-before 1d --user user7", "task_alive"),
    ],
)
def test_a_batch_is_read_from_an_index(
    arguments: str, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.management.maintenance.BATCH", 50)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tasks_task (user_id, title, complete, completed_at, deleted_at) "
            "SELECT 'user' || n % 50, 'Task', true, now() - interval '40 days', "
            "CASE WHEN n % 3 = 0 THEN now() - interval '40 days' - n * interval '1 s' END "
            "FROM generate_series(1, 20000) AS n"
        )
        cursor.execute("ANALYZE tasks_task")
    plans = []

    def explain(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        if "tasks_task" in sql and ("LIMIT" in sql or sql.startswith("DELETE")):
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {sql}", params)
                plans.append("\n".join(line for (line,) in cursor.fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        assert purge(*arguments.split()).status == 0

    assert len(plans) > 4
    for plan in plans:
        assert "Seq Scan" not in plan, plan
        assert re.search(f"{index}|tasks_task_pkey", plan), plan
    assert index in "".join(plans)
