"""Request bodies: JSON as RFC 8259 has it, and nothing that only looks like it."""

import json
from typing import Any, NoReturn

from django.http import HttpRequest
from ninja.parser import Parser


class UnreadableBody(Exception):
    """A body that is not JSON; `status` and `error_code` are those of the answer."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = "UNSUPPORTED_MEDIA_TYPE" if status == 415 else "VALIDATION_ERROR"  # noqa: PLR2004


class JSONParser(Parser):
    """Refuses what Python's parser would let through.

    NaN and infinities are no JSON; UTF-16 is none since RFC 8259, section 8.1; of a name that
    stands twice, which value counts is not for the server to guess (section 4).
    """

    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type != "application/json":
            raise UnreadableBody("The body must be application/json.", status=415)
        if request.META.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
            raise UnreadableBody("The body must not be compressed.", status=415)
        try:
            return DECODER.decode(request.body.decode())
        except (ValueError, RecursionError) as error:
            raise UnreadableBody(f"The body is not valid JSON{_place(error)}.") from error


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise UnreadableBody("The body names a field twice.")
    return found


def _constant(_name: str) -> NoReturn:
    raise ValueError


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def _place(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f" (line {error.lineno}, column {error.colno})"
    return ""
