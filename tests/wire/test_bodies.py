"""Bodies that arrive slowly, or never: how long they take, and what they do not delay."""

import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from time import monotonic, sleep
from typing import Any

import pytest
from django.utils.datastructures import CaseInsensitiveMapping

from config.server.bodies import BODY_TIMEOUT, MAX_BODIES
from tests.contract import check_wire
from tests.people import SECRET, token_of
from tests.server import Server

Serve = Callable[..., Server]

HEAD = (
    "POST /api/alice/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://app.example.com\r\n"
    f"Authorization: Bearer {token_of('alice')}\r\nContent-Type: application/json\r\n"
)
HALF_A_BODY = f"{HEAD}Content-Length: 100\r\n\r\n{{"
HALF_A_CHUNK = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n64\r\n{{"
HALF_A_HEADER = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
SOCKETS = 2000
MAX_MEDIAN = 0.2
"""Seconds of a read while others drip; the median, because the machine may be busy."""


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=BODY_TIMEOUT + 5)


def receive(connection: socket.socket) -> tuple[int, dict[str, str], Any]:
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    number = int(status.split()[1])
    check_wire("POST", "/api/alice/tasks", number, CaseInsensitiveMapping(headers), body)
    return number, headers, json.loads(body)


def send_slowly(server: Server, half: str, *, drips: bool) -> tuple[float, tuple[int, Any, Any]]:
    with closing(connect(server)) as connection:
        start = monotonic()
        connection.sendall(half.encode())
        while drips and monotonic() - start < BODY_TIMEOUT:
            sleep(0.5)
            connection.sendall(b" ")
        return monotonic() - start, receive(connection)


def test_a_body_that_does_not_come_in_time_is_408(serve: Serve) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET, CORS_ALLOWED_ORIGINS="https://app.example.com")
    with ThreadPoolExecutor() as pool:
        sent = [
            pool.submit(send_slowly, server, half, drips=drips)
            for half in (HALF_A_BODY, HALF_A_CHUNK)
            for drips in (False, True)
        ]
    for seconds, (status, headers, body) in (each.result() for each in sent):
        assert seconds < BODY_TIMEOUT + 2
        assert (status, body["error_code"]) == (408, "REQUEST_TIMEOUT")
        assert body["detail"] == "The body did not arrive within 10 s."
        assert headers["connection"] == "close"
        assert headers["access-control-allow-origin"] == "https://app.example.com"
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    late = [line for line in lines if line.get("status") == 408]
    assert [line["waited_for"] for line in late] == ["body"] * 4
    assert min(line["ms"] for line in late) >= BODY_TIMEOUT * 1000
    assert server.request("GET", "/api/alice/tasks", token=token_of("alice")).json()["count"] == 0


def test_beyond_its_bound_a_body_is_refused_at_once(serve: Serve) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET)
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(connect(server))) for _ in range(MAX_BODIES)]
        for connection in slow:
            connection.sendall(HALF_A_BODY.encode())
        sleep(1)
        start = monotonic()
        answer = server.request("POST", "/api/alice/tasks", {"title": "x"}, token=token_of("alice"))

        assert monotonic() - start < 1
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        assert answer.json()["detail"].startswith("Too many request bodies are arriving")
        assert server.request("GET", "/api/alice/tasks", token=token_of("alice")).status == 200


@pytest.mark.parametrize("half", [HALF_A_HEADER, HALF_A_BODY], ids=["headers", "bodies"])
def test_2000_slow_clients_delay_no_read(serve: Serve, half: str) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET)
    durations = []
    with ExitStack() as stack:
        dripping = [stack.enter_context(closing(connect(server))) for _ in range(SOCKETS)]
        for connection in dripping:
            connection.sendall(half.encode())
        for _ in range(20):
            for connection in dripping[::10]:
                # Those that were refused immediately are closed by now.
                with suppress(OSError):
                    connection.sendall(b" ")
            for path in ("/health", "/api/alice/tasks"):
                start = monotonic()
                assert server.request("GET", path, token=token_of("alice")).status == 200
                durations.append(monotonic() - start)
    end = monotonic()
    while True:
        answer = server.request("POST", "/api/alice/tasks", {"title": "x"}, token=token_of("alice"))
        if answer.status == 201:
            break
        assert monotonic() - end < 5
        sleep(0.1)

    assert sorted(durations)[len(durations) // 2] < MAX_MEDIAN
    assert max(durations) < 5
