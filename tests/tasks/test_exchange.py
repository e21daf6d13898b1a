"""Tasks as JSON Lines for programs, and as CSV for spreadsheets."""

import csv
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tasks import exchange

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def row(**fields: Any) -> tuple[Any, ...]:
    task = {
        "id": 7,
        "user_id": "alice",
        "title": "Buy milk",
        "description": None,
        "complete": False,
        "priority": "medium",
        "completed_at": None,
        "created_at": NOON,
        "updated_at": NOON,
        "deleted_at": None,
    } | fields
    return tuple(task[field] for field in exchange.FIELDS)


def cell(**field: str | None) -> str:
    """The cell of one field, as a spreadsheet reads it."""
    (name,) = field
    _, cells = csv.reader(exchange.lines([row(**field)], "csv"))
    return cells[exchange.FIELDS.index(name)]


def test_a_task_is_one_json_object() -> None:
    late = NOON.replace(microsecond=120).astimezone(timezone(timedelta(hours=5)))
    (line,) = exchange.lines([row(complete=True, completed_at=late, deleted_at=late)], "jsonl")

    assert line == (
        '{"id":7,"user_id":"alice","title":"Buy milk","description":null,"complete":true,'
        '"priority":"medium","completed_at":"2026-01-31T12:00:00.000120Z",'
        '"created_at":"2026-01-31T12:00:00.000000Z","updated_at":"2026-01-31T12:00:00.000000Z",'
        '"deleted_at":"2026-01-31T12:00:00.000120Z"}\n'
    )


def test_a_line_of_json_holds_any_text() -> None:
    (line,) = exchange.lines(
        [row(title="\u00e9\U0001f600\u2028\u0085", description="a\r\n")], "jsonl"
    )

    assert '"title":"\u00e9\U0001f600\u2028\u0085","description":"a\\r\\n"' in line


def test_csv_has_a_byte_order_mark_a_header_and_quoted_cells() -> None:
    written = "".join(exchange.lines([row(title='a, "b"', description="two\nlines")], "csv"))

    assert written == (
        "\ufeffid,user_id,title,description,complete,priority,"
        "completed_at,created_at,updated_at,deleted_at\r\n"
        '7,alice,"a, ""b""","two\nlines",false,medium,,'
        "2026-01-31T12:00:00.000000Z,2026-01-31T12:00:00.000000Z,\r\n"
    )


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\uff1d1", "'=1", "''@", "\t1", "\r1", "\n1"]
)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert cell(user_id=text) == cell(title=text) == cell(description=text) == f"'{text}"


@pytest.mark.parametrize("text", ["a=1", "1-2", "'tis", "\u00e9"])
def test_other_text_is_unchanged(text: str) -> None:
    assert cell(title=text) == text


def test_no_description_and_an_empty_one_differ() -> None:
    assert cell(description=None) == ""
    assert cell(description="") == "'"


def test_no_tasks_are_an_empty_file_or_a_header() -> None:
    assert list(exchange.lines([], "jsonl")) == []
    assert list(exchange.lines([], "csv")) == ["\ufeff" + ",".join(exchange.FIELDS) + "\r\n"]
