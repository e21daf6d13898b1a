"""Handlers that turn what an endpoint raises into an error of the API."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from authjwt import answers
from authjwt.exceptions import (
    Forbidden,
    InsufficientScope,
    InvalidToken,
    KeysUnavailable,
    MissingToken,
)
from config.http import addresses, hints
from config.http.errors import (
    BY_STATUS,
    CRASH,
    DATABASE_UNREACHABLE,
    IN_TRASH,
    KEY_REUSED,
    MAX_ERRORS,
    PRECONDITION_FAILED,
    RETRY_AFTER,
    SYNC_EXPIRED,
    error,
    explain,
)
from config.http.parser import UnreadableBody
from config.http.rate_limits import RateLimited
from config.server.connection import AnswerLost, ConnectionFailed
from config.server.logs import summary
from tasks import headers
from tasks.headers import UnreadableHeader, entity_tag
from tasks.models import Task
from tasks.operations import KeyReused, PreconditionFailed, SyncExpired, TaskGone
from tasks.query import ListQuery
from tasks.schemas import sentence

log = structlog.get_logger()

MAX_NAME_LENGTH = 100
MADE_UP = ("extra_forbidden", "not_utf8")
"""Types of errors about names that the client made up. They may contain private text."""

WRONG_RELEASE_SQLSTATES = ("42883", "3F000", "42501", "22023")
"""A function that does not exist, may not be called, or refuses its arguments."""
TIMEOUT_SQLSTATES = ("57014", "55P03")
"""PostgreSQL has ended a statement, or its wait for a lock."""
SAFE_METHODS = ("GET", "HEAD")


def install(api: NinjaAPI) -> None:
    """Registers a handler for everything that an endpoint may raise."""
    handlers: Mapping[type[Exception], Callable[[HttpRequest, Any], HttpResponse]] = {
        MissingToken: _missing_token,
        InvalidToken: _invalid_token,
        Forbidden: _forbidden,
        InsufficientScope: _insufficient_scope,
        RateLimited: _rate_limited,
        KeysUnavailable: _keys_unavailable,
        UnreadableHeader: _unreadable_header,
        Task.DoesNotExist: _not_found,
        PreconditionFailed: _precondition_failed,
        KeyReused: _key_reused,
        TaskGone: _gone,
        SyncExpired: _sync_expired,
        ValidationError: _invalid,
        HttpError: _unreadable,
        RequestDataTooBig: _too_large,
        TooManyFieldsSent: _too_many_parameters,
        OperationalError: _database_unavailable,
        InterfaceError: _database_unavailable,
        DatabaseError: _database_error,
        Exception: _internal_error,
    }
    for exception, handler in handlers.items():
        api.add_exception_handler(exception, handler)


def _missing_token(request: HttpRequest, exc: MissingToken) -> HttpResponse:
    return error(request, 401, "AUTH_MISSING", headers=answers.headers(exc), **answers.body(exc))


def _invalid_token(request: HttpRequest, exc: InvalidToken) -> HttpResponse:
    explain(request, reason=exc.reason, **exc.log)
    return error(request, 401, "AUTH_INVALID", headers=answers.headers(exc), **answers.body(exc))


def _forbidden(request: HttpRequest, exc: Forbidden) -> HttpResponse:
    user = _path_parameter(request, "user_id")
    detail = str(exc) if user is None else addresses.another_user(user, request.path_info)
    return error(request, 403, "AUTH_FORBIDDEN", detail)


def _insufficient_scope(request: HttpRequest, exc: InsufficientScope) -> HttpResponse:
    explain(request, missing_scope=exc.scope)
    return error(request, 403, "AUTH_FORBIDDEN", headers=answers.headers(exc), **answers.body(exc))


def _rate_limited(request: HttpRequest, exc: RateLimited) -> HttpResponse:
    explain(request, limit=exc.policy)
    headers = {"Retry-After": str(exc.retry_after)}
    return error(request, 429, "RATE_LIMITED", str(exc), headers=headers)


def _path_parameter(request: HttpRequest, name: str) -> str | None:
    return request.resolver_match.kwargs.get(name) if request.resolver_match else None


def _keys_unavailable(request: HttpRequest, exc: KeysUnavailable) -> HttpResponse:
    return error(
        request, 503, "AUTH_UNAVAILABLE", headers=answers.headers(exc), **answers.body(exc)
    )


def _not_found(request: HttpRequest, _exc: Exception) -> HttpResponse:
    return error(request, 404, "NOT_FOUND", addresses.NO_SUCH_TASK)


def _unreadable_header(request: HttpRequest, exc: UnreadableHeader) -> HttpResponse:
    errors = [{"loc": ["header", exc.name], "msg": str(exc), "type": "header"}]
    return error(request, 400, "VALIDATION_ERROR", f"{exc.name}: {exc}", errors=errors)


def _precondition_failed(request: HttpRequest, exc: PreconditionFailed) -> HttpResponse:
    headers = {"ETag": entity_tag(exc.task)}
    return error(request, 412, "PRECONDITION_FAILED", PRECONDITION_FAILED, headers=headers)


def _key_reused(request: HttpRequest, _exc: Exception) -> HttpResponse:
    return error(request, 422, "IDEMPOTENCY_KEY_REUSED", KEY_REUSED)


def _gone(request: HttpRequest, _exc: Exception) -> HttpResponse:
    return error(request, 410, "GONE", IN_TRASH)


def _sync_expired(request: HttpRequest, _exc: Exception) -> HttpResponse:
    return error(request, 410, "SYNC_EXPIRED", SYNC_EXPIRED)


def _too_large(request: HttpRequest, _exc: Exception) -> HttpResponse:
    return error(request, 413, *BY_STATUS[413])


def _too_many_parameters(request: HttpRequest, _exc: Exception) -> HttpResponse:
    message = f"must have at most {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS} parameters"
    errors = [{"loc": ["query"], "msg": message, "type": "too_many_parameters"}]
    return error(request, 400, "VALIDATION_ERROR", f"query: {message}", errors=errors)


def _unreadable(request: HttpRequest, exc: HttpError) -> HttpResponse:
    """django-ninja raises HttpError from any exception of the body parser."""
    cause = exc.__cause__
    if isinstance(cause, UnreadableBody):
        members: dict[str, Any] = {}
        if cause.error_code == "VALIDATION_ERROR":
            members["errors"] = [{"loc": ["body"], "msg": str(cause), "type": "json_invalid"}]
        return error(request, cause.status, cause.error_code, str(cause), **members)
    return error(request, exc.status_code, *BY_STATUS.get(exc.status_code, BY_STATUS[400]))


def _invalid(request: HttpRequest, exc: ValidationError) -> HttpResponse:
    try:
        headers.check(request)
    except UnreadableHeader as unreadable:
        return _unreadable_header(request, unreadable)
    if any(item["loc"][0] == "path" for item in exc.errors):
        task_id = _path_parameter(request, "task_id") or ""
        detail = addresses.invalid_id(task_id, has_search="q" in ListQuery.model_fields)
        return error(request, 404, "NOT_FOUND", detail)
    errors = list(_readable_errors(exc.errors, request.method))
    explain(request, fields=[_field(item) for item in errors if item["type"] not in MADE_UP])
    first = errors[0]
    detail = ": ".join([*(str(part) or '""' for part in first["loc"][1:]), first["msg"]])
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    if first["type"] in ("empty_body", "empty_change"):
        status = HTTPStatus.BAD_REQUEST
    return error(request, status, "VALIDATION_ERROR", detail, errors=errors)


def _readable_errors(
    errors: Iterable[Mapping[str, Any]], method: str | None
) -> Iterable[dict[str, Any]]:
    """Pydantic's errors, with `loc` and `msg` as a client understands them.

    Unknown names come first, because a wrong name is often why a required one is missing.
    """
    for item in sorted(errors, key=lambda item: item["type"] != "extra_forbidden")[:MAX_ERRORS]:
        source, *path = item["loc"]
        # django-ninja puts the name of the endpoint's argument first, if at all.
        place = path[1:] if source == "body" else path[-1:]
        kind, message = _message(item, place, method)
        yield {"loc": [source, *map(_readable_part, place)], "msg": message, "type": kind}


def _message(
    item: Mapping[str, Any], place: Sequence[str | int], method: str | None
) -> tuple[str, str]:
    """The type and the message of an error."""
    match item["loc"][0], item["type"], place:
        case "body", "missing", []:
            return "empty_body", "The body is empty: send a JSON object."
        case "body", "missing", [_] if method == "PUT":
            return "missing", f"{sentence(item)}; to change single fields, use PATCH"
        case "body", "extra_forbidden", [str(name)]:
            return "extra_forbidden", hints.unknown_field(name)
        case "query", kind, _ if kind in MADE_UP:
            return kind, item["msg"]
    return item["type"], sentence(item)


def _field(item: Mapping[str, Any]) -> str:
    return ".".join(map(str, item["loc"]))


def _readable_part(part: str | int) -> str | int:
    """A name that the client made up may be very long, or contain lone surrogates."""
    if isinstance(part, int):
        return part
    return part[:MAX_NAME_LENGTH].encode("utf-8", "replace").decode()


def _database_unavailable(request: HttpRequest, exc: DatabaseError) -> HttpResponse:
    log.error("database unavailable", error=summary(exc), request_id=getattr(request, "id", ""))
    headers = {"Retry-After": RETRY_AFTER}
    if isinstance(exc, AnswerLost) and request.method not in SAFE_METHODS:
        detail = "It is not known whether this was done: the answer of the database was lost."
        if request.method == "POST" and "HTTP_IDEMPOTENCY_KEY" not in request.META:
            headers = {}  # a client that retries automatically could create the task twice
    elif isinstance(exc, ConnectionFailed) and exc.cause == "no_connection":
        detail = "Too many requests are waiting for the database. Nothing was done: try again."
    elif getattr(exc.__cause__, "sqlstate", None) in TIMEOUT_SQLSTATES:
        detail = "The database took too long. Nothing was done: please try again."
    else:
        detail = DATABASE_UNREACHABLE
    return error(request, 503, "DATABASE_ERROR", detail, headers=headers)


def _database_error(request: HttpRequest, exc: DatabaseError) -> HttpResponse:
    log.error("database error", error=summary(exc), request_id=getattr(request, "id", ""))
    if getattr(exc.__cause__, "sqlstate", None) in WRONG_RELEASE_SQLSTATES:
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
    return error(request, 500, "INTERNAL_ERROR", CRASH)
