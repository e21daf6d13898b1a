"""Exports of what the list shows."""

import csv
import io
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tasks import exchange, limits
from tasks.admin import export
from tasks.exchange import FIELDS
from tasks.models import Task
from tests.server import database_url
from tests.tasks.admin.pages import LIST, SIGN_IN

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Any:
    """Signs in somebody with these permissions for tasks, and returns a function to get pages."""

    def sign_in(*names: str) -> Any:
        user = User.objects.create(username="staff", is_staff=True)
        content_type = ContentType.objects.get_for_model(Task)
        for name in names:
            permission, _ = Permission.objects.get_or_create(
                codename=f"{name}_task", content_type=content_type, defaults={"name": name}
            )
            user.user_permissions.add(permission)
        client.force_login(user)
        return lambda path, **query: client.get(LIST + path, query or None, secure=True)

    return sign_in


@pytest.fixture
def page(staff: Any) -> Any:
    return staff("view", "export")


def add(title: str, **fields: Any) -> Task:
    return Task.objects.create(**{"user_id": "alice", "title": title, **fields})


def read_csv(response: Any) -> list[dict[str, str]]:
    content = response.getvalue()
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def read_jsonl(response: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in response.getvalue().splitlines()]


def test_excel_can_open_the_csv(page: Any) -> None:
    task = add('Käse, "Brot"\n=1')

    response = page("export.csv")

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="tasks-')
    assert response["Content-Disposition"].endswith('.csv"')
    (row,) = read_csv(response)
    assert tuple(row) == FIELDS
    assert (row["id"], row["title"], row["complete"]) == (str(task.id), task.title, "false")


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_cell_is_a_formula(page: Any, start: str) -> None:
    text = f'{start}HYPERLINK("http://evil")'
    add(text, user_id=text, description=f"\t{text}", tags=[text])
    add("Buy milk", description=f"\r{text}")

    for row in read_csv(page("export.csv")):
        assert not [cell for cell in row.values() if cell[:1] in tuple("=+-@\t\r")]


def test_json_lines_have_every_field_unchanged(page: Any) -> None:
    task = add(
        "<script>=1</script>", complete=True, due_day="2026-01-31", tags=["home", "Shopping"]
    )
    task.refresh_from_db()

    response = page("export.jsonl")

    assert response["Content-Type"] == "application/jsonl"
    (row,) = read_jsonl(response)
    times = {name: row.pop(name) for name in list(row) if name.endswith("_at")}
    assert row == {
        "id": task.id,
        "user_id": "alice",
        "title": "<script>=1</script>",
        "description": None,
        "complete": True,
        "priority": "medium",
        "due_date": "2026-01-31",
        "tags": ["home", "Shopping"],
    }
    assert datetime.fromisoformat(times["created_at"]) == task.created_at
    assert times["deleted_at"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["Buy milk", "Call bob"]),
        ({"q": "milk"}, ["Buy milk"]),
        ({"trash": "all"}, ["Buy milk", "Call bob", "trashed"]),
        ({"trash": "in"}, ["trashed"]),
        ({"priority__exact": "high"}, ["Call bob"]),
        ({"q": "bob", "priority__exact": "low"}, []),
        ({"created_at_to": "2026-01-01"}, []),
        ({"p": "1"}, ["Buy milk", "Call bob"]),
    ],
)
def test_an_export_has_the_tasks_of_all_pages(
    page: Any, query: dict[str, str], expected: list[str]
) -> None:
    add("Buy milk")
    add("Call bob", priority="high")
    add("trashed", deleted_at=datetime.now(UTC))

    for name, read in (("csv", read_csv), ("jsonl", read_jsonl)):
        assert [row["title"] for row in read(page(f"export.{name}", **query))] == expected


def test_the_list_links_to_the_export_of_what_it_shows(page: Any) -> None:
    content = page("", q="milk", trash="all").content.decode()

    assert f'href="{LIST}export.csv?q=milk&amp;trash=all"' in content
    assert f'href="{LIST}export.jsonl?q=milk&amp;trash=all"' in content


@pytest.mark.parametrize("granted", [[], ["view"], ["export"], ["view", "change", "delete"]])
def test_without_the_permission_there_is_no_export(staff: Any, granted: list[str]) -> None:
    page = staff(*granted)

    assert page("export.csv").status_code == 403
    assert page("export.jsonl").status_code == 403
    assert b"export." not in page("").content


def test_an_anonymous_visitor_is_asked_to_sign_in(client: Client) -> None:
    response = client.get(f"{LIST}export.csv", secure=True)

    assert response.status_code == 302
    assert response["Location"].startswith(SIGN_IN)


def test_a_file_is_sent_in_large_pieces() -> None:
    first, *_ = export.Download(io.BytesIO(b"x" * 200_000))

    assert len(first) == export.Download.block_size


def test_a_file_has_a_length_and_is_read_in_batches(page: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(export, "BATCH_SIZE", 10)
    Task.objects.bulk_create(Task(user_id="alice", title=f"Task {n}") for n in range(25))

    with CaptureQueriesContext(connection) as sent:
        response = page("export.jsonl")
    content = response.getvalue()

    batches = [each for each in sent.captured_queries if each["sql"].endswith("LIMIT 10")]
    assert len(batches) == 3
    assert response["Content-Length"] == str(len(content))
    titles = [json.loads(line)["title"] for line in content.splitlines()]
    assert titles == [f"Task {n}" for n in range(25)]


@pytest.mark.django_db(transaction=True)
def test_a_failure_midway_is_an_error_page_and_not_a_file(page: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(export, "BATCH_SIZE", 10)
    monkeypatch.setattr(limits, "LOCK_TIMEOUT", "300ms")
    Task.objects.bulk_create(Task(user_id="alice", title=f"Task {n}") for n in range(25))
    lines = exchange.lines
    with psycopg.connect(database_url()) as other:

        def locked_midway(*args: Any) -> Iterator[str]:
            for number, line in enumerate(lines(*args)):
                yield line
                if number == 14:
                    other.execute("LOCK TABLE tasks_task IN ACCESS EXCLUSIVE MODE")

        monkeypatch.setattr(exchange, "lines", locked_midway)
        response = page("export.csv")

    assert response.status_code == 503
    assert response["Content-Type"] == "text/html; charset=utf-8"
    assert "Content-Disposition" not in response
    assert "Somebody else is changing this" in response.content.decode()
    monkeypatch.setattr(exchange, "lines", lines)
    assert len(read_csv(page("export.csv"))) == 25


@pytest.mark.django_db(transaction=True)
def test_no_connection_is_held_while_a_file_is_sent(page: Any) -> None:
    add("Buy milk")
    responses = [page("export.csv") for _ in range(3)]

    assert connection.connection is None
    for response in responses:
        assert len(read_csv(response)) == 1


def test_a_third_export_at_the_same_time_is_refused(page: Any) -> None:
    first, second = (export.EXPORTS.slot(export.TooManyExports) for _ in range(2))
    with first, second:
        response = page("export.csv")

    assert response.status_code == 503
    assert response["Retry-After"] == "30"
    content = response.content.decode()
    assert "<title>Two exports are already running | Tasks</title>" in content
    assert "try again in half a minute" in content
    assert read_csv(page("export.csv")) == []


def test_an_error_page_says_when_the_file_cannot_be_written(page: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    response = page("export.csv")

    assert response.status_code == 503
    assert "The file could not be written" in response.content.decode()
