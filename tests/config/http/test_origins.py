"""The log names the origins that are not allowed, and nobody can flood it with them."""

import json
from typing import Any

import pytest
from django.test import Client

from config.http import origins
from config.http.origins import ALLOW, INTERVAL, MAX_ORIGINS, SERVE, RefusedOrigins
from tests.authjwt.conftest import Clock

ORIGIN = "https://app.example.com"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(origins, "refused", RefusedOrigins(clock))
    return clock


class Log:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def named(self) -> list[str]:
        """The origins in the lines since the last call."""
        lines = map(json.loads, self._capsys.readouterr().out.splitlines())
        return [line["origin"] for line in lines if line["event"] == "origin not allowed"]


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str], settings: Any) -> Log:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    return Log(capsys)


def call(origin: str, path: str = "/api/u/tasks", method: str = "GET", **headers: str) -> None:
    Client().generic(method, path, headers={"Origin": origin, **headers})


@pytest.mark.parametrize("path", ["/api/u/tasks", "/u/tasks", "/health", "/", "/docs"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_an_origin_is_named_on_every_path(clock: Clock, log: Log, path: str, method: str) -> None:
    call("http://localhost:3000", path, method, **{"Access-Control-Request-Method": "GET"})

    assert log.named() == ["http://localhost:3000"]


def test_the_line_names_the_setting(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for origin in ("https://new.example.com", "null"):
        call(origin)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    fixes = {line["origin"]: line["fix"] for line in lines if "origin" in line}
    assert fixes == {"https://new.example.com": ALLOW, "null": SERVE}
    assert {line["level"] for line in lines if "origin" in line} == {"warning"}
    assert "CORS_ALLOWED_ORIGINS" in ALLOW


def test_each_origin_is_named_once_a_minute(clock: Clock, log: Log) -> None:
    for origin in ("http://a.example", "http://b.example", "http://a.example"):
        call(origin)
    assert log.named() == ["http://a.example", "http://b.example"]

    clock.now += INTERVAL - 0.1
    call("http://a.example")
    assert log.named() == []

    clock.now += 0.2
    call("http://a.example")
    assert log.named() == ["http://a.example"]


def test_a_flood_of_origins_is_bounded_and_ends_with_the_minute(clock: Clock, log: Log) -> None:
    for number in range(500):
        call(f"http://{number}.example")
    assert log.named() == [f"http://{number}.example" for number in range(MAX_ORIGINS)]

    clock.now += INTERVAL + 1
    call("http://mine.example")
    assert log.named() == ["http://mine.example"]


@pytest.mark.parametrize(
    ("origin", "named"),
    [
        ("http://a\x1b[31m\r\n{}", "http://a?[31m??{}"),
        ("http://\u00e9\u2028.example", "http://??.example"),
        ('http://"a" b\\', 'http://"a"?b\\'),
        ("x" * 10_000, "x" * 300),
        ("https://[", "https://["),
        ("", ""),
    ],
)
def test_a_hostile_origin_is_cut_and_has_no_control_characters(
    clock: Clock, log: Log, origin: str, named: str
) -> None:
    call(origin)

    assert log.named() == [named]


def test_allowed_origins_and_this_server_are_not_named(clock: Clock, log: Log) -> None:
    call(ORIGIN)
    call(ORIGIN, method="OPTIONS", **{"Access-Control-Request-Method": "GET"})
    call("http://testserver", "/docs", Host="testserver")
    call("https://testserver", "/openapi.json", Host="testserver")
    Client().get("/health")

    assert log.named() == []
