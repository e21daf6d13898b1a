import math
import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import pytest

from tests.benchmarks import load
from tests.benchmarks.load import Expected, Request, percentile

SENDERS = [
    pytest.param(load.wrk, marks=pytest.mark.skipif(not load.WRK, reason="wrk is not installed.")),
    load.python,
]


class Recorder(ThreadingHTTPServer):
    """Records its requests. Answers an empty object at /odd, and ten bytes elsewhere.

    At /slow it takes its time.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[str, str, str | None, str | None, bytes]] = []
        self.lock = Lock()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one piece
    server: Recorder

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            token, tags = self.headers["Authorization"], self.headers["If-Match"]
            self.server.received.append((self.command, self.path, token, tags, body))
        if self.path == "/slow":
            time.sleep(0.2)
        content = b"{}" if self.path == "/odd" else b"0123456789"
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PATCH = answer  # noqa: N815  names of the base class

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("connections", [1, 8])
@pytest.mark.parametrize("send", SENDERS)
def test_each_request_is_sent_once_and_unchanged(
    send: Any, connections: int, recorder: Recorder
) -> None:
    requests = [
        Request("PATCH", f"/{number}", f"t{number}", '{"a": "é"}', {"If-Match": f'"a", "{number}"'})
        for number in range(100)
    ]

    result = send(recorder.port, requests, Expected(200, 10, 10), connections)

    assert (result.answered, result.wrong) == (100, 0)
    assert 0 < result.p50 <= result.p95 <= result.p99 <= result.seconds * 1000
    assert sorted(recorder.received) == sorted(
        ("PATCH", f"/{number}", f"Bearer t{number}", f'"a", "{number}"', '{"a": "é"}'.encode())
        for number in range(100)
    )


@pytest.mark.parametrize("send", SENDERS)
def test_the_bytes_of_all_answers_are_counted_with_their_headers(
    send: Any, recorder: Recorder
) -> None:
    with socket.create_connection(("127.0.0.1", recorder.port)) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        answer = wire.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")

    result = send(recorder.port, [Request("GET", "/", "t")] * 20, Expected(200, 10, 10), 2)

    assert result.received == 20 * len(answer)


@pytest.mark.parametrize("path", ["/odd", "/broken"])
@pytest.mark.parametrize("send", SENDERS)
def test_answers_of_another_size_or_status_are_wrong(
    send: Any, path: str, recorder: Recorder
) -> None:
    requests = [Request("GET", path if number % 4 else "/", "t") for number in range(20)]

    assert send(recorder.port, requests, Expected(200, 10, 10), 2).wrong == 15


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50), (95, 95), (99, 99), (100, 100), (0, 1)]
)
def test_percentile_of_a_hundred_values_is_the_value_of_that_rank(
    percent: float, expected: int
) -> None:
    assert percentile(range(1, 101), percent) == expected


def test_percentile_of_one_value_is_that_value() -> None:
    assert {percentile([7], percent) for percent in (0, 50, 99)} == {7}


def test_missing_answers_are_reported(recorder: Recorder) -> None:
    result = load.python(recorder.port, [Request("GET", "/odd", "t")], Expected(200, 10, 10), 1)

    assert (result.answered, result.wrong) == (0, 1)
    assert math.isnan(result.p50)


@pytest.mark.parametrize("send", SENDERS)
def test_a_run_that_takes_too_long_ends_early_without_wrong_answers(
    send: Any, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "MAX_SECONDS", 1)
    requests = [Request("GET", "/slow", "t")] * 40

    result = send(recorder.port, requests, Expected(200, 10, 10), 2)

    assert 0 < result.answered < 40
    assert result.wrong == 0
