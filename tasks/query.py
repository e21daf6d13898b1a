"""The query string of the list."""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from django.conf import settings
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tasks import dates
from tasks.models import Priority
from tasks.schemas import NO_NUL, NO_TRASH, TAG, storable, trimmed_tag

if TYPE_CHECKING:
    from django.http import HttpRequest

WHOLE_NUMBER = re.compile("-?[0-9]{1,20}")
MAX_OFFSET = 2**53 - 1
MAX_Q_LENGTH = 200
MAX_SORT_KEYS = 3
SORT_KEYS = (
    "created_at",
    "updated_at",
    "completed_at",
    "due_date",
    "priority",
    "title",
)
DELETED_AT = "deleted_at"
"""The sort key that only the trash has."""
DEFAULT_SORT = ["-created_at"]
DEFAULT_SORT_OF_TRASH = ["-deleted_at"]


def boolean(text: Any) -> Any:
    return {"true": True, "false": False}.get(text, text) if isinstance(text, str) else text


def whole_number(text: Any) -> Any:
    """Unlike `int`, this does not accept `1_000`, ` 7` or Arabic digits."""
    return int(text) if isinstance(text, str) and WHOLE_NUMBER.fullmatch(text) else text


def _once(values: Any) -> Any:
    if isinstance(values, list):
        raise PydanticCustomError("repeated", "may be given only once")
    return values


def _priorities(text: str) -> list[str]:
    """In a fixed order and each once, so that a cursor does not depend on how they were written."""
    names = set(text.lower().split(","))
    if not names <= set(Priority.values):
        raise PydanticCustomError(
            "priorities",
            "must be one or more of {}, {} and {} with commas in between".format(*Priority.values),
        )
    return sorted(names)


def _deleted(deleted: Any) -> Any:
    if deleted is True and not settings.TASKS_RETENTION_DAYS:
        raise PydanticCustomError("no_trash", NO_TRASH)
    return deleted


def _sort(text: str, info: ValidationInfo) -> list[str]:
    keys = text.split(",")
    names = [key.removeprefix("-") for key in keys]
    if DELETED_AT in names and not info.data.get("deleted"):
        raise PydanticCustomError("sort", "may be by deleted_at only in the trash (deleted=true)")
    if not {*names} <= {*SORT_KEYS, DELETED_AT} or len(names) > MAX_SORT_KEYS:
        raise PydanticCustomError(
            "sort",
            f"must be one to three of {', '.join(SORT_KEYS[:-1])} and {SORT_KEYS[-1]}, "
            "with commas in between and - in front for descending",
        )
    if len(names) > len(set(names)):
        raise PydanticCustomError("sort", "must not name a key twice")
    return keys


def _tags(texts: list[str]) -> list[str]:
    if any("," in text for text in texts):
        raise PydanticCustomError("comma", "must not contain a comma: repeat tag for several")
    return sorted({trimmed_tag(text).casefold() for text in texts})


def _words(q: str) -> list[str]:
    if len(q) > MAX_Q_LENGTH:
        raise PydanticCustomError(
            "string_too_long",
            "must have at most {max_length} characters",
            {"max_length": MAX_Q_LENGTH},
        )
    return sorted(set(storable(q).casefold().split()))


Bound = Annotated[
    datetime | None,
    BeforeValidator(dates.parse_bound),
    BeforeValidator(_once),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date"},
                {"type": "string", "format": "date-time"},
            ],
            "examples": ["2026-01-31", "2026-01-31T16:30:00Z"],
        }
    ),
]


def _listed(pattern: str, max_items: int, example: str) -> WithJsonSchema:
    """As text: some generated clients would repeat the parameter for each item of an array."""
    rule = f"^{pattern}(,{pattern}){{0,{max_items - 1}}}$"
    return WithJsonSchema({"type": "string", "pattern": rule, "examples": [example]})


