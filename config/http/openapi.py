"""The OpenAPI document: what django-ninja reads from the types, plus what types cannot express."""

from collections.abc import Mapping
from typing import Any, get_args

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from authjwt.exceptions import EXPIRED
from config.http.addresses import NO_SUCH_TASK, another_user
from config.http.errors import (
    BODY_TOO_LARGE,
    BODY_TOO_LATE,
    CRASH,
    DATABASE_UNREACHABLE,
    NOT_JSON,
    ErrorCode,
)
from tasks.schemas import READ_ONLY, TaskOut

TASK: dict[str, Any] = dict.fromkeys(TaskOut.model_fields) | {
    "id": 7,
    "user_id": "hT3kV0mB9cQx2LrNfYwZ5sJd8aGpEu1R",
    "title": "Buy milk",
    "complete": False,
    "priority": "medium",
    "due_date": "2026-02-14",
    "tags": ["home"],
    "created_at": "2026-01-31T12:00:00.000000Z",
    "updated_at": "2026-01-31T12:00:00.000000Z",
}
EXAMPLES = {
    "Health": {"status": "ok"},
    "TaskList": {"tasks": [TASK], "count": 1, "next_cursor": None},
    "TaskOut": TASK,
}

TEXT = {"schema": {"type": "string"}}
ALWAYS = {"required": True, **TEXT}
RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait. Missing where a repeated POST could make a second task.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
CHALLENGE = {"WWW-Authenticate": {"description": "RFC 6750, section 3.", **ALWAYS}}
NEXT = {"Link": {"description": 'The next page, `rel="next"`, if there is one.', **TEXT}}
LOCATION = {"Location": {"description": "The address of the new task.", **ALWAYS}}
REQUEST_ID = {
    "X-Request-ID": {"description": "Of the request, or a new one; also in the log.", **ALWAYS}
}

ERROR = {
    "type": "object",
    "required": ["detail", "error_code", "timestamp", "request_id"],
    "properties": {
        "detail": {"type": "string", "description": "A sentence to show to a person."},
        "error_code": {"type": "string", "enum": list(get_args(ErrorCode))},
        "timestamp": {"type": "string", "format": "date-time"},
        "request_id": {
            "type": "string",
            "description": "The one in `X-Request-ID` and in the log.",
        },
        "reason": {
            "type": "string",
            "description": "Only with AUTH_INVALID: why the token was refused.",
        },
        "errors": {
            "type": "array",
            "description": "Only with VALIDATION_ERROR: each invalid place, and its rule.",
            "items": {
                "type": "object",
                "required": ["loc", "msg", "type"],
                "properties": {
                    "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "msg": {"type": "string"},
                    "type": {"type": "string"},
                },
            },
        },
    },
}


def _response(description: str, code: ErrorCode, detail: str, **more: Any) -> dict[str, Any]:
    example = {
        "detail": detail,
        "error_code": code,
        "timestamp": "2026-01-31T12:00:00.000Z",
        "request_id": "0b8f6a1f4c1b4c7e9d5c3a2b1f0e9d8c",
        **more.pop("members", {}),
    }
    schema = {"$ref": "#/components/schemas/Error"}
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
        "headers": more.pop("headers", {}) | REQUEST_ID,
        **more,
    }


def _broken_rule(name: str, message: str, kind: str) -> dict[str, Any]:
    return {"errors": [{"loc": ["body", name] if name else ["body"], "msg": message, "type": kind}]}


RESPONSES = {
    "400": _response(
        "The body is not JSON, the change is empty, or the query has too many parameters.",
        "VALIDATION_ERROR",
        "At least one field must be provided",
        members=_broken_rule("", "At least one field must be provided", "empty_change"),
    ),
    "401": _response(
        "The token is missing or invalid.",
        "AUTH_INVALID",
        EXPIRED,
        members={"reason": "expired"},
        headers=CHALLENGE,
    ),
    "403": _response("The token belongs to another user.", "AUTH_FORBIDDEN", another_user("bob")),
    "404": _response("The user has no such task.", "NOT_FOUND", NO_SUCH_TASK),
    "408": _response("The body did not arrive in time.", "REQUEST_TIMEOUT", BODY_TOO_LATE),
    "413": _response("The body is too large.", "PAYLOAD_TOO_LARGE", BODY_TOO_LARGE),
    "415": _response("The body has an unsupported media type.", "UNSUPPORTED_MEDIA_TYPE", NOT_JSON),
    "422": _response(
        "A field or a parameter breaks a rule.",
        "VALIDATION_ERROR",
        "title: must not be blank",
        members=_broken_rule("title", "must not be blank", "blank"),
    ),
    "500": _response("An error of the server.", "INTERNAL_ERROR", CRASH),
    "503": _response(
        "The database or the keys that verify tokens cannot be reached, or the server is busy.",
        "DATABASE_ERROR",
        DATABASE_UNREACHABLE,
        headers=RETRY_AFTER,
    ),
}


class DocumentedAPI(NinjaAPI):
    """Adds the errors, examples and headers that operations of one kind have in common."""

    def get_openapi_schema(self, **kwargs: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**kwargs)
        document["paths"] = _untitled(document["paths"])
        components = document["components"] = _untitled(document["components"])
        components["schemas"]["Error"] = ERROR
        components["responses"] = RESPONSES
        del components["schemas"]["ListQuery"]  # its members are query parameters
        _mark_read_only(components["schemas"])
        for path in document["paths"].values():
            for operation in path.values():
                _complete(operation)
        return document


def _untitled(node: Any) -> Any:
    """Removes the titles that pydantic makes from names, because they add nothing to the names."""
    if isinstance(node, list):
        return [_untitled(item) for item in node]
    if isinstance(node, dict):
        return {
            name: _untitled(item)
            for name, item in node.items()
            if name != "title" or not isinstance(item, str)
        }
    return node


def _mark_read_only(schemas: dict[str, Any]) -> None:
    known = schemas["TaskOut"]["properties"]
    for name in READ_ONLY:
        known[name]["readOnly"] = True
    for body in ("TaskIn", "TaskPut", "TaskPatch"):
        schemas[body]["properties"] |= {name: known[name] for name in READ_ONLY}


def _complete(operation: dict[str, Any]) -> None:
    responses = {
        str(status): {**response, "headers": {**REQUEST_ID}}
        for status, response in operation["responses"].items()
    }
    for status in _statuses(operation):
        responses[status] = {"$ref": f"#/components/responses/{status}"}
    for response in responses.values():
        for content in response.get("content", {}).values():
            content["example"] = EXAMPLES[content["schema"]["$ref"].rpartition("/")[2]]
    if operation["operationId"] == "listTasks":
        responses["200"]["headers"] |= NEXT
        for parameter in operation["parameters"]:
            if parameter["name"] in ("priority", "sort"):
                parameter |= {"style": "form", "explode": False}  # with commas in between
    if operation["operationId"] == "createTask":
        responses["201"]["headers"] |= LOCATION
    operation["responses"] = dict(sorted(responses.items()))


def _statuses(operation: dict[str, Any]) -> set[str]:
    """The errors that an operation of this kind can answer with."""
    if operation["operationId"] == "checkHealth":
        return set()
    if operation["operationId"] == "checkReadiness":
        return {"503"}
    statuses = {"400", "401", "403", "422", "500", "503"}
    names = {parameter["name"] for parameter in operation["parameters"]}
    if "task_id" in names:
        statuses.add("404")
    if "requestBody" in operation:
        statuses |= {"408", "413", "415"}
    return statuses


def operation_ids(document: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """The operation ids by path and method."""
    return {
        (path, method.upper()): operation["operationId"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
