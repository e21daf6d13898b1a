"""Tasks are read as they were written, and each bad line is reported with the rule it breaks."""

import re
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authjwt.user_ids import RULE
from tasks import dates, exchange
from tasks.management import reading
from tasks.models import Priority
from tests.tasks.commands.strategies import DUE_DATES, TAGS

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

PROBLEMS = {
    '{"title": " "}': "title: must not be blank",
    '{"title": "x", "titel": 1}': "'titel': is not a known field",
    '{"title": "x", "\\u001b[2J": 1}': "'\\x1b[2J': is not a known field",
    '{"title": "x", "complete": "true"}': "complete: must be true or false",
    '{"title": "x", "complete": null}': "complete: must be true or false",
    '{"title": "x", "priority": "urgent"}': "priority: must be one of 'low', 'medium' or 'high'",
    '{"title": "x", "id": 0}': "id: must be at least 1",
    '{"title": "x", "id": 4503599627370496}': "id: must be at most 4503599627370495",
    '{"title": "x", "id": null}': "id: must be a whole number",
    '{"title": "x", "user_id": null}': "user_id: must be a string",
    **{
        f'{{"title": "x", "user_id": "{text}"}}': f"user_id: {RULE}"
        for text in ("", " ", "a\\u0000", "a\\nb", "\\u007f", "a\\u0085", "x" * 256)
    },
    '{"title": "x", "due_date": "31.01.2026"}': f"due_date: {dates.RULE}",
    '{"title": "x", "due_date": 1769860800}': "due_date: must be a string",
    '{"title": "x", "due_day": "2026-01-31"}': "'due_day': is not a known field",
    '{"title": "x", "folded": null}': "'folded': is not a known field",
    '{"title": "x", "tags_folded": null}': "'tags_folded': is not a known field",
    '{"title": "x", "tags": "home"}': "tags: must be a list",
    '{"title": "x", "tags": null}': "tags: must be a list",
    '{"title": "x", "tags": ["a", "b,c"]}': "tags: 1: must not contain a comma",
    '{"title": "x", "tags": [null]}': "tags: 0: must be a string",
    '{"title": "x", "created_at": 1769860800}': (
        "created_at: must be a time like 2026-01-31T12:00:00Z"
    ),
    '{"title": "x", "created_at": "2026-01-31T12:00:00"}': (
        "created_at: must be a time like 2026-01-31T12:00:00Z"
    ),
    '{"title": "x", "created_at": "2026-02-31T12:00:00Z"}': (
        "created_at: must be a time like 2026-01-31T12:00:00Z"
    ),
    '{"title": "x", "created_at": "0001-01-01T00:00:00+01:00"}': (
        "created_at: must be a time like 2026-01-31T12:00:00Z"
    ),
    '{"title": "x", "created_at": "0001-01-01T00:00:00Z"}': "created_at: must not be before 1970",
    '{"title": "x", "created_at": "1970-01-01T00:59:59+01:00"}': (
        "created_at: must not be before 1970"
    ),
    **{
        f'{{"title": "x", "complete": true, "{name}": "9999-12-31T23:59:59Z"}}': (
            f"{name}: must not be more than a day in the future"
        )
        for name in ("completed_at", "created_at", "updated_at", "deleted_at")
    },
    '{"title": "x", "completed_at": "2026-01-31T12:00:00Z"}': (
        "completed_at: A task has a time of completion exactly when complete."
    ),
    "{}": "title: is required",
    "[]": "must be a JSON object",
    "{'title': 'x'}": "must be JSON in UTF-8",
    '{"title": "\\ud800"}': "must be JSON in UTF-8",
}


def read(text: str | bytes, form: exchange.Format) -> list[tuple[int, Any]]:
    """For each line its number, and its fields or the problem."""
    file = BytesIO(text.encode() if isinstance(text, str) else text)
    return [
        (line, row if isinstance(row, str) else row.model_dump(exclude_unset=True))
        for line, row in reading.read(file, form)
    ]


@pytest.mark.parametrize(("line", "problem"), PROBLEMS.items())
def test_a_line_that_breaks_a_rule_is_reported(line: str, problem: str) -> None:
    assert read(f'{{"title":"good"}}\n\n{line}\n{{"title":"good"}}', "jsonl") == [
        (1, {"title": "good"}),
        (3, problem),
        (4, {"title": "good"}),
    ]


def test_a_clock_may_be_a_little_ahead() -> None:
    now = datetime.now(UTC)
    times = (now + timedelta(hours=23), now + timedelta(hours=25))
    soon, later = read(
        "".join(f'{{"title":"x","updated_at":"{at.isoformat()}"}}\n' for at in times), "jsonl"
    )

    assert soon == (1, {"title": "x", "updated_at": times[0]})
    assert later == (2, "updated_at: must not be more than a day in the future")


def test_a_line_that_is_not_utf_8_is_reported() -> None:
    assert read(b'{"title":"\xff"}\n{"title":"x"}', "jsonl") == [
        (1, "must be JSON in UTF-8"),
        (2, {"title": "x"}),
    ]
    assert read(b"title\r\n\xe9\r\nx", "csv") == [(2, "must be UTF-8"), (3, {"title": "x"})]


def test_a_column_of_titles_is_read_as_tasks() -> None:
    assert read("title\n Buy milk \n'tis\n\nx,y\n", "csv") == [
        (2, {"title": "Buy milk"}),
        (3, {"title": "'tis"}),
        (5, "has 2 cells where the header has 1"),
    ]


