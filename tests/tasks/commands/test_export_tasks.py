"""`export_tasks`: writes tasks as JSON Lines or CSV, completely or not at all."""

import csv
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import DataError, connection

from tasks.models import Task
from tests.commands import PIPED, Run, Terminal, ended, execute, run, start
from tests.people import Person

pytestmark = pytest.mark.django_db
by_process = pytest.mark.django_db(transaction=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tasks.jsonl"


def titles(file: Path) -> list[str]:
    return [orjson.loads(line)["title"] for line in file.read_text().splitlines()]


def create(title: str, user_id: str = "alice", **fields: Any) -> Task:
    return Task.objects.create(user_id=user_id, title=title, **fields)


@pytest.mark.parametrize("due_date", [None, "2026-01-31", "2026-01-31T17:30:00+01:00"])
def test_a_task_is_written_as_the_api_shows_it(
    alice: Person, file: Path, due_date: str | None
) -> None:
    task = alice.create(
        description="2 l", priority="high", complete=True, due_date=due_date, tags=["home", "Café"]
    )

    assert run("export_tasks", str(file)) == Run(0, "Exported: 1 task.\n")

    assert orjson.loads(file.read_bytes()) == {**task, "deleted_at": None}


def test_a_file_name_with_csv_makes_csv(tmp_path: Path) -> None:
    task = create("=1+1")

    assert run("export_tasks", str(tmp_path / "tasks.csv")).status == 0

    with (tmp_path / "tasks.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["id"], row["title"], row["description"]) == (str(task.pk), "'=1+1", "")


def test_the_trash_is_included_on_request_in_the_order_of_ids(file: Path) -> None:
    create("first", deleted_at=datetime.now(UTC))
    create("second", created_at=datetime(2020, 1, 1, tzinfo=UTC))

    assert run("export_tasks", str(file)).out == "Exported: 1 task.\n"
    assert titles(file) == ["second"]
    assert run("export_tasks", str(file), "--trash").out == "Exported: 2 tasks.\n"
    assert titles(file) == ["first", "second"]


def test_only_this_users(file: Path) -> None:
    create("hers")
    create("in her trash", deleted_at=datetime.now(UTC))
    create("his", "bob")

    run("export_tasks", str(file), "--user", "alice", "--trash")

    assert titles(file) == ["hers", "in her trash"]


def test_a_dry_run_counts_and_writes_no_file(file: Path) -> None:
    create("x")

    assert run("export_tasks", str(file), "--dry-run") == Run(0, "Would be exported: 1 task.\n")
    assert not file.exists()


def test_a_failure_leaves_an_existing_file(file: Path) -> None:
    file.write_text("before")
    create("x")
    create("out of what a datetime holds")
    execute("UPDATE tasks_task SET created_at = '99999-01-01' WHERE title LIKE 'out%%'")

    with pytest.raises(DataError, match="too large"):
        run("export_tasks", str(file))

    assert [path.name for path in file.parent.iterdir()] == ["tasks.jsonl"]
    assert file.read_text() == "before"


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "none" / "tasks.csv"

    assert run("export_tasks", str(path)) == Run(
        1, "", f"{path} cannot be written: No such file or directory."
    )


def test_a_device_is_written_to_and_not_replaced() -> None:
    create("x")

    assert run("export_tasks", "/dev/null", "--format=csv") == Run(0, "Exported: 1 task.\n")
    assert not Path("/dev/null").is_file()


def test_only_the_owner_of_a_file_can_read_it(file: Path) -> None:
    run("export_tasks", str(file))

    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["-", "tasks.txt"])
def test_without_a_known_ending_the_format_is_required(name: str) -> None:
    result = run("export_tasks", name)

    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("Add --format jsonl or --format csv")


@pytest.mark.parametrize("user", ["", " ", "a\nb", "x" * 256])
def test_an_empty_user_does_not_mean_everybody(user: str, file: Path) -> None:
    result = run("export_tasks", str(file), f"--user={user}")

    assert result.status != 0
    assert "argument --user: must have 1 to 255 characters" in result.err
    assert not file.exists()


def test_it_is_one_statement_through_a_cursor(file: Path, monkeypatch: Any) -> None:
    """Also behind a pooler, where Django's `iterator()` would keep all rows in memory."""
    create_cursor, names = connection.create_cursor, list[str]()

    def create_named(name: str | None = None) -> Any:
        names.extend([name] if name else [])
        return create_cursor(name)

    monkeypatch.setattr(connection, "create_cursor", create_named)
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", value=True)
    Task.objects.bulk_create(Task(user_id="alice", title=f"Task {n}") for n in range(2500))

    run("export_tasks", str(file))

    assert len(titles(file)) == 2500
    assert len(names) == 1


@by_process
def test_standard_output_has_only_the_data() -> None:
    create("\u6771\u4eac")

    result = ended(start("export_tasks", "--format=jsonl", "--json"))

    assert (result.status, orjson.loads(result.out)["title"]) == (0, "\u6771\u4eac")
    assert orjson.loads(result.err)["exported"] == {"tasks": 1}


@by_process
def test_a_closed_pipe_ends_the_export_quietly() -> None:
    tasks = [Task(user_id="alice", title=f"Task {n}") for n in range(5000)]
    Task.objects.bulk_create(tasks, batch_size=1000)
    reading, writing = os.pipe()
    process = start("export_tasks", "--format=jsonl", **PIPED | {"stdout": writing})
    os.close(writing)
    os.read(reading, 100)
    os.close(reading)

    assert ended_quietly(process) == (141, b"")


def ended_quietly(process: Any) -> tuple[int, bytes]:
    _, err = process.communicate(timeout=20)
    return process.returncode, err


@by_process
def test_data_on_a_terminal_has_no_progress_bar() -> None:
    task = create("x")
    terminal = Terminal("export_tasks", "--format=jsonl")

    shown = terminal.ended()

    assert shown.status == 0
    first, second = shown.out.splitlines()
    assert orjson.loads(first)["id"] == task.pk
    assert second == "Exported: 1 task."
