"""Tasks as lines of text and back: JSON Lines for programs, CSV for spreadsheets.

Both hold every field, so that what was written is read back as it was. In CSV an empty cell is a
field that is not given, and an apostrophe stands in front of text that a spreadsheet would take
for a formula, and of no text at all; reading takes it away again.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, BinaryIO, Literal, Self, get_args

import orjson
from django.db import models
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from authjwt import user_ids
from tasks.models import Task
from tasks.query import boolean, whole_number
from tasks.schemas import SENTENCES, UNSET, TaskFields, sentence

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
    return (_moment(value) if isinstance(value, datetime) else value for value in row)


def _moment(value: datetime) -> str:
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
    return _moment(value) if isinstance(value, datetime) else value


# JavaScript reads whole numbers below 2**53, and the sequence goes on after the largest id of a
# file: half of them are left for it.
LARGEST_READ_ID = 2**52 - 1
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)
"""How far the clock of whoever wrote the file may be ahead. Each change of a task is later than the
one before, so after one in the year 9999 comes one in a year that nobody can read."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
MOST_SHOWN = 100


def _user_id(text: str) -> str:
    if not user_ids.is_user_id(text):
        raise PydanticCustomError("user_id", user_ids.RULE)
    return text


def _read_moment(text: Any) -> datetime:
    """Of all that ISO 8601 allows, and numbers, only what can mean nothing else."""
    moment = None
    if isinstance(text, str) and MOMENT.fullmatch(text):
        with suppress(ValueError, OverflowError):  # the 31st of February
            moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    if moment is None:
        raise PydanticCustomError("moment", "must be a time like 2026-01-31T12:00:00Z")
    if moment < EARLIEST:
        raise PydanticCustomError("moment_early", "must not be before 1970")
    if moment > datetime.now(UTC) + AHEAD:
        raise PydanticCustomError("moment_late", "must not be more than a day in the future")
    return moment


Moment = Annotated[datetime, BeforeValidator(_read_moment)]
(WHEN_COMPLETE,) = (
    str(rule.violation_error_message)
    for rule in Task._meta.constraints  # noqa: SLF001  documented
    if rule.name == "task_completed_at_when_complete"
)


class Row(TaskFields):
    """A task of a file, held to the rules of the API

    `model_fields_set` has what the file gives.
    """

    id: Annotated[int, Field(ge=1, le=LARGEST_READ_ID)] = UNSET
    user_id: Annotated[str, AfterValidator(_user_id)] = UNSET
    completed_at: Moment | None = None
    created_at: Moment = UNSET
    updated_at: Moment = UNSET
    deleted_at: Moment | None = None

    @field_validator("completed_at")
    @classmethod
    def _when_complete(cls, moment: datetime | None, info: ValidationInfo) -> datetime | None:
        if moment and info.data.get("complete") is False:
            raise PydanticCustomError("completed_at", WHEN_COMPLETE)
        return moment


class UnreadableHeader(ValueError):
    """The first line of a CSV file says what the others mean."""


def read(file: BinaryIO, form: Format) -> Iterator[tuple[int, Row | str]]:
    """The number of the line where each task begins, and the task or the rule that it breaks."""
    return _read_csv(file) if form == "csv" else _read_json(file)


def _read_json(file: BinaryIO) -> Iterator[tuple[int, Row | str]]:
    for number, line in enumerate(file, 1):
        if number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK.encode())  # noqa: PLW2901
        if line.strip():
            yield number, _checked(Row.model_validate_json, line)


def _checked(validate: Callable[[Any], Row], given: Any) -> Row | str:
    try:
        return validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return ": ".join([*map(_name, first["loc"]), sentence(first)])


def _name(part: int | str) -> str:
    """A name that the file made up may be endless, and steer the terminal."""
    return str(part) if part in FIELDS else ascii(part)[:MOST_SHOWN]


class _Lines:
    """The lines of a file, counted; one that is not UTF-8 does not end it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.number = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = next(self.file)
        self.number += 1
        text = line.decode()
        return text.removeprefix(BYTE_ORDER_MARK) if self.number == 1 else text


def _read_csv(file: BinaryIO) -> Iterator[tuple[int, Row | str]]:
    lines = _Lines(file)
    rows = csv.reader(lines, strict=True)
    header: list[str] | None = None
    while True:
        first = lines.number + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except UnicodeDecodeError:
            fault = "must be UTF-8"
        except csv.Error as error:
            fault = f"must be CSV: {error}"
        else:
            if header is None:
                header = _header(cells)
            elif any(cells):
                yield first, _of_cells(header, cells)
            continue
        if header is None:
            raise UnreadableHeader(fault)
        yield first, fault


def _header(cells: Sequence[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    for name in names:
        if name not in FIELDS:
            raise UnreadableHeader(f"{_name(name)}: {SENTENCES['extra_forbidden']}")
        if names.count(name) > 1:
            raise UnreadableHeader(f"{name}: stands twice")
    if "title" not in names:
        raise UnreadableHeader(f"title: {SENTENCES['missing']}")
    return names


def _of_cells(header: Sequence[str], cells: Sequence[str]) -> Row | str:
    if len(cells) != len(header):
        return f"has {len(cells)} cells where the header has {len(header)}"
    given = {
        name: _value(name, cell)
        for name, cell in zip(header, cells, strict=True)
        if cell or name in NULLABLE
    }
    return _checked(Row.model_validate, given)


def _value(name: str, cell: str) -> Any:
    if not cell:
        return None
    if name == "id":
        return whole_number(cell)
    if name == "complete":
        return boolean(cell.lower())  # a spreadsheet writes TRUE
    return cell[1:] if cell.startswith("'") and MARKED.match(cell) else cell
