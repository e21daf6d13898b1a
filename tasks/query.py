"""The query string of the list."""

import re
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

if TYPE_CHECKING:
    from django.http import HttpRequest

WHOLE_NUMBER = re.compile("-?[0-9]{1,20}")
MAX_OFFSET = 2**53 - 1


def boolean(text: Any) -> Any:
    return {"true": True, "false": False}.get(text, text) if isinstance(text, str) else text


def whole_number(text: Any) -> Any:
    """Unlike `int`, this does not accept `1_000`, ` 7` or Arabic digits."""
    return int(text) if isinstance(text, str) and WHOLE_NUMBER.fullmatch(text) else text


class ListQuery(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    complete: Annotated[
        bool | None,
        BeforeValidator(boolean),
        Field(description="Only tasks that are complete, or only those that are not."),
        WithJsonSchema({"type": "boolean"}),
    ] = None
    limit: Annotated[int, Field(ge=1, le=1000), BeforeValidator(whole_number)] = Field(
        default=1000, description="The maximum number of tasks on the page."
    )
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET), BeforeValidator(whole_number)] = Field(
        default=0, description="How many tasks to skip."
    )

    @model_validator(mode="before")
    @classmethod
    def _whole_query(cls, _known: Any, info: ValidationInfo) -> Any:
        """Reads the query string itself, so that a misspelt or repeated parameter is refused."""
        query = cast("HttpRequest", cast("dict[str, Any]", info.context)["request"]).GET
        return {name: values[0] if len(values) == 1 else values for name, values in query.lists()}
