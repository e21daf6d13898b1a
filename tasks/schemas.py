"""What clients send and get. The OpenAPI document is generated from these types."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from django.conf import settings
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tasks import dates
from tasks.models import (
    DESCRIPTION_LENGTH,
    MAX_ID,
    MAX_TAGS,
    TAG_LENGTH,
    TITLE_LENGTH,
    USER_ID_LENGTH,
    Priority,
)

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
READ_ONLY = ("id", "user_id", "completed_at", "created_at", "updated_at", "deleted_at")
NO_TRASH = "is not possible here: this server has no trash"


# pydantic's error types, in the words of somebody who filled in a form.
MESSAGES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a JSON object",
    "extra_forbidden": "is not a known field",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_type": "must be a whole number",
    "json_invalid": "must be JSON in UTF-8",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "literal_error": "must be one of {expected}",
    "missing": "is required",
    "model_type": "must be a JSON object",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "string_type": "must be a string",
    "too_long": "must have at most {max_length} items",
    "string_unicode": "must not contain the character NUL or a lone surrogate",
}


def sentence(error: Mapping[str, Any]) -> str:
    """The message of one of pydantic's errors, without its location."""
    if error["type"] in MESSAGES:
        return MESSAGES[error["type"]].format(**error.get("ctx", {}))
    return str(error["msg"])  # complete, and may repeat what the client sent


def storable(text: str) -> str:
    """PostgreSQL cannot store NUL, and a lone surrogate is only half a character."""
    if UNSTORABLE.search(text):
        raise PydanticCustomError(
            "string_unicode", "must not contain the character NUL or a lone surrogate"
        )
    return text


def _trimmed(text: str, max_length: int) -> str:
    text = text.strip()
    if not text:
        raise PydanticCustomError("blank", "must not be blank")
    if len(text) > max_length:
        raise PydanticCustomError(
            "string_too_long", MESSAGES["string_too_long"], {"max_length": max_length}
        )
    return text


def _title(text: str) -> str:
    return _trimmed(text, TITLE_LENGTH)


def trimmed_tag(text: str) -> str:
    tag = _trimmed(storable(text), TAG_LENGTH)
    if "," in tag:
        raise PydanticCustomError("comma", "must not contain a comma")
    if CONTROL.search(tag):
        raise PydanticCustomError("control", "must not contain control characters")
    return tag


def _unique(tags: list[str]) -> list[str]:
    """Case is ignored as Unicode defines it, so `Straße` and `STRASSE` are one tag."""
    by_fold: dict[str, str] = {}
    for tag in tags:
        fold = tag.casefold()
        if fold in by_fold:
            raise PydanticCustomError(
                "duplicate",
                "must not name a tag twice, ignoring case: {tag}",
                {"tag": tag, "other": by_fold[fold]},
            )
        by_fold[fold] = tag
    return tags


def _due_date(text: Any) -> Any:
    return text if text is None else dates.written(dates.parse(text))


def _lower(priority: Any) -> Any:
    return priority.lower() if isinstance(priority, str) else priority


SPACE = r"\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
r"""WHITE_SPACE for a pattern of JSON Schema, whose `\s` is another set."""


def _trimmed_pattern(refused: str, max_length: int) -> str:
    inside, end = f"[^{refused}]", f"[^{refused}{SPACE}]"
    return rf"^[{SPACE}]*{end}({inside}{{0,{max_length - 2}}}{end})?[{SPACE}]*$"


