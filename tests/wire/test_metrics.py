"""Metrics of a running server: what they count, and that scrapers do not disturb requests."""

import os
import re
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import cycle, islice
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from tests.authjwt.conftest import document, signer
from tests.commands import wait_until
from tests.people import SECRET, token_of
from tests.server import Answer, Server, free_port, send
from tests.wire.test_bodies import HALF_A_BODY
from tests.wire.test_serve import refusal

Serve = Callable[..., Server]

OPERATIONS = {
    "listTasks",
    "createTask",
    "readTask",
    "replaceTask",
    "changeTask",
    "deleteTask",
    "admin",
    "health",
    "other",
}
LABELS = {"operation", "status", "error_code", "le", "waited_for", "reason"}


class Measured:
    """A server with metrics."""

    def __init__(self, serve: Serve) -> None:
        self.port = free_port()
        self.server = serve(
            BETTER_AUTH_SECRET=SECRET, METRICS_PORT=str(self.port), WEB_CONCURRENCY="2"
        )
        wait_until(lambda: self.samples()["tasks_workers"] == 2)

    def scrape(self, method: str = "GET", path: str = "/metrics") -> Answer:
        return send(method, f"http://127.0.0.1:{self.port}{path}")

    def samples(self) -> dict[str, float]:
        lines = self.scrape().body.decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def requests(self) -> dict[str, float]:
        """Without the health checks that waited for the start."""
        return {
            name: value
            for name, value in self.samples().items()
            if name.startswith("tasks_requests_total") and '"health"' not in name
        }

    def workers(self) -> list[int]:
        return [
            child.pid
            for child in psutil.Process(self.server.process.pid).children()
            if self.port not in {found.laddr.port for found in child.net_connections()}
        ]


@pytest.fixture
def measured(serve: Serve) -> Measured:
    return Measured(serve)


def total(operation: str, status: int, error_code: str = "") -> str:
    return (
        f'tasks_requests_total{{operation="{operation}",status="{status}",'
        f'error_code="{error_code}"}}'
    )


def create(server: Server) -> Answer:
    return server.request("POST", "/api/alice/tasks", {"title": "x"}, token=token_of("alice"))


def test_metrics_are_off_by_default(serve: Serve) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET)
    assert len(psutil.Process(server.process.pid).children()) == 1


def test_counts_are_exact_over_two_workers(measured: Measured) -> None:
    server, alice = measured.server, token_of("alice")
    task = create(server).json()["id"]
    kinds: list[tuple[str, str, Any, str]] = [
        ("POST", "/api/alice/tasks", {"title": "x"}, alice),
        ("POST", "/api/alice/tasks", {"title": ""}, alice),
        ("GET", "/api/alice/tasks", None, alice),
        ("GET", f"/api/alice/tasks/{task}", None, alice),
        ("HEAD", f"/api/alice/tasks/{task}", None, alice),
        ("PATCH", f"/api/alice/tasks/{task}", {"complete": True}, alice),
        ("PUT", f"/api/alice/tasks/{task}", {"title": "x", "complete": True}, alice),
        ("DELETE", "/api/alice/tasks/2000000000", None, alice),
        ("GET", "/api/bob/tasks", None, alice),
        ("GET", "/api/alice/tasks", None, token_of("alice", exp=1)),
        ("GET", "/api/alice/tasks", None, ""),
        ("GET", "/nowhere", None, ""),
        ("OPTIONS", "/api/alice/tasks", None, alice),
        ("GET", "/admin/", None, ""),
    ]
    times = 20

    def ask(kind: tuple[str, str, Any, str]) -> None:
        method, path, body, token = kind
        server.request(method, path, body, token=token, headers={"X-Forwarded-Proto": "https"})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, islice(cycle(kinds), times * len(kinds))))

    assert measured.requests() == {
        total("createTask", 201): times + 1,
        total("createTask", 422, "VALIDATION_ERROR"): times,
        total("listTasks", 200): times,
        total("readTask", 200): 2 * times,
        total("changeTask", 200): times,
        total("replaceTask", 200): times,
        total("deleteTask", 404, "NOT_FOUND"): times,
        total("listTasks", 403, "AUTH_FORBIDDEN"): times,
        total("listTasks", 401, "AUTH_INVALID"): times,
        total("listTasks", 401, "AUTH_MISSING"): times,
        total("other", 404, "NOT_FOUND"): times,
        total("other", 405, "METHOD_NOT_ALLOWED"): times,
        total("admin", 302): times,
    }
    samples = measured.samples()
    assert samples['tasks_tokens_refused_total{reason="expired"}'] == times
    assert samples['tasks_request_duration_seconds_count{operation="listTasks"}'] == 4 * times
    assert samples["tasks_workers"] == 2


