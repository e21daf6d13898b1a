"""The one place where a failure becomes JSON.

Handlers for what the API raises, and `jsonify` for what Django answers by itself
(an unknown route, a wrong method, a bad host, a crash).
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from authjwt.exceptions import Forbidden, InvalidToken, KeysUnavailable, MissingToken
from config.http.parser import UnreadableBody
from config.server.bodies import BODY_TIMEOUT, REFUSAL
from config.server.connection import AnswerLost, ConnectionFailed
from config.server.logs import summary
from tasks.models import Task
from tasks.schemas import sentence

log = structlog.get_logger()

RETRY_AFTER = "2"
MOST_ERRORS = 20
MOST_CHARACTERS = 100

# Of a function that is not there, that may not be called, or that refuses what it is given.
OF_ANOTHER_RELEASE = ("42883", "3F000", "42501", "22023")

# A statement, or the wait for a lock, that PostgreSQL has ended.
TIMEOUTS = ("57014", "55P03")
SAFE_METHODS = ("GET", "HEAD")

# Answers that Django, and not the API, gives.
BY_STATUS = {
    400: ("VALIDATION_ERROR", "The request is malformed."),
    403: ("AUTH_FORBIDDEN", "This is not allowed."),
    404: ("NOT_FOUND", "There is nothing at this address."),
    405: ("METHOD_NOT_ALLOWED", "This address does not know this method."),
    413: ("PAYLOAD_TOO_LARGE", "The body must have at most 64 KiB."),
}


def error(
    request: HttpRequest,
    status: int,
    error_code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> HttpResponse:
    """An error in the form that every route shares; `members` stand beside the common ones."""
    return HttpResponse(
        body(request, error_code, detail, **members),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "private, no-store", **(headers or {})},
    )


def body(request: HttpRequest, error_code: str, detail: str, **members: Any) -> bytes:
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
    """What the line in the log says beside the status."""
    request.explanation = members  # type: ignore[attr-defined]


def jsonify(request: HttpRequest, response: HttpResponseBase) -> None:
    """Turns an error page of Django into the form of the API, its headers kept."""
    if not isinstance(response, HttpResponse) or response["Content-Type"] == "application/json":
        return
    default = ("INTERNAL_ERROR", "Something went wrong here. It has been recorded.")
    if "Allow" in response:
        methods = {name.strip() for name in response["Allow"].split(",")}
        response["Allow"] = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
    response.content = body(request, *BY_STATUS.get(response.status_code, default))
    response["Content-Type"] = "application/json"
    response["Cache-Control"] = "private, no-store"


def install(api: NinjaAPI) -> None:
    """Registers a handler for everything that an endpoint may raise."""
    handlers: Mapping[type[Exception], Callable[[HttpRequest, Any], HttpResponse]] = {
        MissingToken: _missing_token,
        InvalidToken: _invalid_token,
        Forbidden: _forbidden,
        KeysUnavailable: _keys_unavailable,
        Task.DoesNotExist: _not_found,
        ValidationError: _invalid,
        HttpError: _unreadable,
        RequestDataTooBig: _too_large,
        TooManyFieldsSent: _too_many_parameters,
        OperationalError: _database_away,
        InterfaceError: _database_away,
        DatabaseError: _database_error,
        Exception: _internal_error,
    }
    for exception, handler in handlers.items():
        api.add_exception_handler(exception, handler)


def _missing_token(request: HttpRequest, exc: MissingToken) -> HttpResponse:
    return error(request, 401, "AUTH_MISSING", str(exc), headers={"WWW-Authenticate": "Bearer"})


def _invalid_token(request: HttpRequest, exc: InvalidToken) -> HttpResponse:
    explain(request, reason=exc.reason, **({"user_id": exc.user_id} if exc.user_id else {}))
    challenge = f'Bearer error="invalid_token", error_description="{exc.reason}: {exc.detail}"'
    return error(
        request,
        401,
        "AUTH_INVALID",
        exc.detail,
        headers={"WWW-Authenticate": challenge},
        reason=exc.reason,
    )


def _forbidden(request: HttpRequest, exc: Forbidden) -> HttpResponse:
    return error(request, 403, "AUTH_FORBIDDEN", str(exc))


def _keys_unavailable(request: HttpRequest, exc: KeysUnavailable) -> HttpResponse:
    return error(
        request,
        503,
        "AUTH_UNAVAILABLE",
        "The keys that verify tokens cannot be fetched at the moment. Please try again.",
        headers={"Retry-After": str(exc.retry_after)},
    )


def _not_found(request: HttpRequest, _exc: Exception) -> HttpResponse:
    return error(request, 404, "NOT_FOUND", "There is no such task.")


def _too_large(request: HttpRequest, _exc: Exception) -> HttpResponse:
    return error(request, 413, *BY_STATUS[413])


def _too_many_parameters(request: HttpRequest, _exc: Exception) -> HttpResponse:
    message = f"must have at most {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS} parameters"
    errors = [{"loc": ["query"], "msg": message, "type": "too_many_parameters"}]
    return error(request, 400, "VALIDATION_ERROR", f"query: {message}", errors=errors)


def _unreadable(request: HttpRequest, exc: HttpError) -> HttpResponse:
    """django-ninja raises one HttpError for whatever the parser of bodies raised."""
    if isinstance(exc.__cause__, UnreadableBody):
        cause = exc.__cause__
        members: dict[str, Any] = {}
        if cause.error_code == "VALIDATION_ERROR":
            members["errors"] = [{"loc": ["body"], "msg": str(cause), "type": "json_invalid"}]
        return error(request, cause.status, cause.error_code, str(cause), **members)
    return error(request, exc.status_code, *BY_STATUS.get(exc.status_code, BY_STATUS[400]))


def _invalid(request: HttpRequest, exc: ValidationError) -> HttpResponse:
    found = exc.errors
    if any(item["loc"][0] == "path" for item in found):
        return _not_found(request, exc)
    errors = list(_sentences(found))
    # A name that the client made up may be a text of theirs.
    explain(request, fields=[_field(item) for item in errors if item["type"] != "extra_forbidden"])
    first = errors[0]
    detail = ": ".join([*map(str, first["loc"][1:]), first["msg"]])
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    if first["type"] in ("empty_body", "empty_change"):
        status = HTTPStatus.BAD_REQUEST
    return error(request, status, "VALIDATION_ERROR", detail, errors=errors)


def _sentences(found: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """Places and rules as a client knows them."""
    for item in list(found)[:MOST_ERRORS]:
        source, *path = item["loc"]
        kind = item["type"]
        if source == "body" and kind == "missing" and len(path) == 1:
            kind, message = "empty_body", "The body is empty: send a JSON object."
        else:
            message = sentence(item)
        # django-ninja names its own argument in the place: it comes first, if at all.
        place = path[1:] if source == "body" else path[-1:]
        yield {"loc": [source, *map(_readable, place)], "msg": message, "type": kind}


def _field(item: Mapping[str, Any]) -> str:
    return ".".join(map(str, item["loc"]))


def _readable(part: str | int) -> str | int:
    """A name that the client made up may be endless, or no text at all."""
    if isinstance(part, int):
        return part
    return part[:MOST_CHARACTERS].encode("utf-8", "replace").decode()


def _database_away(request: HttpRequest, exc: DatabaseError) -> HttpResponse:
    log.error("database unavailable", error=summary(exc), request_id=getattr(request, "id", ""))
    headers = {"Retry-After": RETRY_AFTER}
    if isinstance(exc, AnswerLost) and request.method not in SAFE_METHODS:
        detail = "It is not known whether this was done: the answer of the database was lost."
        if request.method == "POST":
            headers = {}  # to send it again by itself could make a second task
    elif isinstance(exc, ConnectionFailed) and exc.cause == "no_connection":
        detail = "Too many requests are waiting for the database. Nothing was done: try again."
    elif getattr(exc.__cause__, "sqlstate", None) in TIMEOUTS:
        detail = "The database took too long. Nothing was done: please try again."
    else:
        detail = "The database cannot be reached at the moment. Nothing was done: please try again."
    return error(request, 503, "DATABASE_ERROR", detail, headers=headers)


def _database_error(request: HttpRequest, exc: DatabaseError) -> HttpResponse:
    log.error("database error", error=summary(exc), request_id=getattr(request, "id", ""))
    if getattr(exc.__cause__, "sqlstate", None) in OF_ANOTHER_RELEASE:
        return error(
            request,
            503,
            "DATABASE_ERROR",
            "The database does not fit this release of the service yet. Please try again.",
            headers={"Retry-After": RETRY_AFTER},
        )
    return error(request, 500, "DATABASE_ERROR", "The database could not carry this out.")


def _internal_error(request: HttpRequest, exc: Exception) -> HttpResponse:
    log.error("internal error", exc_info=exc, request_id=getattr(request, "id", ""))
    return error(request, 500, "INTERNAL_ERROR", "Something went wrong here. It has been recorded.")


@csrf_exempt
def refuse_body(request: HttpRequest, **_: Any) -> HttpResponse:
    """In the place of every view, where the server has not taken the body."""
    headers = {"Connection": "close"}
    if request.META[REFUSAL] == "late":
        detail = f"The body did not arrive within {BODY_TIMEOUT:g} s."
        return error(request, 408, "REQUEST_TIMEOUT", detail, headers=headers)
    detail = "Too many bodies are on their way here at the moment. Nothing was done: try again."
    headers["Retry-After"] = RETRY_AFTER
    return error(request, 503, "INTERNAL_ERROR", detail, headers=headers)


BODY_REFUSED = (re_path("", refuse_body),)
"""The URLs of a request whose body the server has not taken."""