def test_lines_inside_of_cells_are_counted() -> None:
    text = '\ufeffTitle,Description,complete\r\na,"1\r\n2\n3\r4",TRUE\r\n"",b,\r\n,,\r\n"c'

    assert read(text, "csv") == [
        (2, {"title": "a", "description": "1\r\n2\n3\r4", "complete": True}),
        (5, "title: is required"),
        (7, "must be CSV: unexpected end of data"),
    ]


def test_an_empty_cell_is_no_value() -> None:
    header = ",".join(exchange.FIELDS)

    assert read(f"{header}\n,,x,',,,,,,,,\n", "csv") == [
        (
            2,
            {
                "title": "x",
                "description": "",
                "due_date": None,
                "tags": [],
                "completed_at": None,
                "deleted_at": None,
            },
        )
    ]


def test_due_dates_and_tags_are_read_as_people_write_them() -> None:
    text = 'title,Due_Date,tags\nx,2026-01-31,"home, Shopping"\ny,2026-01-31T17:30:00+01:00,a\n'

    assert read(text, "csv") == [
        (2, {"title": "x", "due_date": "2026-01-31", "tags": ["home", "Shopping"]}),
        (3, {"title": "y", "due_date": "2026-01-31T16:30:00.000000Z", "tags": ["a"]}),
    ]


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("31.01.2026,", f"due_date: {dates.RULE}"),
        ("1/31/2026,", f"due_date: {dates.RULE}"),
        ("2026-02-30,", f"due_date: {dates.RULE}"),
        ("2026-01-31T12:00:00,", f"due_date: {dates.NO_OFFSET}"),
        ("0001-01-01T00:00:00+01:00,", f"due_date: {dates.OUT_OF_RANGE}"),
        (',"a,"', "tags: 1: must not be blank"),
        (",'", "tags: 0: must not be blank"),
        (",a\x07b", "tags: 0: must not contain control characters"),
        (f",{'x' * 51}", "tags: 0: must have at most 50 characters"),
        (
            ',"Stra\u00dfe,STRASSE"',
            "tags: must not name a tag twice, ignoring case: STRASSE",
        ),
        (f',"{",".join(map(str, range(21)))}"', "tags: must have at most 20 items"),
    ],
)
def test_a_cell_that_breaks_a_rule_is_reported(cell: str, problem: str) -> None:
    assert read(f"title,due_date,tags\nx,{cell}\ny,,\n", "csv") == [
        (2, problem),
        (3, {"title": "y", "due_date": None, "tags": []}),
    ]


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("id,titel", "'titel': is not a known field"),
        ("title,Title", "title: appears twice"),
        ("id", "title: is required"),
        ('"title', "must be CSV: unexpected end of data"),
        ("title\udcff", "must be UTF-8"),
    ],
)
def test_a_bad_header_is_an_error(header: str, problem: str) -> None:
    with pytest.raises(reading.UnreadableHeader, match=f"^{re.escape(problem)}$"):
        read(header.encode(errors="surrogateescape"), "csv")


TIMESTAMPS = st.timedeltas(datetime(1970, 1, 1, tzinfo=UTC) - NOON, datetime.now(UTC) - NOON).map(
    lambda since: NOON + since
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
USER_IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=255).filter(
    str.strip
)
FORMULAS = st.builds("".join, st.tuples(st.text("'=+-@ \t\r\n\uff1d"), TEXT))


@st.composite
def tasks(draw: st.DrawFn) -> tuple[Any, ...]:
    """Any task that the contract allows."""
    text = TEXT | FORMULAS
    complete = draw(st.booleans())
    due = draw(DUE_DATES)
    task = {
        "id": draw(st.integers(1, reading.MAX_ID)),
        "user_id": draw(USER_IDS),
        "title": draw(text.map(lambda text: text.strip()[:200].strip()).filter(bool)),
        # In CSV an empty description is read as none.
        "description": draw(st.none() | text.map(lambda text: text[:1000] or None)),
        "complete": complete,
        "priority": draw(st.sampled_from(Priority.values)),
        "due_day": None if isinstance(due, datetime) else due,
        "due_at": due if isinstance(due, datetime) else None,
        "tags": draw(TAGS),
        "completed_at": draw(TIMESTAMPS) if complete else None,
        "created_at": draw(TIMESTAMPS),
        "updated_at": draw(TIMESTAMPS),
        "deleted_at": draw(st.none() | TIMESTAMPS),
    }
    return tuple(task[column] for column in exchange.COLUMNS)


@pytest.mark.parametrize("form", exchange.FORMATS)
@settings(deadline=None)
@given(rows=st.lists(tasks(), max_size=3))
def test_what_was_written_is_read_as_it_was(
    form: exchange.Format, rows: list[tuple[Any, ...]]
) -> None:
    file = BytesIO("".join(exchange.lines(rows, form)).encode())

    found = [row for _, row in reading.read(file, form)]

    assert [stored(row) for row in found] == rows


def stored(row: Any) -> tuple[Any, ...]:
    """The values of a row that was read, as the database has them."""
    day, at = row.due_day, row.due_at
    due = {
        "due_day": day and date.fromisoformat(day),
        "due_at": at and datetime.fromisoformat(at),
    }
    return tuple(due.get(name, getattr(row, name)) for name in exchange.COLUMNS)
