"""Requests of browsers from other origins."""

from typing import Any

import pytest
from django.test import Client

from tests.people import Person

ORIGIN = "https://app.example.com"
SENT = {
    *("authorization", "content-type", "x-request-id", "cache-control"),
    *("if-match", "if-none-match", "idempotency-key", "bookmark"),
}
EXPOSED = {
    "Location",
    "Link",
    "ETag",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Idempotent-Replayed",
    "Bookmark",
    "X-Request-ID",
}


@pytest.fixture(autouse=True)
def _one_origin(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]


def test_an_allowed_origin_may_read_the_answer_and_its_headers(charlie: Person) -> None:
    response = charlie.client.get("/api/alice/tasks", headers={"Origin": ORIGIN})

    assert response["Access-Control-Allow-Origin"] == ORIGIN
    assert response["Access-Control-Allow-Credentials"] == "true"
    assert set(response["Access-Control-Expose-Headers"].split(", ")) == EXPOSED
    assert "origin" in response["Vary"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/alice/tasks", 401),
        ("GET", "/api/nothing-here", 404),
        ("PUT", "/api/alice/tasks", 405),
        ("GET", "/health", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/alice/tasks", 404),
        ("GET", "/%2Fapi/alice/tasks", 404),
        ("GET", "/", 404),
    ],
)
def test_an_allowed_origin_may_read_errors_too(method: str, path: str, status: int) -> None:
    response = Client().generic(method, path, headers={"Origin": ORIGIN})

    assert response.status_code == status
    assert response["Access-Control-Allow-Origin"] == ORIGIN


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_preflight_needs_no_token(method: str) -> None:
    response = Client().options(
        "/api/alice/tasks",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )

    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    assert method in response["Access-Control-Allow-Methods"]
    assert set(response["Access-Control-Allow-Headers"].split(", ")) >= SENT


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com.evil.net",
        "http://app.example.com",
        "https://APP.example.com:444",
        "https://evil.net",
        "null",
        "https://[",
        "",
    ],
)
def test_another_origin_is_not_allowed(origin: str) -> None:
    response = Client().get("/health", headers={"Origin": origin})

    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin/login/", "/admin/nothing"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_the_admin_allows_no_origin(
    path: str, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for origin in (ORIGIN, "https://evil.net"):
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        response = Client().generic(method, path, secure=True, headers=headers)

        assert "Access-Control-Allow-Origin" not in response.headers
    assert "origin not allowed" not in capsys.readouterr().out
