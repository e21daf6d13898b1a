"""Writes tasks as files: JSON Lines for programs, CSV for spreadsheets.

Both hold every field, so a file reads back as the same tasks. In CSV a cell has all tags of a task,
with commas in between, and an empty cell means no value: an empty description is read as none. Text
that a spreadsheet would take for a formula gets an apostrophe in front, which reading removes.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any, Literal, get_args

import orjson
from django.db import models

from tasks import dates
from tasks.models import Task

Format = Literal["jsonl", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}

DERIVED = {"folded", "tags_folded"}
"""A trigger fills them in from other columns."""
KEYS = {"idempotency_key", "idempotency_fingerprint"}
"""They belong to requests that clients may still repeat here, and mean nothing elsewhere."""
_columns = {
    field.name: field
    for field in Task._meta.get_fields()  # noqa: SLF001  documented
    if isinstance(field, models.Field) and field.name not in DERIVED | KEYS
}
_names = {"due_day": "due_date", "due_at": "due_date"}
COLUMNS = tuple(_columns)
FIELDS = tuple(dict.fromkeys(_names.get(name, name) for name in COLUMNS))
"""In the order of COLUMNS, which has two columns for a due date, one after the other."""
NULLABLE = frozenset(_names.get(name, name) for name, column in _columns.items() if column.null)

# Without it Excel does not recognise UTF-8.
BYTE_ORDER_MARK = "\ufeff"
# Text that gets an apostrophe: formulas, also in full-width characters. They may have apostrophes
# in front already, so that reading removes exactly the one that was added. In files of earlier
# releases an apostrophe alone is an empty text.
MARKED = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])|'+\Z")


def lines(rows: Iterable[tuple[Any, ...]], form: Format) -> Iterator[str]:
    """The lines of a file, with line endings, from rows of `values_list(*COLUMNS)`."""
    tasks = map(_values, rows)
    return _csv_lines(tasks) if form == "csv" else map(_json_line, tasks)


_DUE_DAY = COLUMNS.index("due_day")


def _values(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values of FIELDS."""
    due_day, due_at = row[_DUE_DAY : _DUE_DAY + 2]
    return (*row[:_DUE_DAY], due_at or due_day, *row[_DUE_DAY + 2 :])


def _json_line(task: tuple[Any, ...]) -> str:
    line = orjson.dumps(
        dict(zip(FIELDS, task, strict=True)),
        default=dates.written,
        option=orjson.OPT_PASSTHROUGH_DATETIME,
    )
    return line.decode() + "\n"


class _Echo:
    """A file for `csv.writer` that returns each line instead of storing it."""

    @staticmethod
    def write(line: str) -> str:
        return line


def _csv_lines(tasks: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    line = csv.writer(_Echo).writerow
    yield BYTE_ORDER_MARK + str(line(FIELDS))
    for task in tasks:
        yield str(line([value if value is None else _cell(value) for value in task]))


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if MARKED.match(value) else value
    if isinstance(value, date):
        return dates.written(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return _cell(",".join(value)) if value else None
    return value
