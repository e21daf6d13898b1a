"""What clients send and get. OpenAPI is made from these types."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tasks.models import DESCRIPTION_LENGTH, LARGEST_ID, TITLE_LENGTH, USER_ID_LENGTH

if TYPE_CHECKING:
    from django.http import HttpRequest

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
WHOLE_NUMBER = re.compile("-?[0-9]{1,20}")
READ_ONLY = ("id", "user_id", "completed_at", "created_at", "updated_at")


# What pydantic's error types mean to somebody who filled in a form.
SENTENCES = {
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
    "literal_error": "must be one of {expected}",
    "missing": "is required",
    "model_type": "must be a JSON object",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "string_type": "must be a string",
    "string_unicode": "must not contain the character NUL or a lone surrogate",
}


def sentence(error: Mapping[str, Any]) -> str:
    """What one of pydantic's errors says, without the place."""
    words: str = SENTENCES.get(error["type"], error["msg"])
    return words.format(**error.get("ctx", {}))


def storable(text: str) -> str:
    """PostgreSQL stores every character but NUL; a lone surrogate is half of one."""
    if UNSTORABLE.search(text):
        raise PydanticCustomError(
            "string_unicode", "must not contain the character NUL or a lone surrogate"
        )
    return text


def _trimmed(title: str) -> str:
    title = title.strip()
    if not title:
        raise PydanticCustomError("blank", "must not be blank")
    if len(title) > TITLE_LENGTH:
        raise PydanticCustomError(
            "string_too_long",
            "must have at most {max_length} characters",
            {"max_length": TITLE_LENGTH},
        )
    return title


def _lower(priority: Any) -> Any:
    return priority.lower() if isinstance(priority, str) else priority


Title = Annotated[
    str,
    AfterValidator(storable),
    AfterValidator(_trimmed),
    WithJsonSchema(
        {
            "type": "string",
            "description": "1 to 200 characters after white space at both ends is taken off.",
            "pattern": rf"^\s*[^\s\u0000]([^\u0000]{{0,{TITLE_LENGTH - 2}}}[^\s\u0000])?\s*$",
            "examples": ["Buy milk"],
        }
    ),
]
DESCRIPTION: dict[str, Any] = {"pattern": r"^[^\u0000]*$", "examples": ["Two litres"]}
Description = Annotated[
    str,
    Field(max_length=DESCRIPTION_LENGTH, json_schema_extra=DESCRIPTION),
    AfterValidator(storable),
]
Priority = Annotated[
    Literal["low", "medium", "high"],
    BeforeValidator(_lower),
]


class Body(BaseModel):
    """A body is read strictly: no type is bent, and a field that is not known is refused.

    The fields that the server sets may stand in it, so that a client can send back the task
    that it was given; they have no effect.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_read_only(cls, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        return {name: value for name, value in body.items() if name not in READ_ONLY}


class TaskIn(Body):
    title: Title
    description: Description | None = None
    complete: bool = False
    priority: Priority = "medium"


class TaskPut(Body):
    """A whole task: what is left out returns to its default."""

    title: Title
    description: Description | None = None
    complete: bool
    priority: Priority = "medium"


LEFT_OUT: Any = None


class TaskPatch(Body):
    """Any part of a task, and at least one: what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    title: Title = LEFT_OUT
    description: Description | None = None
    complete: bool = LEFT_OUT
    priority: Priority = LEFT_OUT

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("empty_change", "At least one field must be provided")
        return self


class TaskOut(BaseModel):
    id: Annotated[int, Field(ge=1, le=LARGEST_ID)]
    user_id: Annotated[str, Field(min_length=1, max_length=USER_ID_LENGTH)]
    title: Annotated[str, Field(min_length=1, max_length=TITLE_LENGTH)]
    description: Annotated[str, Field(max_length=DESCRIPTION_LENGTH)] | None
    complete: bool
    priority: Literal["low", "medium", "high"]
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class TaskList(BaseModel):
    tasks: list[TaskOut]
    count: Annotated[int, Field(ge=0, description="How many tasks match, whatever the page.")]


def boolean(text: Any) -> Any:
    return {"true": True, "false": False}.get(text, text) if isinstance(text, str) else text


def digits(text: Any) -> Any:
    """Python reads `1_000`, ` 7` and Arabic digits as numbers; a query string has none of them."""
    return int(text) if isinstance(text, str) and WHOLE_NUMBER.fullmatch(text) else text


class Page(BaseModel):
    """The query of the list."""

    model_config = ConfigDict(strict=True, extra="forbid")

    complete: Annotated[
        bool | None,
        BeforeValidator(boolean),
        Field(description="Only tasks that are complete, or only those that are not."),
        WithJsonSchema({"type": "boolean"}),
    ] = None
    limit: Annotated[int, Field(ge=1, le=1000), BeforeValidator(digits)] = Field(
        default=1000, description="The most tasks that the page holds."
    )
    offset: Annotated[int, Field(ge=0, le=LARGEST_ID), BeforeValidator(digits)] = Field(
        default=0, description="How many tasks stand before the page."
    )

    @model_validator(mode="before")
    @classmethod
    def _whole_query(cls, _known: Any, info: ValidationInfo) -> Any:
        """The whole query string, so that a misspelt or repeated parameter is refused."""
        query = cast("HttpRequest", cast("dict[str, Any]", info.context)["request"]).GET
        return {name: found[0] if len(found) == 1 else found for name, found in query.lists()}
