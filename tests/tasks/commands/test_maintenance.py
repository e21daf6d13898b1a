"""What all commands that maintain the data have in common."""

import os
import re
import signal
import socket
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.db import connection

from tasks.management import maintenance
from tasks.management.maintenance import REMARKS, MaintenanceCommand, Step, delete
from tasks.models import Task
from tests.commands import (
    FILL,
    Run,
    Terminal,
    ended,
    execute,
    run,
    slow_batches,
    start,
    wait_until,
)
from tests.people import Sends
from tests.server import database_url

TRASH = 3 * maintenance.BATCH
PURGE = ("purge_tasks", "--yes")


class Sample(MaintenanceCommand):
    """Deletes all tasks, and calls `after_the_first` during the second batch."""

    verb = "deleted"

    def after_the_first(self) -> None: ...

    def run(self, *_: Any, **__: Any) -> None:
        def change(rows: Any) -> int:
            if self.done["task"]:
                self.after_the_first()
            return delete(rows)

        self.carry_out([Step("task", Task.objects.all(), change)])


@pytest.fixture
def trash(transactional_db: None) -> None:
    execute(FILL, TRASH)


@pytest.fixture
def _batches_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "BATCH", 2)


def make_tasks(number: int) -> None:
    for n in range(number):
        Task.objects.create(user_id="alice", title=f"Task {n}")


@pytest.mark.django_db
@pytest.mark.usefixtures("_batches_of_two")
@pytest.mark.parametrize(("rows", "batches"), [(1, 1), (2, 2), (5, 3), (6, 4)])
def test_a_batch_costs_the_same_however_many_there_are(
    rows: int, batches: int, sends: Sends
) -> None:
    """Savepoint, timeouts, ids, change, release. After a full batch it reads ids once more."""
    make_tasks(rows)
    shard, lock, counting = 1, 2, 4
    unchanged = 1 if rows % 2 == 0 else 0

    with sends(shard + lock + counting + 5 * batches - unchanged):
        assert run(Sample()) == Run(0, f"Deleted: {rows} task{'s' * (rows > 1)}.\n")

    assert not Task.objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("_batches_of_two")
def test_rows_with_the_same_key_are_all_done() -> None:
    """Tasks that one statement moved to the trash have the same time."""
    make_tasks(7)
    Task.objects.update(deleted_at=datetime(2026, 1, 1, tzinfo=UTC))

    assert run("restore_tasks", "--user", "alice") == Run(0, "Restored: 7 tasks.\n")


@pytest.mark.django_db
def test_a_dry_run_counts_and_changes_nothing(sends: Sends) -> None:
    make_tasks(3)

    with sends(5):
        assert run(Sample(), "--dry-run") == Run(0, "Would be deleted: 3 tasks.\n")

    assert Task.objects.count() == 3


@pytest.mark.django_db
def test_nothing_to_do_is_success() -> None:
    assert run(Sample()) == Run(0, "Deleted: 0 tasks.\n")


@pytest.mark.django_db
def test_the_summary_is_one_object_for_programs() -> None:
    make_tasks(1)

    assert run(Sample(), "--json").json() == {
        "command": "test_maintenance",
        "dry_run": False,
        "ended": "finished",
        "deleted": {"tasks": 1},
    }


def test_a_pipe_gets_no_progress_bar(trash: None) -> None:
    assert ended(start(*PURGE)) == Run(0, f"Permanently deleted: {TRASH} trashed tasks.\n")


def test_a_terminal_gets_a_progress_bar_and_a_question(trash: None) -> None:
    terminal = Terminal("purge_tasks")
    terminal.read_until("to continue: ")
    terminal.type(f"{TRASH}\n")

    result = terminal.ended()

    assert result.status == 0
    assert (
        f"Will be permanently deleted: {TRASH} trashed tasks. This cannot be undone.\r\n"
        in result.out
    )
    assert re.search(rf"\d+/{TRASH} \[.* rows/s\]", result.out)
    assert result.out.endswith(f"Permanently deleted: {TRASH} trashed tasks.\r\n")
    assert not Task.objects.exists()


@pytest.mark.parametrize("answer", ["yes\n", "\x04"])
def test_any_other_answer_changes_nothing(answer: str, trash: None) -> None:
    terminal = Terminal("purge_tasks")
    terminal.read_until("to continue: ")
    terminal.type(answer)

    result = terminal.ended()

    assert result.status == 1
    assert "Not confirmed. Nothing was done." in result.out
    assert Task.objects.count() == TRASH


def test_an_ended_process_keeps_whole_batches_and_the_next_run_does_the_rest(
    trash: None,
) -> None:
    with slow_batches():
        process = start(*PURGE)
        wait_until(lambda: Task.objects.count() < TRASH)
        process.terminate()
        result = ended(process)

    left = Task.objects.count()
    done = f"Permanently deleted: {TRASH - left} trashed tasks."
    assert left % maintenance.BATCH == 0
    assert result == Run(130, f"{done}{REMARKS['interrupted']}\n")
    assert run(*PURGE).out == f"Permanently deleted: {left} trashed tasks.\n"


