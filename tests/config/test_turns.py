"""Many threads, few connections: who waits for a turn, and for how long."""

import io
from collections.abc import Iterator
from threading import Thread
from time import monotonic
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.db import connections
from django.http import StreamingHttpResponse

from config import wsgi
from config.turns import LONGEST_WAIT, Turn, Turns
from tests.people import Person, token_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "api"])


@pytest.fixture(autouse=True)
def _connections_of_the_test() -> Iterator[None]:
    """A turn replaces the connections of its thread."""
    before = {alias: connections[alias] for alias in connections}
    yield
    for alias, connection in before.items():
        connections[alias] = connection


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[Turns]:
    turns = Turns(1)
    turn = turns._idle[0]  # noqa: SLF001  to close what the test opened
    monkeypatch.setattr(wsgi, "turns", turns)
    yield turns
    for connection in turn.connections.values():
        connection.close()


def ask(path: str, token: str = "") -> tuple[str, bytes]:
    environ: dict[str, Any] = {"PATH_INFO": path, "HTTP_HOST": "testserver"}
    if token:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    setup_testing_defaults(environ)
    environ["wsgi.input"] = io.BytesIO()
    statuses: list[str] = []
    body = wsgi.application(environ, lambda status, _: statuses.append(status))
    return statuses[0], b"".join(body)


def test_a_turn_is_given_back_and_its_connection_used_again(turns: Turns) -> None:
    for _ in range(3):
        assert ask("/api/alice/tasks", token_of("alice"))[0] == "200 OK"

    turn = turns.take()
    assert turn
    assert connections["api"] is turn.connections["api"]
    assert turn.connections["api"].connection is not None
    assert turn.connections["default"].connection is None


def test_a_request_waits_until_a_turn_is_free(turns: Turns) -> None:
    turn = turns.take()
    assert turn
    answers = []
    request = Thread(target=lambda: answers.append(ask("/api/alice/tasks", token_of("alice"))))
    request.start()
    request.join(LONGEST_WAIT / 4)
    assert request.is_alive()

    turns.give(turn)
    request.join()
    assert answers == [("200 OK", b'{"tasks":[],"count":0}')]


def test_without_a_turn_nothing_is_asked_of_the_database(turns: Turns) -> None:
    Person("alice").create()
    turns.take()
    start = monotonic()

    status, body = ask("/api/alice/tasks", token_of("alice"))

    assert status == "503 Service Unavailable"
    assert b'"error_code":"DATABASE_ERROR"' in body
    assert LONGEST_WAIT <= monotonic() - start < LONGEST_WAIT + 0.5
    assert connections["api"].connection is None
    assert ask("/api/alice/tasks", "no token")[0] == "401 Unauthorized"


def test_the_health_of_the_process_needs_no_turn(turns: Turns) -> None:
    turns.take()
    start = monotonic()

    assert ask("/health")[0] == "200 OK"
    assert monotonic() - start < LONGEST_WAIT


def test_a_body_that_is_streamed_keeps_its_turn_until_its_end(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi, "django", lambda *_: StreamingHttpResponse(iter(["a", "b"])))
    body: Any = wsgi.application({"PATH_INFO": "/admin/", "REQUEST_METHOD": "GET"}, None)

    assert turns.take(0) is None
    assert list(body) == [b"a", b"b"]
    assert turns.take(0) is None
    body.close()
    assert isinstance(turns.take(0), Turn)


def test_what_breaks_gives_its_turn_back(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(wsgi, "django", breaks)
    with pytest.raises(KeyboardInterrupt):
        wsgi.application({"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, None)

    assert isinstance(turns.take(0), Turn)
