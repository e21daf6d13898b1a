"""Request bodies: JSON as RFC 8259 defines it, and nothing else."""

import json
from http import HTTPStatus
from typing import Any, NoReturn

from django.http import HttpRequest
from ninja.parser import Parser

from config.http.errors import NOT_JSON, ErrorCode


class UnreadableBody(Exception):
    """The body is not JSON; `status` and `error_code` are for the answer."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.error_code: ErrorCode = "VALIDATION_ERROR"
        if status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
            self.error_code = "UNSUPPORTED_MEDIA_TYPE"


class JSONParser(Parser):
    """Also refuses what Python's parser accepts.

    NaN and infinities are not JSON. Neither is UTF-16 (RFC 8259, section 8.1). An object with a
    duplicate name has no defined meaning (section 4).
    """

    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type != "application/json":
            raise UnreadableBody(NOT_JSON, status=415)
        if request.META.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
            raise UnreadableBody("The body must not be compressed.", status=415)
        try:
            return DECODER.decode(request.body.decode())
        except (ValueError, RecursionError) as error:
            raise UnreadableBody(f"The body is not valid JSON{_place(error)}.") from error


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(members)
    if len(fields) < len(members):
        raise UnreadableBody("The body names a field twice.")
    return fields


def _constant(_name: str) -> NoReturn:
    raise ValueError


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def _place(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f" (line {error.lineno}, column {error.colno})"
    return ""