def test_a_signal_at_the_question_ends_the_run_immediately(trash: None) -> None:
    terminal = Terminal("purge_tasks")
    terminal.read_until("to continue: ")
    terminal.process.send_signal(signal.SIGTERM)

    result = terminal.ended()

    assert result.status == 130
    assert "Permanently deleted: 0 trashed tasks. Interrupted" in result.out
    assert Task.objects.count() == TRASH


def test_a_second_command_is_refused_and_names_the_first(trash: None) -> None:
    with slow_batches():
        first = start(*PURGE)
        wait_until(lambda: Task.objects.count() < TRASH)
        second = run("restore_tasks", "--user", "alice")
        first.terminate()
        ended(first)

    assert (second.status, second.out) == (1, "")
    who = f"purge_tasks, process {first.pid} on {socket.gethostname()}"[:63]
    assert re.fullmatch(
        rf"Another command has been running for \d+ s: {re.escape(who)}\. Nothing was done\. .+",
        second.err,
    )


@pytest.mark.django_db(transaction=True)
def test_a_locked_row_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "LOCK_SECONDS", 0.1)
    make_tasks(1)

    with psycopg.connect(database_url()) as other:
        other.execute("SELECT * FROM tasks_task FOR UPDATE")
        result = run(Sample())

    assert result == Run(
        1, "", "Other transactions kept rows locked for 0.1 s. Run the command again."
    )
    assert Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_run_has_its_own_statement_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    make_tasks(1)
    with slow_batches():
        execute("SET statement_timeout = '200ms'")
        try:
            done = run(Sample())
            make_tasks(1)
            monkeypatch.setattr(maintenance, "STATEMENT_SECONDS", 0.1)
            late = run(Sample())
        finally:
            execute("RESET statement_timeout")

    assert done == Run(0, "Deleted: 1 task.\n")
    assert late == Run(1, "", "PostgreSQL took more than 0.1 s for one statement.")
    assert Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_batches_of_two")
def test_a_run_that_loses_its_lock_stops() -> None:
    class Robbed(Sample):
        def after_the_first(self) -> None:
            with psycopg.connect(database_url()) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks JOIN pg_database AS here "
                    "ON here.oid = database WHERE datname = current_database() "
                    "AND locktype = 'advisory'"
                )

    make_tasks(5)

    assert run(Robbed()) == Run(
        1,
        "Deleted: 4 tasks. The run then failed. Run the command again to do the rest.\n",
        "The connection that held the lock was lost. Run the command again.",
    )
    assert Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_batches_of_two")
def test_a_lost_connection_is_reported_with_what_was_done() -> None:
    class Cut(Sample):
        def after_the_first(self) -> None:
            with psycopg.connect(database_url()) as other:
                pid = connection.connection.info.backend_pid
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    make_tasks(5)

    result = run(Cut(), "--json")

    assert result.json()["deleted"] == {"tasks": 2}
    assert (result.status, result.json()["ended"]) == (1, "failed")
    assert re.fullmatch(
        r"The connection to the database failed \(\w+\)\. Run manage\.py doctor\.", result.err
    )
    connection.close()
    assert Task.objects.count() == 3


@pytest.mark.django_db
@pytest.mark.usefixtures("_batches_of_two")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_batch_finish(number: int) -> None:
    class Stopped(Sample):
        def after_the_first(self) -> None:
            os.kill(os.getpid(), number)

    make_tasks(5)

    assert run(Stopped()) == Run(
        130, "Deleted: 4 tasks. Interrupted. Run the command again to do the rest.\n"
    )
    assert Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_batches_of_two")
def test_a_second_signal_rolls_the_batch_back() -> None:
    class Impatient(Sample):
        def after_the_first(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    make_tasks(5)

    assert run(Impatient()) == Run(
        130, "Deleted: 2 tasks. Interrupted. Run the command again to do the rest.\n"
    )
    assert Task.objects.count() == 3


@pytest.mark.parametrize("command", [("purge_tasks",), ("erase_user", "--user", "alice")])
def test_without_a_terminal_an_irreversible_command_requires_yes(command: tuple[str]) -> None:
    assert run(*command) == Run(
        2,
        "",
        "This cannot be undone. There is no terminal to ask for confirmation. "
        "Add --yes to confirm.",
    )


@pytest.mark.django_db
@pytest.mark.parametrize("command", ["purge_tasks", "erase_user"])
def test_a_dry_run_does_not_ask(command: str) -> None:
    assert run(command, "--user", "alice", "--dry-run").status == 0


def test_wrong_usage_names_the_flag() -> None:
    result = ended(start("purge_tasks", "--older-than=-1d", "--yes"))

    assert result.status == 2
    assert result.err.splitlines()[-1] == (
        "manage.py purge_tasks: error: argument --older-than: "
        "must be a number with s, m, h or d, for instance 30d"
    )
