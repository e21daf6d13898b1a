"""Requests of browsers from other origins."""

from typing import Any

import pytest
from django.test import Client

from tests.people import Person

ORIGIN = "https://app.example.com"
EXPOSED = {
    "Location",
    "Link",
    "ETag",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
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
    assert {"authorization", "content-type", "x-request-id"} <= set(
        response["Access-Control-Allow-Headers"].split(", ")
    )


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


def test_the_admin_allows_no_origin() -> None:
    response = Client().get("/admin/login/", secure=True, headers={"Origin": ORIGIN})

    assert "Access-Control-Allow-Origin" not in response.headers
