"""The check of answers against the OpenAPI document can fail, and is in force in all tests."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from config.http import health
from config.http.openapi import EXAMPLES
from tests.contract import Undocumented, contract
from tests.server import send

TASK = "/api/alice/tasks/7"
EXAMPLE: dict[str, Any] = EXAMPLES["TaskOut"]  # type: ignore[assignment] # of all types
JSON = {"Content-Type": "application/json", "X-Request-ID": "7"}
ERROR = {
    "detail": "Too many.",
    "error_code": "INTERNAL_ERROR",
    "timestamp": "2026-01-31T12:00:00.000Z",
    "request_id": "7",
}

INVALID = {**ERROR, "error_code": "VALIDATION_ERROR"}


def check(
    method: str, path: str, status: int, body: Any, headers: dict[str, str] | None = None
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    contract().check(method, path, status, JSON if headers is None else headers, content)


def test_a_documented_answer_passes() -> None:
    check("GET", TASK, 200, EXAMPLE, {**JSON, "ETag": '"x"'})
    check("HEAD", TASK, 200, b"", {**JSON, "ETag": '"x"'})
    check("GET", "/api/a/b/tasks", 200, EXAMPLES["TaskList"])
    check("DELETE", TASK, 204, b"", {"X-Request-ID": "7"})
    check("GET", TASK, 503, ERROR, {**JSON, "Retry-After": "2"})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/health/", 404), ("OPTIONS", TASK, 405), ("TRACE", TASK, 405)],
)
def test_what_the_document_does_not_describe_is_left_alone(
    method: str, path: str, status: int
) -> None:
    check(method, path, status, b"", {})


@pytest.mark.parametrize(
    ("method", "status", "headers", "body", "problem"),
    [
        ("GET", 418, JSON, ERROR, "the status is not one of [200, 304, 400, "),
        ("HEAD", 418, JSON, b"", "the status is not one of [200, 304, 400, "),
        ("DELETE", 200, JSON, b"", "the status is not one of [204, 400, 401, "),
        ("GET", 200, {"Content-Type": "application/json"}, {}, "header X-Request-ID is missing"),
        ("HEAD", 401, JSON, b"", "header WWW-Authenticate is missing"),
        ("GET", 503, {**JSON, "Retry-After": "soon"}, ERROR, "header Retry-After is 'soon'"),
        ("GET", 503, {**JSON, "Retry-After": "0"}, ERROR, "header Retry-After is '0'"),
        ("GET", 404, {**JSON, "Content-Type": "text/html"}, ERROR, "Content-Type is 'text/html'"),
        ("GET", 404, {"X-Request-ID": "7"}, ERROR, "Content-Type is None"),
        ("DELETE", 204, {"X-Request-ID": "7"}, b"{}", "no body is documented"),
        ("DELETE", 204, JSON, b"", "Content-Type is 'application/json'"),
        ("GET", 404, JSON, b"{", "the body is not JSON"),
        ("GET", 404, JSON, {"detail": ""}, '"error_code" is a required property'),
        ("GET", 404, JSON, {**ERROR, "error_code": "NEW"}, "body: error_code: "),
        ("GET", 404, JSON, {**ERROR, "timestamp": "today"}, "body: timestamp: "),
        ("GET", 404, JSON, {**ERROR, "hint": "x"}, "'hint' was unexpected"),
        ("GET", 404, JSON, {**ERROR, "error_code": "VALIDATION_ERROR"}, "body: error_code: "),
        ("PATCH", 400, JSON, INVALID, '"errors" is a required property'),
        ("PATCH", 400, JSON, {**INVALID, "errors": []}, "body: errors: "),
    ],
)
def test_an_answer_that_is_not_as_documented_fails(
    method: str, status: int, headers: dict[str, str], body: Any, problem: str
) -> None:
    with pytest.raises(Undocumented) as raised:
        check(method, TASK, status, body, headers)

    assert problem in str(raised.value)


def test_a_member_of_a_task_that_was_forgotten_in_the_document_fails() -> None:
    task = {**EXAMPLE, "colour": "red"}

    with pytest.raises(Undocumented, match=r"tasks/0.*'colour' was unexpected"):
        check("GET", "/api/alice/tasks", 200, {"tasks": [task], "count": 1, "next_cursor": None})


def test_answers_of_the_client_of_django_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_ok", lambda: HttpResponse(status=202))

    with pytest.raises(Undocumented, match="GET /health was answered with 202"):
        Client().get("/health")


def test_answers_of_real_servers_are_checked() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in {**JSON, "Content-Length": "2"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.handle_request, daemon=True).start()

        with pytest.raises(Undocumented, match='"status" is a required property'):
            send("GET", f"http://127.0.0.1:{server.server_port}/health")
