"""Writes tasks as files: JSON Lines for programs, CSV for spreadsheets.

Both hold every field, so a file reads back as the same tasks. In CSV an empty cell means no value.
Text that a spreadsheet would take for a formula, and empty text, gets an apostrophe in front, which
reading removes.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import orjson
from django.db import models

from tasks.models import Task

Format = Literal["jsonl", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}

_columns = [
    field
    for field in Task._meta.get_fields()  # noqa: SLF001  documented
    if isinstance(field, models.Field)
]
FIELDS = tuple(column.name for column in _columns)
NULLABLE = frozenset(column.name for column in _columns if column.null)

# Without it Excel does not recognise UTF-8.
BYTE_ORDER_MARK = "\ufeff"
# Text that gets an apostrophe: formulas, also in full-width characters, and empty text. It may have
# apostrophes in front already, so that reading removes exactly the one that was added.
MARKED = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|\Z)")


def lines(rows: Iterable[tuple[Any, ...]], form: Format) -> Iterator[str]:
    """The lines of a file, with line endings, from rows of `values_list(*FIELDS)`."""
    return _csv_lines(rows) if form == "csv" else map(_json_line, rows)


def _json_line(row: tuple[Any, ...]) -> str:
    line = orjson.dumps(dict(zip(FIELDS, _json_values(row), strict=True)))
    return line.decode() + "\n"


def _json_values(row: tuple[Any, ...]) -> Iterator[Any]:
    return (_timestamp(value) if isinstance(value, datetime) else value for value in row)


def _timestamp(value: datetime) -> str:
    """RFC 3339, always with microseconds, which `isoformat` leaves out when they are 0."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class _Echo:
    """A file for `csv.writer` that returns each line instead of storing it."""

    @staticmethod
    def write(line: str) -> str:
        return line


def _csv_lines(rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    line = csv.writer(_Echo).writerow
    yield BYTE_ORDER_MARK + str(line(FIELDS))
    for row in rows:
        yield str(line([_cell(value) for value in row]))


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if MARKED.match(value) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return _timestamp(value) if isinstance(value, datetime) else value
