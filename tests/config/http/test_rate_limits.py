"""Rate limits of users, and of addresses that send refused tokens."""

import re
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as configuration
from django.test import Client, RequestFactory
from django.urls import resolve

from authjwt import bearer
from authjwt.exceptions import Forbidden, InvalidToken, MissingToken
from config.http import rate_limits
from config.http.rate_limits import BearerToken, RateLimit, RateLimited, bearer_token, with_fields
from config.wsgi import application
from tests.authjwt.conftest import Clock, at_once
from tests.people import SECRET, token_of
from tests.server import Answer, Server, send

Serve = Callable[..., Server]

TASKS = "/api/alice/tasks"
FIELD = re.compile(r'"([a-z-]+)";r=(\d+);t=(\d+)')


def limit(requests: int = 3, seconds: int = 60) -> tuple[RateLimit, Clock]:
    clock = Clock()
    return RateLimit("user", (requests, seconds), clock), clock


# Counting


def test_each_request_leaves_one_less_until_the_window_ends() -> None:
    requests, clock = limit()

    left = []
    for _ in range(4):
        left.append(requests.count("alice"))
        clock.now += 10.5

    assert left == [(2, 60), (1, 50), (0, 39), (-1, 29)]
    clock.now += 18  # the window ends exactly now
    assert requests.count("alice") == (2, 60)


def test_users_are_counted_separately() -> None:
    requests, _ = limit(1)

    assert [requests.count(user)[0] for user in ("alice", "bob", "alice")] == [0, 0, -1]


def test_no_request_is_lost_between_threads() -> None:
    """Also not where two threads begin the window of a user at the same time."""
    requests, _ = limit(100)
    users = [f"user {number}" for number in range(5000)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        at_once(8, lambda _: [requests.count(user) for user in users])
    finally:
        sys.setswitchinterval(interval)

    assert {requests.count(user)[0] for user in users} == {100 - 9}


def test_memory_is_bounded_and_the_oldest_window_goes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limits, "MAX_WINDOWS", 100)
    requests, clock = limit()
    for number in range(1000):
        requests.count(f"user {number}")
        clock.now += 0.01

    assert len(requests) == 100
    assert requests.available("user 899") is None
    assert requests.available("user 900")


def test_windows_that_ended_are_forgotten() -> None:
    requests, clock = limit()
    for number in range(100):
        requests.count(f"user {number}")
    clock.now += 60
    for number in range(60):
        requests.count(f"another {number}")

    assert len(requests) == 60


# Who is counted


def request_of(token: str, user: str = "alice", **meta: Any) -> Any:
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"}, **meta)
    request.resolver_match = resolve(f"/api/{user}/tasks")
    return request


def test_a_request_that_is_refused_does_not_count_for_the_user() -> None:
    requests, _ = limit()
    authenticate = BearerToken(requests, None, owner="user_id")
    for token, user in (("nonsense", "alice"), (token_of("bob", exp=1), "bob")):
        with pytest.raises(InvalidToken):
            authenticate(request_of(token, user))
    with pytest.raises(Forbidden):
        authenticate(request_of(token_of("alice"), "bob"))

    assert len(requests) == 0
    authenticate(request_of(token_of("alice")))
    assert len(requests) == 1


def test_an_address_over_its_limit_is_refused_before_its_token_is_verified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused, clock = limit(2)
    authenticate = BearerToken(None, refused, owner="user_id")
    for _ in range(2):
        with pytest.raises(InvalidToken):
            authenticate(request_of("nonsense"))
    clock.now += 0.5
    with monkeypatch.context() as patched:
        patched.setattr(bearer, "verifier", None)
        with pytest.raises(RateLimited) as error:
            authenticate(request_of(token_of("alice")))

    assert error.value.retry_after == 60
    assert str(error.value) == (
        "Too many tokens that your address sent were refused. Try again in 60 s."
    )
    authenticate(request_of(token_of("alice"), REMOTE_ADDR="192.0.2.9"))
    clock.now += 59.5
    authenticate(request_of(token_of("alice")))


def test_a_missing_token_and_a_wrong_path_are_not_refused_tokens() -> None:
    refused, _ = limit()
    authenticate = BearerToken(None, refused, owner="user_id")
    with pytest.raises(MissingToken):
        authenticate(RequestFactory().get(TASKS))
    with pytest.raises(Forbidden):
        authenticate(request_of(token_of("alice"), "bob"))

    assert len(refused) == 0


def test_a_flood_from_many_addresses_does_not_grow_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limits, "MAX_WINDOWS", 50)
    refused, _ = limit()
    authenticate = BearerToken(None, refused, owner="user_id")
    for number in range(200):
        with pytest.raises(InvalidToken):
            authenticate(request_of("nonsense", REMOTE_ADDR=f"2001:db8:0:{number:x}::1"))

    assert len(refused) == 50


def test_without_an_address_nobody_is_counted() -> None:
    """Otherwise all clients without one would share a limit."""
    refused, _ = limit(1)
    authenticate = BearerToken(None, refused, owner="user_id")
    for _ in range(3):
        with pytest.raises(InvalidToken):
            authenticate(request_of("nonsense", REMOTE_ADDR="unix:"))

    assert len(refused) == 0


# Whether it is installed


def test_without_limits_nothing_is_installed() -> None:
    assert configuration.RATE_LIMIT is configuration.RATE_LIMIT_FAILED is None
    assert type(bearer_token(owner="user_id")) is bearer.BearerToken
    assert with_fields(application) is application


# On the wire