class WholeQuery(BaseModel):
    """Reads the query string itself, so that a misspelt or repeated parameter is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _whole_query(cls, _known: Any, info: ValidationInfo) -> Any:
        query = cast("HttpRequest", cast("dict[str, Any]", info.context)["request"]).GET
        return {
            name: values[0] if len(values) == 1 and name != "tag" else values
            for name, values in query.lists()
        }


class DeleteQuery(WholeQuery):
    permanent: Annotated[
        bool,
        BeforeValidator(boolean),
        BeforeValidator(_once),
        Field(description="Deletes the task permanently, from the list or from the trash."),
        WithJsonSchema({"type": "boolean"}),
    ] = False


class ListQuery(WholeQuery):
    deleted: Annotated[
        bool,
        BeforeValidator(_deleted),
        BeforeValidator(boolean),
        BeforeValidator(_once),
        Field(description="The tasks in the trash instead, each with `deleted_at`."),
        WithJsonSchema({"type": "boolean"}),
    ] = False
    complete: Annotated[
        bool | None,
        BeforeValidator(boolean),
        BeforeValidator(_once),
        Field(description="Only tasks that are complete, or only those that are not."),
        WithJsonSchema({"type": "boolean"}),
    ] = None
    priority: Annotated[
        list[str],
        BeforeValidator(_priorities),
        BeforeValidator(_once),
        Field(description="Only tasks of these priorities, with commas in between."),
        _listed(f"({'|'.join(Priority.values)})", len(Priority.values), "high,medium"),
    ] = []
    tag: Annotated[
        list[str],
        BeforeValidator(_tags),
        Field(description="Only tasks with this tag, ignoring case. Repeat it for several tags."),
        WithJsonSchema({"type": "array", "items": TAG}),
    ] = []
    due: Annotated[
        Literal["none", "any"] | None,
        BeforeValidator(_once),
        Field(description="Only tasks without a due date, or only those with one."),
        WithJsonSchema({"type": "string", "enum": ["none", "any"]}),
    ] = None
    due_after: Bound = Field(
        default=None, description="Due then or later. A day counts as its beginning in UTC."
    )
    due_before: Bound = Field(
        default=None, description="Due earlier. A day counts as its beginning in UTC."
    )
    created_after: Bound = Field(default=None, description="Created then or later.")
    created_before: Bound = Field(default=None, description="Created earlier.")
    updated_after: Bound = Field(default=None, description="Changed then or later.")
    updated_before: Bound = Field(default=None, description="Changed earlier.")
    completed_after: Bound = Field(default=None, description="Completed then or later.")
    completed_before: Bound = Field(default=None, description="Completed earlier.")
    q: Annotated[
        list[str],
        BeforeValidator(_words),
        BeforeValidator(_once),
        Field(
            description="Only tasks with each of these words somewhere in title or description, "
            "ignoring case."
        ),
        WithJsonSchema({"type": "string", "maxLength": MAX_Q_LENGTH, "pattern": NO_NUL}),
    ] = []
    sort: Annotated[
        list[str],
        BeforeValidator(_sort),
        BeforeValidator(_once),
        Field(
            description="The order, by up to three keys with commas in between; - in front means "
            "descending. Tasks without a value come last. The id decides between equals. The trash "
            "is sorted by -deleted_at, unless this says otherwise."
        ),
        _listed(f"-?({'|'.join((*SORT_KEYS, DELETED_AT))})", MAX_SORT_KEYS, "-priority,due_date"),
    ] = DEFAULT_SORT
    limit: Annotated[
        int, Field(ge=1, le=1000), BeforeValidator(whole_number), BeforeValidator(_once)
    ] = Field(default=1000, description="The maximum number of tasks on the page.")
    cursor: Annotated[
        str | None,
        BeforeValidator(_once),
        Field(
            description="`next_cursor` of the page before, with the same filters and sort. It "
            "neither repeats nor skips tasks when others are added or deleted in between."
        ),
        WithJsonSchema({"type": "string"}),
    ] = None
    offset: Annotated[
        int, Field(ge=0, le=MAX_OFFSET), BeforeValidator(whole_number), BeforeValidator(_once)
    ] = Field(default=0, description="How many tasks to skip, for page numbers.")

    sync: Annotated[
        str | None,
        BeforeValidator(_once),
        Field(
            description="What has changed since an earlier answer: its `sync`, or `*` to begin "
            "with all tasks. Only `limit` may be used with it, and limits tasks and `deleted` "
            "together. Nothing is missed, but a task may come twice. After a 410, begin again."
        ),
        WithJsonSchema({"type": "string"}),
    ] = None

    def selection(self) -> dict[str, Any]:
        """Filters and sort in one spelling: equal selections are equal lists."""
        chosen = self.model_dump(
            exclude={"limit", "cursor", "offset", "sync"}, exclude_defaults=True
        )
        if self.deleted:
            is_sorted = "sort" in self.model_fields_set
            chosen["sort"] = self.sort if is_sorted else DEFAULT_SORT_OF_TRASH
        return chosen

    @field_validator("offset")
    @classmethod
    def _not_beside_a_cursor(cls, offset: int, info: ValidationInfo) -> int:
        if info.data.get("cursor"):
            raise PydanticCustomError("offset", "cannot be used together with cursor")
        return offset

    @field_validator("sync")
    @classmethod
    def _alone(cls, sync: str | None, info: ValidationInfo) -> str | None:
        query = cast("HttpRequest", cast("dict[str, Any]", info.context)["request"]).GET
        if others := sorted(set(query) - {"sync", "limit"}):
            raise PydanticCustomError(
                "sync", f"cannot be used together with {', '.join(others)}, only with limit"
            )
        return sync