Title = Annotated[
    str,
    AfterValidator(storable),
    AfterValidator(_title),
    WithJsonSchema(
        {
            "type": "string",
            "description": (
                f"1 to {TITLE_LENGTH} characters after white space at both ends is taken off."
            ),
            "pattern": _trimmed_pattern(r"\u0000", TITLE_LENGTH),
            "examples": ["Buy milk"],
        }
    ),
]
NO_NUL = r"^[^\u0000]*$"
"""A pattern of OpenAPI for texts that PostgreSQL can store."""
DESCRIPTION: dict[str, Any] = {"pattern": NO_NUL, "examples": ["Two litres"]}
Description = Annotated[
    str,
    Field(max_length=DESCRIPTION_LENGTH, json_schema_extra=DESCRIPTION),
    AfterValidator(storable),
]
DUE_DATE: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
        {"type": "null"},
    ],
    "description": (
        "A day, which is the same in every time zone, or a time with its offset from UTC. "
        "A time is returned in UTC."
    ),
    "examples": ["2026-01-31", "2026-01-31T17:30:00+01:00"],
}
DueDate = Annotated[str | None, BeforeValidator(_due_date), WithJsonSchema(DUE_DATE)]
TAG = {
    "type": "string",
    "pattern": _trimmed_pattern(r"\u0000-\u001f\u007f-\u009f,", TAG_LENGTH),
}
Tag = Annotated[str, AfterValidator(trimmed_tag), WithJsonSchema(TAG)]
Tags = Annotated[
    list[Tag],
    Field(
        max_length=MAX_TAGS,
        description=(
            f"Each 1 to {TAG_LENGTH} characters after white space at both ends is taken off, "
            "without commas and control characters. No two may differ in case only."
        ),
        json_schema_extra={"uniqueItems": True, "examples": [["home", "Shopping"]]},
    ),
    AfterValidator(_unique),
]
if TYPE_CHECKING:
    PriorityOut = str
else:
    PriorityOut = Literal[tuple(Priority.values)]
PriorityIn = Annotated[PriorityOut, BeforeValidator(_lower)]


class TaskFields(BaseModel):
    """The fields that a client sets, read strictly: types are not converted, and an unknown field
    is refused.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    title: Title
    description: Description | None = None
    complete: bool = False
    priority: PriorityIn = Priority.MEDIUM.value
    due_date: DueDate = None
    tags: Tags = []


class TaskIn(TaskFields):
    @model_validator(mode="before")
    @classmethod
    def _without_read_only(cls, body: Any) -> Any:
        """What the server sets has no effect, so a client can send back the task that it got."""
        if not isinstance(body, dict):
            return body
        return {name: value for name, value in body.items() if name not in READ_ONLY}


class TaskPut(TaskIn):
    """A whole task: what is left out returns to its default."""

    complete: bool


UNSET: Any = None


def _undelete(deleted: Any) -> Any:
    if deleted is True:
        raise PydanticCustomError("deleted", "must be false: to delete a task, use DELETE")
    if deleted is False and not settings.TASKS_RETENTION_DAYS:
        raise PydanticCustomError("no_trash", NO_TRASH)
    return deleted


class TaskPatch(TaskIn):
    """Any part of a task, and at least one: what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    title: Title = UNSET
    complete: bool = UNSET
    priority: PriorityIn = UNSET
    tags: Tags = UNSET
    deleted: Annotated[
        bool,
        BeforeValidator(_undelete),
        Field(description="`false` brings the task back from the trash."),
        WithJsonSchema({"type": "boolean", "enum": [False]}),
    ] = UNSET

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("empty_change", "At least one field must be provided")
        return self


class TaskOut(BaseModel):
    id: Annotated[int, Field(ge=1, le=MAX_ID)]
    user_id: Annotated[str, Field(min_length=1, max_length=USER_ID_LENGTH)]
    title: Annotated[str, Field(min_length=1, max_length=TITLE_LENGTH)]
    description: Annotated[str, Field(max_length=DESCRIPTION_LENGTH)] | None
    complete: bool
    priority: PriorityOut
    due_date: Annotated[str | None, WithJsonSchema(DUE_DATE)]
    tags: Annotated[list[str], Field(max_length=MAX_TAGS)]
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: Annotated[datetime, Field(description="Only in the trash.")] = UNSET


class DeletedTask(BaseModel):
    id: Annotated[int, Field(ge=1, le=MAX_ID)]
    deleted_at: datetime


class TaskList(BaseModel):
    """A page of the list, or what has changed, if the request has `sync`."""

    tasks: list[TaskOut]
    count: Annotated[
        int,
        Field(
            ge=0,
            description="How many tasks match, whatever the page. With `sync`: how many there are.",
        ),
    ]
    next_cursor: Annotated[
        str | None,
        Field(
            description="The `cursor` of the next page, or null on the last page. Not with `sync`."
        ),
    ] = UNSET
    deleted: Annotated[
        list[DeletedTask],
        Field(description="Only with `sync`: the tasks that were deleted since then."),
    ] = UNSET
    sync: Annotated[str, Field(description="Only with `sync`: the token for the next call.")] = (
        UNSET
    )
    more: Annotated[
        bool,
        Field(description="Only with `sync`: whether there are more changes. Then ask at once."),
    ] = UNSET