def test_counts_survive_the_death_of_a_worker(measured: Measured) -> None:
    server, times = measured.server, 40
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: create(server), range(times)))
    assert measured.requests() == {total("createTask", 201): times}

    os.kill(measured.workers()[0], signal.SIGKILL)
    assert measured.requests() == {total("createTask", 201): times}
    wait_until(lambda: measured.samples()["tasks_workers_started_total"] == 3)
    assert measured.samples()["tasks_workers"] == 2

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: create(server), range(times)))
    assert measured.requests() == {total("createTask", 201): 2 * times}


def test_labels_have_a_fixed_set_of_values_and_name_no_user(measured: Measured) -> None:
    server = measured.server
    for user in ("somebody", "else"):
        token = token_of(user)
        server.request("POST", f"/api/{user}/tasks", {"title": user}, token=token)
        server.request("GET", f"/api/{user}/tasks?search={user}", token=token)
        server.request("GET", f"/api/another/{user}", token=token)
        server.request("GET", f"/admin/{user}/", headers={"X-Forwarded-Proto": "https"})
        server.request(user.upper(), f"/api/{user}/tasks", token=token)
        server.request(user.upper(), f"/{user}", headers={"X-Request-ID": user})
        server.request("GET", f"/api/{user}/tasks", token=token_of(user, aud=1, exp=user))

    samples = [line for line in measured.samples() if "{" in line]
    labels = [found for line in samples for found in re.findall(r'(\w+)="([^"]*)"', line)]

    assert {name for name, _ in labels} == LABELS
    assert {value for name, value in labels if name == "operation"} <= OPERATIONS
    assert {"createTask", "admin", "other"} <= {value for _, value in labels}
    content = measured.scrape().body.decode().lower()
    assert "somebody" not in content
    assert '"else"' not in content


def test_durations_are_measured_from_the_arrival(measured: Measured) -> None:
    name = 'tasks_request_duration_seconds_sum{operation="createTask"}'
    with socket.create_connection(("127.0.0.1", measured.server.port)) as client:
        client.sendall(HALF_A_BODY.encode())
        time.sleep(0.5)
        client.sendall(b" " * 98 + b"}")
        assert client.recv(12) == b"HTTP/1.1 422"

    wait_until(lambda: name in measured.samples())
    assert 0.4 < measured.samples()[name] < 5


def test_age_of_the_keys(serve: Serve) -> None:
    port = free_port()
    server = serve(
        BETTER_AUTH_JWKS=document(signer()).decode(),
        BETTER_AUTH_URL="https://app.example.com",
        METRICS_PORT=str(port),
    )

    def scrape() -> str:
        return send("GET", f"http://127.0.0.1:{port}/metrics").body.decode()

    age = re.compile(r"^tasks_keys_age_seconds (\S+)$", re.MULTILINE)
    assert not age.search(scrape())
    server.request("GET", "/health/ready")
    before = age.search(scrape())
    time.sleep(0.3)
    after = age.search(scrape())

    assert before
    assert after
    assert 0 <= float(before[1]) < 30
    assert float(after[1]) >= float(before[1]) + 0.3
    assert "\ntasks_keys_fetch_failures 0.0\n" in scrape()


def test_anything_but_get_metrics_is_404(measured: Measured) -> None:
    others = [("GET", "/"), ("GET", "/metrics/"), ("POST", "/metrics"), ("HEAD", "/metrics")]
    for method, path in [*others, ("X", "/metrics")]:
        assert measured.scrape(method, path).status == 404, (method, path)

    answer = measured.scrape()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_slow_scrapers_delay_nobody(measured: Measured) -> None:
    with ExitStack() as stack:
        for number in range(40):
            slow = stack.enter_context(
                closing(socket.create_connection(("127.0.0.1", measured.port)))
            )
            slow.sendall(b"GET /metrics HTTP/1.1\r\n" + b"\r\n" * (number % 2))
        start = time.monotonic()
        assert measured.scrape().status == 200
        assert create(measured.server).status == 201
        assert time.monotonic() - start < 2


def test_a_port_in_use_is_reported_in_one_sentence(serve: Serve) -> None:
    environment = serve(BETTER_AUTH_SECRET=SECRET).environment | {"PORT": str(free_port())}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refusal(environment | {"METRICS_PORT": str(port)}) == (
            f"CommandError: Metrics cannot be served on port {port} of 127.0.0.1 "
            "(Address already in use): set METRICS_PORT to a free port, and METRICS_HOST to an "
            "address of this machine.\n"
        )
    nowhere = {"METRICS_PORT": str(port), "METRICS_HOST": "192.0.2.1"}
    assert f"port {port} of 192.0.2.1 (" in refusal(environment | nowhere)
    same = {"METRICS_PORT": environment["PORT"]}
    assert "METRICS_PORT must differ from PORT." in refusal(environment | same)


def is_served(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_the_exporter_ends_with_the_server(measured: Measured) -> None:
    measured.server.process.send_signal(signal.SIGTERM)
    assert measured.server.process.wait(10) == 0
    assert not is_served(measured.port)


def test_the_exporter_ends_with_a_killed_server(measured: Measured) -> None:
    workers = measured.workers()
    measured.server.process.kill()
    try:
        wait_until(lambda: not is_served(measured.port))
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
