"""Tasks as lines of text and back: JSON Lines for programs, CSV for spreadsheets.

Both hold every field, so that what was written is read back as it was. In CSV an empty cell is a
field that is not given, and an apostrophe stands in front of text that a spreadsheet would take
for a formula, and of no text at all; reading takes it away again.
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

# Without it Excel takes UTF-8 for the encoding of its country.
BYTE_ORDER_MARK = "\ufeff"
# What spreadsheets calculate, in their full-width forms too, or nothing; behind any apostrophes, so
# that one more or one less of them makes no difference.
MARKED = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|\Z)")


def lines(rows: Iterable[tuple[Any, ...]], form: Format) -> Iterator[str]:
    """Lines with their ends, of rows as `values_list(*FIELDS)` gives them."""
    return _csv_lines(rows) if form == "csv" else map(_json_line, rows)


def _json_line(row: tuple[Any, ...]) -> str:
    line = orjson.dumps(dict(zip(FIELDS, _written(row), strict=True)))
    return line.decode() + "\n"


def _written(row: tuple[Any, ...]) -> Iterator[Any]:
    return (_timestamp(value) if isinstance(value, datetime) else value for value in row)


def _timestamp(value: datetime) -> str:
    """RFC 3339, always with microseconds: the standard form leaves them out where they are 0."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class _Echo:
    """What `csv` takes for a file, and hands each line back."""

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
