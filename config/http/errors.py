"""The JSON form of every error, and the answers to requests that reach no endpoint.

`jsonify` covers what Django itself answers: an unknown route, a wrong method, a bad host, a crash.
What an endpoint raises is in `handlers.py`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

from config.http import addresses
from config.server.bodies import BODY_TIMEOUT, REFUSAL

ErrorCode = Literal[
    "AUTH_FORBIDDEN",
    "AUTH_INVALID",
    "AUTH_MISSING",
    "AUTH_UNAVAILABLE",
    "DATABASE_ERROR",
    "GONE",
    "IDEMPOTENCY_KEY_REUSED",
    "INTERNAL_ERROR",
    "METHOD_NOT_ALLOWED",
    "NOT_FOUND",
    "PAYLOAD_TOO_LARGE",
    "PRECONDITION_FAILED",
    "RATE_LIMITED",
    "REQUEST_TIMEOUT",
    "SYNC_EXPIRED",
    "UNSUPPORTED_MEDIA_TYPE",
    "VALIDATION_ERROR",
]

RETRY_AFTER = "2"
MAX_ERRORS = 20
"""How many errors of one request an answer names."""

# Sentences that the OpenAPI document has in its examples too.
BODY_TOO_LARGE = f"The body must have at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024} KiB."
BODY_TOO_LATE = f"The body did not arrive within {BODY_TIMEOUT:g} s."
CRASH = "Something went wrong here. It has been recorded."
DATABASE_UNREACHABLE = (
    "The database cannot be reached at the moment. Nothing was done: please try again."
)
NOT_JSON = "The body must be JSON: send the header Content-Type: application/json."
IN_TRASH = "The task of this Idempotency-Key is in the trash. To create another one, use a new key."
KEY_REUSED = "This Idempotency-Key was sent before, with another body. Use a new key."
PRECONDITION_FAILED = "The task has changed since then. Read it again before changing it."
SYNC_EXPIRED = "The changes since then are no longer known. Begin again with sync=*."

BY_STATUS: Mapping[int, tuple[ErrorCode, str]] = {
    400: ("VALIDATION_ERROR", "The request is malformed."),
    403: ("AUTH_FORBIDDEN", "This is not allowed."),
    404: ("NOT_FOUND", addresses.NOTHING_HERE),
    405: ("METHOD_NOT_ALLOWED", addresses.WRONG_METHOD),
    413: ("PAYLOAD_TOO_LARGE", BODY_TOO_LARGE),
}
"""Errors that Django answers with, instead of the API."""


def error(
    request: HttpRequest,
    status: int,
    error_code: ErrorCode,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> HttpResponse:
    """An error in the form that all routes share, with `members` in addition to the common ones."""
    return HttpResponse(
        body(request, error_code, detail, **members),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "private, no-store", **(headers or {})},
    )


def body(request: HttpRequest, error_code: ErrorCode, detail: str, **members: Any) -> bytes:
    request.error_code = error_code  # type: ignore[attr-defined] # for the metrics
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return orjson.dumps(
        {
            "detail": detail,
            "error_code": error_code,
            "timestamp": now,
            "request_id": getattr(request, "id", ""),
            **members,
        }
    )


def explain(request: HttpRequest, **members: Any) -> None:
    """Adds members to the log line of a request that fails."""
    request.explanation = members  # type: ignore[attr-defined]


def jsonify(request: HttpRequest, response: HttpResponseBase) -> None:
    """Replaces the content of Django's error page by JSON, and keeps its headers."""
    if not isinstance(response, HttpResponse) or response["Content-Type"] == "application/json":
        return
    default: tuple[ErrorCode, str] = ("INTERNAL_ERROR", CRASH)
    error_code, detail = BY_STATUS.get(response.status_code, default)
    if "Allow" in response:
        methods = {name.strip() for name in response["Allow"].split(",")}
        allowed = sorted(methods | ({"HEAD"} if "GET" in methods else set()))
        response["Allow"] = ", ".join(allowed)
        detail = addresses.wrong_method(request, allowed)
    elif error_code == "NOT_FOUND":
        detail = addresses.unknown(request.path_info)
    response.content = body(request, error_code, detail)
    response["Content-Type"] = "application/json"
    response["Cache-Control"] = "private, no-store"


@csrf_exempt
def refuse_body(request: HttpRequest, **_: Any) -> HttpResponse:
    """Replaces every view where the server has refused the body of the request."""
    headers = {"Connection": "close"}
    if request.META[REFUSAL] == "timeout":
        return error(request, 408, "REQUEST_TIMEOUT", BODY_TOO_LATE, headers=headers)
    detail = "Too many request bodies are arriving at the moment. Nothing was done: try again."
    headers["Retry-After"] = RETRY_AFTER
    return error(request, 503, "INTERNAL_ERROR", detail, headers=headers)


REFUSED_BODY_URLS = (re_path("", refuse_body),)
"""The URLconf of a request whose body the server has refused."""
