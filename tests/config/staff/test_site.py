"""Each page of the admin runs in one transaction, with timeouts of PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import psycopg
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tasks import limits
from tasks.admin import run
from tasks.models import Task
from tests.server import database_url

pytestmark = pytest.mark.django_db(transaction=True)

HOME = reverse("admin:index")
SIGN_IN = reverse("admin:login")
LIST = reverse("admin:tasks_task_changelist")


@pytest.fixture
def staff() -> Client:
    client = Client(headers={"X-Forwarded-Proto": "https"})
    client.force_login(User.objects.create_superuser("ann", password="unused"))
    return client


@contextmanager
def locked(table: str) -> Iterator[None]:
    with psycopg.connect(database_url()) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def busy_connections() -> int:
    """Connections with an open transaction or statement, apart from its own."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'tasks' AND state <> 'idle' AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(database_url()) as other:
        row = other.execute(query).fetchone()
        assert row
        return int(row[0])


def timeouts() -> list[str]:
    with connection.cursor() as cursor:
        values = []
        for name in ("statement_timeout", "lock_timeout"):
            cursor.execute(f"SHOW {name}")
            values += cursor.fetchone()
        return values


# Which part of a page waits for the table: a view, the permission check, or the session before it.
@pytest.mark.parametrize(
    ("table", "path", "title"),
    [
        ("django_admin_log", HOME, "Somebody else is changing this"),
        ("tasks_task", LIST, "Somebody else is changing this"),
        ("auth_user", LIST, "Somebody else is changing this"),
        ("django_session", SIGN_IN, "Somebody else is changing this"),
        ("django_session", f"{HOME}nothing/", "Somebody else is changing this"),
    ],
)
def test_postgresql_cancels_a_page_that_waits_for_a_lock(
    staff: Client, monkeypatch: pytest.MonkeyPatch, table: str, path: str, title: str
) -> None:
    monkeypatch.setattr(limits, "LOCK_TIMEOUT", "300ms")
    start = monotonic()
    with locked(table):
        response = staff.get(path)
        assert 0.3 < monotonic() - start < 3
        assert busy_connections() == 0

    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert f"<title>{title} | Tasks</title>" in response.content.decode()
    assert staff.get(HOME).status_code == 200


def test_a_template_that_waits_for_a_lock_ends_as_a_page_too(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Templates continue after an error. Without rights the start page is Django's template."""
    User.objects.update(is_superuser=False)
    monkeypatch.setattr(limits, "LOCK_TIMEOUT", "300ms")
    with locked("django_admin_log"):
        response = staff.get(HOME)

    assert response.status_code == 503
    assert "The database cancelled this page" in response.content.decode()


def test_postgresql_cancels_a_statement_that_takes_too_long(
    staff: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(limits, "STATEMENT_TIMEOUT", "300ms")
    with locked("tasks_task"):
        response = staff.get(LIST)

    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "<title>This took too long | Tasks</title>" in response.content.decode()
    assert '"error":"OperationalError 57014"' in (log := capsys.readouterr().out)
    assert '"reason":"statement_timeout"' in log


def test_the_timeouts_end_with_the_page(staff: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reset_val FROM pg_settings WHERE name ~ '^(statement|lock)_timeout'")
        assert cursor.fetchall() == [("0",), ("0",)]
    with CaptureQueriesContext(connection) as sent:
        assert staff.get(LIST).status_code == 200

    assert limits.SET_LOCAL.split("%s")[0] in sent.captured_queries[1]["sql"]
    assert timeouts() == ["0", "0"]
    connection.close()
    assert timeouts() == ["0", "0"]


def test_a_page_that_fails_changes_nothing(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        LogEntry.objects.create(user=User.objects.get(), action_flag=1)
        raise ZeroDivisionError

    monkeypatch.setattr("tasks.admin.owner.owner_of", fails)
    with pytest.raises(ZeroDivisionError):
        staff.get(reverse("admin:tasks_task_owner"), {"user_id": "alice"})

    assert not LogEntry.objects.exists()
    assert not connection.in_atomic_block


def test_finished_batches_stay_when_a_later_one_waits_for_a_lock(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "BATCH_SIZE", 10)
    monkeypatch.setattr(limits, "LOCK_TIMEOUT", "300ms")
    tasks = Task.objects.bulk_create(Task(user_id="alice", title="x") for _ in range(25))
    selected = {"action": "complete", "_selected_action": [task.pk for task in tasks]}
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT FROM tasks_task WHERE id = %s FOR UPDATE", [tasks[20].pk])
        response = staff.post(LIST, selected)

    assert response.status_code == 503
    assert "run it again for the rest" in response.content.decode()
    assert Task.objects.filter(complete=True).count() == 20
    assert LogEntry.objects.get().object_repr == "20 tasks completed"
    assert staff.post(LIST, selected).status_code == 302
    assert Task.objects.filter(complete=True).count() == 25


def test_rows_are_locked_only_during_their_batch(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users must wait while their rows are locked."""
    monkeypatch.setattr(run, "BATCH_SIZE", 10)
    tasks = Task.objects.bulk_create(Task(user_id="alice", title="x") for _ in range(25))
    run_batch = run.ActionRun.run_batch
    free = []
    with psycopg.connect(database_url(), autocommit=True) as other:

        def count_free_rows(*args: Any) -> Any:
            progress = run_batch(*args)
            query = "SELECT count(*) FROM (SELECT FROM tasks_task FOR UPDATE SKIP LOCKED) AS free"
            free.append(other.execute(query).fetchone())
            return progress

        monkeypatch.setattr(run.ActionRun, "run_batch", count_free_rows)
        staff.post(LIST, {"action": "complete", "_selected_action": [task.pk for task in tasks]})

    assert free == [(25,)] * 4


def test_the_settings_of_a_search_end_with_it(staff: Client) -> None:
    Task.objects.create(user_id="alice", title="Buy milk")
    settings = []

    def record_setting(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        if sql.startswith("SELECT") and "tasks_task" in sql:
            with context["connection"].connection.cursor() as cursor:
                settings.append(cursor.execute("SHOW enable_seqscan").fetchone()[0])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record_setting):
        assert staff.get(LIST, {"q": "milk"}).status_code == 200

    assert settings[-2:] == ["off", "on"]


@pytest.mark.parametrize("path", [SIGN_IN, HOME, LIST])
def test_a_visitor_without_a_session_causes_no_statement(path: str) -> None:
    with CaptureQueriesContext(connection) as sent:
        assert Client().get(path, secure=True).status_code in (200, 302)

    assert len(sent) == 0
