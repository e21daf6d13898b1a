"""Tasks as JSON Lines for programs, and as CSV for spreadsheets."""

import csv
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest

from tasks import exchange
from tasks.schemas import TaskFields, TaskOut

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def row(**fields: Any) -> tuple[Any, ...]:
    task = {
        "id": 7,
        "user_id": "alice",
        "title": "Buy milk",
        "description": None,
        "complete": False,
        "priority": "medium",
        "due_day": None,
        "due_at": None,
        "tags": [],
        "completed_at": None,
        "created_at": NOON,
        "updated_at": NOON,
        "deleted_at": None,
    } | fields
    return tuple(task[column] for column in exchange.COLUMNS)


def cell(name: str | None = None, **column: Any) -> str:
    """The cell of one field, as a spreadsheet reads it."""
    _, cells = csv.reader(exchange.lines([row(**column)], "csv"))
    return cells[exchange.FIELDS.index(name or next(iter(column)))]


def test_the_fields_are_those_of_the_api_and_the_trash() -> None:
    assert [*exchange.FIELDS] == [*TaskOut.model_fields]
    assert set(TaskFields.model_fields) < {*exchange.FIELDS}
    assert {"due_date", "description"} < exchange.NULLABLE < {*exchange.FIELDS}


def test_a_task_is_one_json_object() -> None:
    late = NOON.replace(microsecond=120).astimezone(timezone(timedelta(hours=5)))
    (line,) = exchange.lines([row(complete=True, completed_at=late, deleted_at=late)], "jsonl")

    assert line == (
        '{"id":7,"user_id":"alice","title":"Buy milk","description":null,"complete":true,'
        '"priority":"medium","due_date":null,"tags":[],'
        '"completed_at":"2026-01-31T12:00:00.000120Z",'
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
        "\ufeffid,user_id,title,description,complete,priority,due_date,tags,"
        "completed_at,created_at,updated_at,deleted_at\r\n"
        '7,alice,"a, ""b""","two\nlines",false,medium,,,,'
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


@pytest.mark.parametrize(
    ("due", "written"),
    [
        ({}, None),
        ({"due_day": date(2026, 1, 31)}, "2026-01-31"),
        ({"due_day": date.min}, "0001-01-01"),
        ({"due_at": NOON}, "2026-01-31T12:00:00.000000Z"),
        ({"due_at": datetime.min.replace(tzinfo=UTC)}, "0001-01-01T00:00:00.000000Z"),
        ({"due_at": datetime.max.replace(tzinfo=UTC)}, "9999-12-31T23:59:59.999999Z"),
        (
            {"due_at": NOON.replace(microsecond=5).astimezone(timezone(timedelta(hours=-5)))},
            "2026-01-31T12:00:00.000005Z",
        ),
    ],
)
def test_a_due_date_is_a_day_or_a_time_in_utc(due: dict[str, Any], written: str | None) -> None:
    (line,) = exchange.lines([row(**due)], "jsonl")

    assert orjson.loads(line)["due_date"] == written
    assert cell("due_date", **due) == (written or "")


@pytest.mark.parametrize(
    ("tags", "written"),
    [
        ([], ""),
        (["home"], "home"),
        (
            ["home", 'a "b"', "\u6771\u4eac\u2028\U0001f600"],
            'home,a "b",\u6771\u4eac\u2028\U0001f600',
        ),
        (["home", "=1"], "home,=1"),
        (["=1", "home"], "'=1,home"),
        (["-"], "'-"),
        (["'tis"], "'tis"),
        (["'=1"], "''=1"),
        (["'"], "''"),
    ],
)
def test_tags_are_a_list_in_json_and_one_cell_in_csv(tags: list[str], written: str) -> None:
    (line,) = exchange.lines([row(tags=tags)], "jsonl")

    assert orjson.loads(line)["tags"] == tags
    assert cell(tags=tags) == written


def test_no_description_and_an_empty_one_differ_in_json_only() -> None:
    assert cell(description=None) == cell(description="") == ""
    for description in (None, ""):
        (line,) = exchange.lines([row(description=description)], "jsonl")
        assert orjson.loads(line)["description"] == description


def test_apostrophes_alone_are_read_back() -> None:
    assert cell(title="'") == "''"


def test_no_tasks_are_an_empty_file_or_a_header() -> None:
    assert list(exchange.lines([], "jsonl")) == []
    assert list(exchange.lines([], "csv")) == ["\ufeff" + ",".join(exchange.FIELDS) + "\r\n"]
