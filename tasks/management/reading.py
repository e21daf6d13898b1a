"""Reads tasks from files in the formats of `tasks.exchange`."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, BinaryIO, Self

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
from tasks.exchange import BYTE_ORDER_MARK, FIELDS, MARKED, NULLABLE, Format
from tasks.models import Task
from tasks.query import boolean, whole_number
from tasks.schemas import MESSAGES, UNSET, TaskFields, sentence

# JavaScript is exact for whole numbers below 2**53, and new tasks get ids above the largest one of
# the file: half of the numbers are left for them.
MAX_ID = 2**52 - 1
MIN_TIMESTAMP = datetime(1970, 1, 1, tzinfo=UTC)
MAX_AHEAD = timedelta(days=1)
"""How far ahead the clock may be that wrote the file. Each change of a task must be later than the
one before, and after the year 9999 there is no time that Python can read."""
TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
MAX_SHOWN = 100
EMPTY: dict[str, Any] = {**dict.fromkeys(NULLABLE), "tags": []}
"""What an empty cell of CSV means. In other columns it is a missing value."""


def _user_id(text: str) -> str:
    if not user_ids.is_user_id(text):
        raise PydanticCustomError("user_id", user_ids.RULE)
    return text


def _read_timestamp(text: Any) -> datetime:
    """Only the unambiguous form of ISO 8601: date, time and UTC offset. No numbers."""
    timestamp = None
    if isinstance(text, str) and TIMESTAMP.fullmatch(text):
        with suppress(ValueError, OverflowError):  # such as February 31st
            timestamp = datetime.fromisoformat(text.upper()).astimezone(UTC)
    if timestamp is None:
        raise PydanticCustomError("timestamp", "must be a time like 2026-01-31T12:00:00Z")
    if timestamp < MIN_TIMESTAMP:
        raise PydanticCustomError("timestamp_early", "must not be before 1970")
    if timestamp > datetime.now(UTC) + MAX_AHEAD:
        raise PydanticCustomError("timestamp_late", "must not be more than a day in the future")
    return timestamp


Timestamp = Annotated[datetime, BeforeValidator(_read_timestamp)]
(WHEN_COMPLETE,) = (
    str(rule.violation_error_message)
    for rule in Task._meta.constraints  # noqa: SLF001  documented
    if rule.name == "task_completed_at_when_complete"
)


class Row(TaskFields):
    """A task of a file, held to the rules of the API.

    `model_fields_set` has what the file gives.
    """

    id: Annotated[int, Field(ge=1, le=MAX_ID)] = UNSET
    user_id: Annotated[str, AfterValidator(_user_id)] = UNSET
    completed_at: Timestamp | None = None
    created_at: Timestamp = UNSET
    updated_at: Timestamp = UNSET
    deleted_at: Timestamp | None = None

    @field_validator("completed_at")
    @classmethod
    def _when_complete(cls, completed_at: datetime | None, info: ValidationInfo) -> datetime | None:
        if completed_at and info.data.get("complete") is False:
            raise PydanticCustomError("completed_at", WHEN_COMPLETE)
        return completed_at

    @property
    def due_day(self) -> str | None:
        return None if self.due_date and "T" in self.due_date else self.due_date

    @property
    def due_at(self) -> str | None:
        return self.due_date if self.due_date and "T" in self.due_date else None


class UnreadableHeader(ValueError):
    """The header of a CSV file cannot be used, so none of its lines can be read."""


def read(file: BinaryIO, form: Format) -> Iterator[tuple[int, Row | str]]:
    """For each task the number of its first line, and the task or what is wrong with it."""
    return _read_csv(file) if form == "csv" else _read_json(file)


def _read_json(file: BinaryIO) -> Iterator[tuple[int, Row | str]]:
    for number, line in enumerate(file, 1):
        if number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK.encode())  # noqa: PLW2901
        if line.strip():
            yield number, _checked(Row.model_validate_json, line)


def _checked(validate: Callable[[Any], Row], source: Any) -> Row | str:
    try:
        return validate(source)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return ": ".join([*map(_name, first["loc"]), sentence(first)])


def _name(part: int | str) -> str:
    """An unknown name may be very long, and contain control characters for the terminal."""
    return str(part) if part in FIELDS else ascii(part)[:MAX_SHOWN]


class _Lines:
    """The lines of a file, decoded and counted. A line that is not UTF-8 does not end the file."""

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
            problem = "must be UTF-8"
        except csv.Error as error:
            problem = f"must be CSV: {error}"
        else:
            if header is None:
                header = _header(cells)
            elif any(cells):
                yield first, _row(header, cells)
            continue
        if header is None:
            raise UnreadableHeader(problem)
        yield first, problem


def _header(cells: Sequence[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    for name in names:
        if name not in FIELDS:
            raise UnreadableHeader(f"{_name(name)}: {MESSAGES['extra_forbidden']}")
        if names.count(name) > 1:
            raise UnreadableHeader(f"{name}: appears twice")
    if "title" not in names:
        raise UnreadableHeader(f"title: {MESSAGES['missing']}")
    return names


def _row(header: Sequence[str], cells: Sequence[str]) -> Row | str:
    if len(cells) != len(header):
        return f"has {len(cells)} cells where the header has {len(header)}"
    fields = {
        name: _value(name, cell)
        for name, cell in zip(header, cells, strict=True)
        if cell or name in EMPTY
    }
    return _checked(Row.model_validate, fields)


def _value(name: str, cell: str) -> Any:
    if not cell:
        return EMPTY[name]
    if name == "id":
        return whole_number(cell)
    if name == "complete":
        return boolean(cell.lower())  # a spreadsheet writes TRUE
    text = cell[1:] if cell.startswith("'") and MARKED.match(cell) else cell
    return text.split(",") if name == "tags" else text