def available(answer: Answer) -> tuple[str, int, int]:
    match = FIELD.fullmatch(answer.headers["RateLimit"])
    assert match, answer.headers["RateLimit"]
    return match[1], int(match[2]), int(match[3])


def test_a_user_over_the_limit_is_429_until_the_window_ends(serve: Serve) -> None:
    server = serve(RATE_LIMIT="3/2", BETTER_AUTH_SECRET=SECRET)
    alice, bob = token_of("alice"), token_of("bob")
    answers = [server.request("GET", TASKS, token=alice) for _ in range(4)]

    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"user";q=3;w=2'}
    assert [available(answer)[1] for answer in answers] == [2, 1, 0, 0]
    refused = answers[-1]
    seconds = int(refused.headers["Retry-After"])
    assert available(refused) == ("user", 0, seconds)
    assert refused.headers["Cache-Control"] == "private, no-store"
    error = refused.json()
    assert error.keys() == {"detail", "error_code", "timestamp", "request_id"}
    assert error["error_code"] == "RATE_LIMITED"
    assert error["detail"] == (f"You sent more than 3 requests in 2 s. Try again in {seconds} s.")
    assert server.request("GET", "/api/bob/tasks", token=bob).status == 200
    time.sleep(seconds)
    assert server.request("GET", TASKS, token=alice).status == 200


def test_a_refused_request_does_nothing_and_is_decided_after_401_and_403(serve: Serve) -> None:
    server = serve(RATE_LIMIT="2/60", BETTER_AUTH_SECRET=SECRET)
    alice, bob = token_of("alice"), token_of("bob")
    statuses = [
        server.request("POST", TASKS, {"title": "Buy milk"}, token=alice).status for _ in range(3)
    ]

    assert statuses == [201, 201, 429]
    assert server.request("GET", TASKS).status == 401
    stranger = server.request("GET", TASKS, token=bob)
    assert stranger.status == 403
    assert "RateLimit" not in stranger.headers
    assert server.request("GET", "/api/bob/tasks", token=bob).status == 200
    assert server.request("GET", "/health").status == 200
    line = next(line for line in server.log.read_text().splitlines() if '"status":429' in line)
    assert '"limit":"user"' in line
    assert '"user_id":"alice"' in line


def test_invalid_requests_count_too(serve: Serve) -> None:
    server = serve(RATE_LIMIT="2/60", BETTER_AUTH_SECRET=SECRET)
    alice = token_of("alice")

    assert server.request("GET", f"{TASKS}/1", token=alice).status == 404
    invalid = server.request("POST", TASKS, {}, token=alice)
    assert (invalid.status, available(invalid)[1]) == (422, 0)
    assert server.request("POST", TASKS, {}, token=alice).status == 429


@pytest.mark.parametrize("header", ["X-Forwarded-For", "x-forwarded-FOR"])
def test_refused_tokens_of_one_client_do_not_affect_others_behind_the_proxy(
    serve: Serve, header: str
) -> None:
    server = serve(
        RATE_LIMIT="100/60",
        RATE_LIMIT_FAILED="2/60",
        TRUSTED_PROXIES="1",
        BETTER_AUTH_SECRET=SECRET,
    )

    def ask(token: str, forwarded: str) -> Answer:
        return server.request("GET", TASKS, token=token, headers={header: forwarded})

    # What stands to the left of the last entry was written by the client.
    refused = [ask("nonsense", f"203.0.113.{n}, 192.0.2.1") for n in range(2)]
    braked = ask(token_of("alice"), "198.51.100.7,192.0.2.1")

    assert [answer.status for answer in (*refused, braked)] == [401, 401, 429]
    assert [available(answer)[:2] for answer in refused] == [
        ("refused-tokens", 1),
        ("refused-tokens", 0),
    ]
    assert braked.headers["RateLimit-Policy"] == '"refused-tokens";q=2;w=60'
    assert braked.headers["Retry-After"] == str(available(braked)[2])
    assert ask(token_of("alice"), "192.0.2.1, 192.0.2.2").status == 200
    assert ask("nonsense", "192.0.2.1:4711").status == 429


def test_two_lines_of_the_header_are_one_list(serve: Serve) -> None:
    server = serve(RATE_LIMIT_FAILED="1/60", TRUSTED_PROXIES="1", BETTER_AUTH_SECRET=SECRET)

    def ask(*lines: str) -> bytes:
        return raw(server, ["Authorization: Bearer x", *(f"X-Forwarded-For: {x}" for x in lines)])

    assert b" 401 " in ask("192.0.2.1")
    assert b" 429 " in ask("203.0.113.1", "192.0.2.1")
    assert b" 401 " in ask("192.0.2.1", "203.0.113.1")


def raw(server: Server, headers: list[str]) -> bytes:
    """The status line of an answer to a request with these header lines."""
    lines = [f"GET {TASKS} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        wire.sendall("\r\n".join(lines).encode())
        return wire.makefile("rb").readline()


def test_browsers_may_read_the_fields_and_the_document_is_the_same(serve: Serve) -> None:
    origin = "https://app.example.com"
    server = serve(RATE_LIMIT="1/60", CORS_ALLOWED_ORIGINS=origin, BETTER_AUTH_SECRET=SECRET)
    for status in (200, 429):
        answer = server.request("GET", TASKS, token=token_of("alice"), headers={"Origin": origin})
        exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert answer.status == status
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= {*exposed}

    assert send("GET", f"{server.url}/openapi.json").json() == Client().get("/openapi.json").json()
