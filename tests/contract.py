"""Checks answers against the OpenAPI document, so that the document cannot drift from the service.

`tests/conftest.py` passes every answer of Django's test client here, and `tests/server.py` those of
real servers. `tests/config/http/test_openapi.py` shows that `/openapi.json` is the same document.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from functools import cache
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import pytest
from django.test import Client

DOCUMENT = Path(__file__).parent / "openapi.json"
Headers = Mapping[str, str] | Message


class Undocumented(AssertionError):
    """The document and an answer disagree."""


@dataclass(frozen=True)
class Header:
    is_required: bool
    is_integer: bool
    validator: Any

    def accepts(self, value: str) -> bool:
        if not self.is_integer:
            return bool(self.validator.is_valid(value))
        return value.isdecimal() and bool(self.validator.is_valid(int(value)))


@dataclass(frozen=True)
class Response:
    """content: validators of the body by media type; empty where there is no body."""

    headers: Mapping[str, Header]
    content: Mapping[str, Any]

    def problems(self, headers: Headers, body: bytes, *, has_body: bool) -> Iterator[str]:
        for name, header in self.headers.items():
            value = headers.get(name)
            if value is None and header.is_required:
                yield f"header {name} is missing"
            elif value is not None and not header.accepts(value):
                yield f"header {name} is {value!r}"
        media_type = headers.get("Content-Type")
        if media_type is None and not self.content:
            if body:
                yield f"no body is documented, this came: {body!r}"
        elif media_type is None or media_type not in self.content:
            yield f"Content-Type is {media_type!r}"
        elif has_body:
            yield from self._problems_of_body(self.content[media_type], body)

    def _problems_of_body(self, validator: Any, body: bytes) -> Iterator[str]:
        try:
            content = json.loads(body)
        except ValueError as error:
            yield f"the body is not JSON ({error}): {body!r}"
            return
        if not validator.is_valid(content):
            for found in validator.iter_errors(content):
                place = "/".join(map(str, found.instance_path)) or "the whole"
                yield f"body: {place}: {found.message}"


class Contract:
    """The document, compiled."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._components = {"components": {"schemas": closed(document["components"]["schemas"])}}
        self._paths = [
            (
                re.compile(pattern_of(path)),
                {
                    method.upper(): {
                        int(status): self._response(response)
                        for status, response in operation["responses"].items()
                    }
                    for method, operation in operations.items()
                },
            )
            for path, operations in document["paths"].items()
        ]

    def check(self, method: str, path: str, status: int, headers: Headers, body: bytes) -> None:
        """Raises Undocumented. `path` is decoded, without its query.

        Requests that the document does not describe are left alone.
        """
        responses = self._responses(method, path)
        if responses is None:
            return
        if response := responses.get(status):
            problems = [*response.problems(headers, body, has_body=method != "HEAD")]
        else:
            problems = [f"the status is not one of {[*responses]}: {body[:500]!r}"]
        if problems:
            raise Undocumented(
                f"{method} {path} was answered with {status}, but not as {DOCUMENT.name} says:\n"
                + "\n".join(problems)
            )

    def _responses(self, method: str, path: str) -> Mapping[int, Response] | None:
        for pattern, operations in self._paths:
            if pattern.fullmatch(path):
                return operations.get("GET" if method == "HEAD" else method)
        return None

    def _response(self, response: Mapping[str, Any]) -> Response:
        response = self._resolved(response)
        headers = {
            name: self._header(self._resolved(header))
            for name, header in response.get("headers", {}).items()
        }
        content = {
            media_type: self._validator(media["schema"])
            for media_type, media in response.get("content", {}).items()
        }
        return Response(headers, content)

    def _header(self, header: Mapping[str, Any]) -> Header:
        schema = header["schema"]
        is_integer = schema.get("type") == "integer"
        return Header(header.get("required", False), is_integer, self._validator(schema))

    def _resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in node:
            return node
        found: Any = self._document
        for name in node["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return found  # type: ignore[no-any-return]

    def _validator(self, schema: Mapping[str, Any]) -> Any:
        return jsonschema_rs.validator_for({**schema, **self._components}, validate_formats=True)


def pattern_of(path: str) -> str:
    """A user id may hold a slash; no other parameter does."""
    parameter = {"user_id": ".+"}
    return re.sub(r"\{(\w+)\}", lambda found: parameter.get(found[1], "[^/]+"), path)


def closed(node: Any) -> Any:
    """The same schemas without members that they do not name.

    Clients must accept further members, which later releases may add, so the document allows them.
    But here a member that it does not name was forgotten.
    """
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {name: closed(item) for name, item in node.items()}
    return {"additionalProperties": False, **result} if "properties" in node else result


@cache
def contract() -> Contract:
    return Contract(json.loads(DOCUMENT.read_text(encoding="utf-8")))


def check_wire(method: str, target: str, status: int, headers: Headers, body: bytes) -> None:
    """An answer of a real server. `target` is that of the request line."""
    path = unquote(target.partition("?")[0], "latin-1")
    contract().check(method, path, status, headers, body)


@contextmanager
def checked_answers() -> Iterator[None]:
    """Checks all answers that Django's test client and `http.client` get."""
    request, putrequest = Client.request, HTTPConnection.putrequest
    getresponse, read = HTTPConnection.getresponse, HTTPResponse.read

    def checked_request(client: Any, **environ: Any) -> Any:
        answer = request(client, **environ)
        if not answer.streaming:
            method, path = environ.get("REQUEST_METHOD", "GET"), environ.get("PATH_INFO", "/")
            contract().check(method, path, answer.status_code, answer.headers, answer.content)
        return answer

    def noted_putrequest(wire: Any, method: str, target: str, *args: Any, **options: Any) -> None:
        wire.noted = method, target
        putrequest(wire, method, target, *args, **options)

    def noted_getresponse(wire: Any) -> Any:
        answer = getresponse(wire)
        answer.noted = wire.noted  # type: ignore[attr-defined]
        return answer

    def checked_read(answer: Any, amt: int | None = None) -> bytes:
        body = read(answer, amt)
        if amt is None and not is_of_nginx(answer.headers):
            method, target = answer.noted
            check_wire(method, target, answer.status, answer.headers, body)
        return body

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "request", checked_request)
        patch.setattr(HTTPConnection, "putrequest", noted_putrequest)
        patch.setattr(HTTPConnection, "getresponse", noted_getresponse)
        patch.setattr(HTTPResponse, "read", checked_read)
        yield


def is_of_nginx(headers: Message) -> bool:
    """nginx names itself in answers of the service too, but only its own are HTML."""
    return str(headers["Server"]).startswith("nginx") and headers.get_content_type() == "text/html"
