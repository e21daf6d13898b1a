"""The OpenAPI document: what django-ninja reads from the types, plus what types cannot express."""

import json
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
    KEY_REUSED,
    NOT_JSON,
    PRECONDITION_FAILED,
    SYNC_EXPIRED,
    ErrorCode,
)
from tasks.models import KEY_LENGTH, Priority
from tasks.schemas import READ_ONLY, TaskOut

TASK: dict[str, Any] = {
    name: None for name, field in TaskOut.model_fields.items() if field.is_required()
} | {
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
    "Readiness": {"status": "ok"},
    "TaskList": {"tasks": [TASK], "count": 1, "next_cursor": None},
    "TaskOut": TASK,
}

INFO = {
    "contact": {"name": "The maintainers of better-auth-tasks"},
    "license": {"name": "MIT", "identifier": "MIT"},
}
SERVERS = [{"url": "/", "description": "The server that this document comes from."}]
TAGS = [
    {"name": "tasks", "description": "The tasks of the user of the token."},
    {"name": "health", "description": "For load balancers and monitoring, without a token."},
]

PRIORITY = {"type": "string", "enum": Priority.values}
"""A schema of its own, so that generated clients have one type for it, not one for each body."""

MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer that JavaScript represents exactly."""

TEXT = {"schema": {"type": "string"}}
ALWAYS = {"required": True, **TEXT}
SECONDS = {"schema": {"type": "integer", "minimum": 1}}
RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait. Missing where a repeated POST could make a second task.",
        **SECONDS,
    }
}
WAIT = {"Retry-After": {"description": "Seconds to wait.", "required": True, **SECONDS}}
RATE_LIMIT = {
    "RateLimit-Policy": {
        "description": "The limit, if the server has one: `q` requests in `w` seconds.",
        "example": '"user";q=100;w=60',
        **TEXT,
    },
    "RateLimit": {
        "description": "What is left of it: `r` requests in the next `t` seconds.",
        "example": '"user";r=42;t=17',
        **TEXT,
    },
}
"""draft-ietf-httpapi-ratelimit-headers-11."""
CHALLENGE = {"WWW-Authenticate": {"description": "RFC 6750, section 3.", **ALWAYS}}
MISSING_SCOPE = {
    "WWW-Authenticate": {"description": "The scope that an access token lacks, if it does.", **TEXT}
}
NEXT = {"Link": {"description": 'The next page, `rel="next"`, if there is one.', **TEXT}}
CREATED = {
    "Location": {"description": "The address of the new task.", **ALWAYS},
    "Idempotent-Replayed": {
        "description": "`true` if an earlier request with this key has created the task.",
        **TEXT,
    },
}
ETAG = {"ETag": {"description": "A strong entity tag of this content.", **ALWAYS}}
ETAG_OF_LIST = {
    "ETag": {"description": "A strong entity tag of this content. Not with `sync`.", **TEXT}
}
BOOKMARK_OF_WRITE = {
    "Bookmark": {
        "description": "If the server has a replica: send it with reads, so that the replica may "
        "answer them. Of two bookmarks, keep the greater one, compared as texts.",
        "example": "00000001000000001A2B3C48",
        **TEXT,
    }
}
BODIES = ("TaskIn", "TaskPut", "TaskPatch")
REQUEST_ID = {
    "X-Request-ID": {"description": "Of the request, or a new one; also in the log.", **ALWAYS}
}

ERROR: dict[str, Any] = {
    "type": "object",
    "description": "Every error but VALIDATION_ERROR, which has `errors` in addition.",
    "required": ["detail", "error_code", "timestamp", "request_id"],
    "properties": {
        "detail": {"type": "string", "description": "A sentence to show to a person."},
        "error_code": {
            "type": "string",
            "enum": [code for code in get_args(ErrorCode) if code != "VALIDATION_ERROR"],
        },
        "timestamp": {"type": "string", "format": "date-time"},
        "request_id": {
            "type": "string",
            "description": "The one in `X-Request-ID` and in the log.",
        },
        "reason": {
            "type": "string",
            "description": "Only with AUTH_INVALID: why the token was refused.",
        },
    },
}
# `Error` alone would hide the global class of JavaScript in generated clients. Two schemas, because
# `error_code` then tells TypeScript whether there are `errors`.
ERRORS: dict[str, Any] = {
    "ErrorResponse": ERROR,
    "ValidationErrorResponse": {
        "type": "object",
        "required": [*ERROR["required"], "errors"],
        "properties": {
            **{name: ERROR["properties"][name] for name in ERROR["required"]},
            "error_code": {"type": "string", "enum": ["VALIDATION_ERROR"]},
            "errors": {
                "type": "array",
                "minItems": 1,
                "items": {"$ref": "#/components/schemas/ValidationProblem"},
            },
        },
    },
    "ValidationProblem": {
        "type": "object",
        "required": ["loc", "msg", "type"],
        "properties": {
            "loc": {
                "type": "array",
                "description": "Where it is, for example `body` and the name of the field.",
                "items": {"type": ["string", "integer"]},
            },
            "msg": {"type": "string", "description": "The rule, to show to a person."},
            "type": {"type": "string", "description": "The rule, for programs."},
        },
    },
}


def _example(code: ErrorCode, detail: str) -> dict[str, Any]:
    return {
        "detail": detail,
        "error_code": code,
        "timestamp": "2026-01-31T12:00:00.000Z",
        "request_id": "0b8f6a1f4c1b4c7e9d5c3a2b1f0e9d8c",
    }


def _response(description: str, code: ErrorCode, detail: str, **more: Any) -> dict[str, Any]:
    example = _example(code, detail) | more.pop("members", {})
    name = "ValidationErrorResponse" if code == "VALIDATION_ERROR" else "ErrorResponse"
    schema = {"$ref": f"#/components/schemas/{name}"}
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
        headers=CHALLENGE | RATE_LIMIT,
    ),
    "403": _response(
        "The token belongs to another user, or an OAuth access token lacks the scope.",
        "AUTH_FORBIDDEN",
        another_user("bob"),
        headers=MISSING_SCOPE,
    ),
    "404": _response("The user has no such task.", "NOT_FOUND", NO_SUCH_TASK),
    "408": _response("A body was sent too slowly.", "REQUEST_TIMEOUT", BODY_TOO_LATE),
    "410": _response(
        "The changes are no longer known, or the task of this key is in the trash.",
        "SYNC_EXPIRED",
        SYNC_EXPIRED,
    ),
    "412": _response(
        "The conditions of the request do not hold. `ETag` is that of the task as it is.",
        "PRECONDITION_FAILED",
        PRECONDITION_FAILED,
        headers=ETAG,
    ),
    "413": _response("The body is too large.", "PAYLOAD_TOO_LARGE", BODY_TOO_LARGE),
    "415": _response("The body has an unsupported media type.", "UNSUPPORTED_MEDIA_TYPE", NOT_JSON),
    "422": _response(
        "A field or a parameter breaks a rule.",
        "VALIDATION_ERROR",
        "title: must not be blank",
        members=_broken_rule("title", "must not be blank", "blank"),
    ),
    "429": _response(
        "A rate limit of the server is exceeded. Nothing was done.",
        "RATE_LIMITED",
        "You sent more than 100 requests in 60 s. Try again in 17 s.",
        headers=WAIT | RATE_LIMIT,
    ),
    "500": _response("An error of the server.", "INTERNAL_ERROR", CRASH),
    "503": _response(
        "The database or the keys that verify tokens cannot be reached, or the server is busy.",
        "DATABASE_ERROR",
        DATABASE_UNREACHABLE,
        headers=RETRY_AFTER,
    ),
}


NOT_MODIFIED = {
    "description": "The client has this content already.",
    "headers": ETAG | REQUEST_ID,
}
REFUSED_CREATE = {
    **RESPONSES["422"],
    "description": "A field breaks a rule, or the key was sent before with another body.",
    "content": {
        "application/json": {
            "schema": {
                "oneOf": [
                    {"$ref": "#/components/schemas/ValidationErrorResponse"},
                    {"$ref": "#/components/schemas/ErrorResponse"},
                ]
            },
            "examples": {
                "VALIDATION_ERROR": {
                    "value": RESPONSES["422"]["content"]["application/json"]["example"]
                },
                "IDEMPOTENCY_KEY_REUSED": {"value": _example("IDEMPOTENCY_KEY_REUSED", KEY_REUSED)},
            },
        }
    },
}


TAG = r'(W/)?"[!#-~]*"'
ENTITY_TAGS = rf"^(\*|{TAG}(, *{TAG})*)$"
KEY = rf'^([!#-+\--~][!-+\--~]{{0,{KEY_LENGTH - 1}}}|"[!#-\[\]-~]{{1,{KEY_LENGTH}}}")$'


def _header(name: str, description: str, example: str, pattern: str = ENTITY_TAGS) -> Any:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", "pattern": pattern},
        "example": example,
    }


IF_NONE_MATCH = _header(
    "If-None-Match",
    "Entity tags that the client has, or `*`. If one is that of the content, the answer is 304.",
    '"0a1b2c3d4e5f60718293a4b5c6d7e8f9"',
)
CONDITIONS = [
    _header(
        "If-Match",
        "Entity tags, or the `updated_at` of the task in quotes, or `*`. If none is that of the "
        "task as it is, nothing is done, and the answer is 412.",
        '"2026-01-31T12:00:00.000000Z"',
    ),
    _header(
        "If-None-Match",
        "Entity tags, or `*`. If one is that of the task as it is, the answer is 412.",
        '"0a1b2c3d4e5f60718293a4b5c6d7e8f9"',
    ),
]
IDEMPOTENCY_KEY = _header(
    "Idempotency-Key",
    "Makes the request safe to repeat: a new random text for each task that is to be created, "
    f"of at most {KEY_LENGTH} visible ASCII characters.",
    "3e1c9a52-7c3f-4a57-9d3b-8a3f2a6d1b40",
    KEY,
)


BOOKMARK = _header(
    "Bookmark",
    "Allows a replica to answer, which may be some seconds behind. With the greatest `Bookmark` in "
    "the answers to your writes, you see them all. `*` if you have not written anything.",
    "00000001000000001A2B3C48",
    r"^(\*|[0-9A-F]{24})$",
)


HEADERS = {
    "listTasks": [IF_NONE_MATCH, BOOKMARK],
    "readTask": [IF_NONE_MATCH, BOOKMARK],
    "createTask": [IDEMPOTENCY_KEY],
    "replaceTask": CONDITIONS,
    "changeTask": CONDITIONS,
    "deleteTask": CONDITIONS,
}


RESPONSE_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "listTasks": {"200": NEXT | ETAG_OF_LIST},
    "readTask": {"200": ETAG},
    "createTask": {"201": CREATED | ETAG | BOOKMARK_OF_WRITE},
    "replaceTask": {"200": ETAG | BOOKMARK_OF_WRITE},
    "changeTask": {"200": ETAG | BOOKMARK_OF_WRITE},
    "deleteTask": {"204": BOOKMARK_OF_WRITE},
}


class DocumentedAPI(NinjaAPI):
    """Adds the errors, examples and headers that operations of one kind have in common."""

    def get_openapi_schema(self, **kwargs: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**kwargs)
        document["info"] |= INFO
        document["servers"] = SERVERS
        document["tags"] = TAGS
        document["paths"] = simplified(document["paths"])
        components = document["components"] = simplified(document["components"])
        for query in ("ListQuery", "DeleteQuery"):
            del components["schemas"][query]  # its members are query parameters
        for schema in components["schemas"].values():
            for rule in schema["properties"].values():
                _describe_default(rule, rule)
        for body in BODIES:
            _mention_read_only(components["schemas"][body])
        components["schemas"] |= ERRORS | {"Priority": PRIORITY}
        components["responses"] = RESPONSES
        for path in document["paths"].values():
            for operation in path.values():
                _complete(operation)
        return document


def simplified(node: Any) -> Any:
    """What pydantic generates, in the form that generators of clients understand best."""
    if isinstance(node, list):
        return [simplified(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {
        name: simplified(item)
        for name, item in node.items()
        # Pydantic makes titles from names, and they add nothing to the names.
        if name != "title" or not isinstance(item, str)
    }
    result = _with_type_null(result)
    if "integer" in result.get("type", ()) and result.get("maximum", 0) > MAX_SAFE_INTEGER:
        del result["maximum"]
        result["format"] = "int64"
    if PRIORITY.items() <= result.items():
        rest = {name: rule for name, rule in result.items() if name not in PRIORITY}
        return {"$ref": "#/components/schemas/Priority", **rest}
    return result


def _with_type_null(schema: dict[str, Any]) -> dict[str, Any]:
    """`anyOf` of one type and null, as a list of types."""
    options = schema.get("anyOf", [])
    types = [option for option in options if option != {"type": "null"}]
    if len(types) != 1 or types == options or "type" not in types[0]:
        return schema
    rest = {name: rule for name, rule in schema.items() if name != "anyOf"}
    nullable = {**types[0], **rest, "type": [types[0]["type"], "null"]}
    if "enum" in nullable:
        nullable["enum"] = [*nullable["enum"], None]
    return nullable


def _describe_default(described: dict[str, Any], schema: dict[str, Any]) -> None:
    """Says the default in words.

    Because of a `default`, openapi-typescript makes a property required, and openapi-python-client
    sends a parameter that nobody has set.
    """
    default = schema.pop("default", [])
    if default != []:
        text = ",".join(default) if isinstance(default, list) else json.dumps(default).strip('"')
        sentence = f"Default: `{text}`."
        described["description"] = f"{described.get('description', '')} {sentence}".lstrip()


def _mention_read_only(body: dict[str, Any]) -> None:
    """Not as properties: a client that generates its forms from the document would offer them."""
    *names, last = (f"`{name}`" for name in READ_ONLY)
    sentence = f"{', '.join(names)} and {last} may be sent too, and have no effect."
    body["description"] = f"{body.get('description', '')} {sentence}".lstrip()


def _complete(operation: dict[str, Any]) -> None:
    operation.setdefault("security", [])
    for parameter in operation["parameters"]:
        _simplify_parameter(parameter)
    operation["parameters"] += HEADERS.get(operation["operationId"], [])
    statuses = _statuses(operation)
    headers = REQUEST_ID | (RATE_LIMIT if "429" in statuses else {})
    responses = {
        str(status): {**response, "headers": {**headers}}
        for status, response in operation["responses"].items()
    }
    for status in statuses:
        responses[status] = {"$ref": f"#/components/responses/{status}"}
    for response in responses.values():
        for content in response.get("content", {}).values():
            content["example"] = EXAMPLES[content["schema"]["$ref"].rpartition("/")[2]]
    for status, more_headers in RESPONSE_HEADERS.get(operation["operationId"], {}).items():
        responses[status]["headers"] |= more_headers
    if operation["operationId"] == "createTask":
        responses["422"] = REFUSED_CREATE
    if operation["operationId"] in ("listTasks", "readTask"):
        responses["304"] = NOT_MODIFIED
    operation["responses"] = dict(sorted(responses.items()))


def _simplify_parameter(parameter: dict[str, Any]) -> None:
    """A URL has no null, and django-ninja repeats what the schema says."""
    schema = parameter["schema"]
    parameter.pop("examples", None)
    if isinstance(schema.get("type"), list):
        (schema["type"],) = (kind for kind in schema["type"] if kind != "null")
        if "enum" in schema:
            schema["enum"].remove(None)
    if schema.get("description") == parameter.get("description"):
        schema.pop("description", None)
    _describe_default(parameter, schema)


def _statuses(operation: dict[str, Any]) -> set[str]:
    """The errors that an operation of this kind can answer with.

    408 is among them everywhere: the server refuses a slow body whatever the path is.
    """
    if operation["operationId"] == "checkHealth":
        return {"408"}
    if operation["operationId"] == "checkReadiness":
        return {"408", "503"}
    statuses = {"400", "401", "403", "408", "422", "429", "500", "503"}
    names = {parameter["name"] for parameter in operation["parameters"]}
    if "task_id" in names:
        statuses.add("404")
    if "If-Match" in names:
        statuses.add("412")
    if names & {"sync", "Idempotency-Key"}:
        statuses.add("410")
    if "requestBody" in operation:
        statuses |= {"413", "415"}
    return statuses


def operation_ids(document: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """The operation ids by path and method."""
    return {
        (path, method.upper()): operation["operationId"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
