"""What clients see when the server is killed, or ends, while they write."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest

from config.server.process import pause_before
from tests.commands import wait_until
from tests.load import TIMEOUT, Load, RepeatingClient
from tests.lossy import LossyProxy
from tests.outage import children
from tests.people import SECRET, token_of
from tests.server import Server, database_url

Serve = Callable[..., Server]


def rows() -> list[Any]:
    with psycopg.connect(database_url()) as connection:
        return connection.execute(
            "SELECT id, title, description FROM tasks_task WHERE deleted_at IS NULL"
        ).fetchall()


def workers(server: Server) -> set[int]:
    return set(children(server.process.pid))


def kill_a_worker(server: Server) -> None:
    """Returns when another worker has replaced it."""
    before = workers(server)
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + TIMEOUT
    while len(workers(server) - {killed}) < len(before):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_worker_is_replaced(serve: Serve) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET, WEB_CONCURRENCY="2")
    with Load(server.url, "killed", uncertain=True) as writes:
        writes.wait_for(100, succeeded=True)
        kill_a_worker(server)
        writes.wait_for(100, succeeded=True, after=time.monotonic())

    assert len(writes.unanswered) <= len(writes.clients)
    assert writes.refused == []
    writes.check_rows(rows())


def test_writes_that_are_repeated_with_a_key_are_done_exactly_once(serve: Serve) -> None:
    """While workers die, and the network loses one answer in five."""
    server = serve(BETTER_AUTH_SECRET=SECRET, WEB_CONCURRENCY="2")
    with (
        LossyProxy(server.port, loses=0.2) as network,
        Load(network.url, "repeated", uncertain=True, kind=RepeatingClient) as writes,
    ):
        for _ in range(3):
            writes.wait_for(100, succeeded=True, after=time.monotonic())
            kill_a_worker(server)
        writes.wait_for(100, succeeded=True, after=time.monotonic())

    writes.check_everything_is_done(rows())
    assert len(writes.unanswered) > network.lost / 2
    assert writes.refused == []
    assert writes.replayed


def test_five_deaths_of_a_worker_in_ten_seconds_do_not_end_the_server(serve: Serve) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET)
    start = time.monotonic()
    kill_a_worker(server)
    server.wait_until_ready()
    for wait in (0.2, 0.4, 0.8, 1.6):
        kill_a_worker(server)
        wait_until(lambda wait=wait: waits(server)[-1:] == [wait])  # type: ignore[misc]
    assert time.monotonic() - start < 10

    server.wait_until_ready()
    assert waits(server) == [0.2, 0.4, 0.8, 1.6]


def waits(server: Server) -> list[float]:
    """How long workers waited before they restarted."""
    lines = map(json.loads, server.log.read_text().splitlines())
    return [line["seconds"] for line in lines if line["event"].startswith("worker waits")]


def test_pauses_grow_to_ten_seconds() -> None:
    assert [pause_before(restart) for restart in (-1, 0, 1, 2, 3, 4, 7, 8, 9999)] == (
        [0, 0, 0, 0.2, 0.4, 0.8, 6.4, 10, 10]
    )


def wait_for_a_lock() -> None:
    query = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with psycopg.connect(database_url(), autocommit=True) as watcher:
        wait_until(lambda: watcher.execute(query).fetchone() != (0,))


def test_workers_end_with_a_killed_master(serve: Serve) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET, WEB_CONCURRENCY="3")
    assert_none_outlives_the_master(server)

    with pytest.raises(ConnectionRefusedError):
        server.request("GET", "/health")


def test_workers_that_have_just_started_end_with_their_master(
    transactional_db: None, tmp_path: Path
) -> None:
    server = Server(tmp_path / "log", BETTER_AUTH_SECRET=SECRET)
    wait_until(lambda: bool(workers(server)))

    assert_none_outlives_the_master(server)


def test_a_running_request_may_finish_after_its_master(serve: Serve) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET)
    body = {"title": "x"}
    created = server.request("POST", "/api/alice/tasks", body, token=token_of("alice"))
    path = f"/api/alice/tasks/{created.json()['id']}"
    with ThreadPoolExecutor() as pool, psycopg.connect(database_url()) as other:
        other.execute("LOCK TABLE tasks_task")
        waiting = pool.submit(server.request, "DELETE", path, token=token_of("alice"))
        wait_for_a_lock()
        server.process.kill()
        time.sleep(0.3)
        other.commit()

        assert waiting.result(10).status == 204


def assert_none_outlives_the_master(server: Server) -> None:
    orphans = [psutil.Process(pid) for pid in workers(server)]
    assert orphans
    server.process.kill()
    server.process.wait()
    _, left = psutil.wait_procs(orphans, timeout=2)
    assert [process for process in left if is_alive(process)] == []


def is_alive(process: psutil.Process) -> bool:
    """A zombie is not alive: its parent is dead, and nothing may have reaped it yet."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_no_request_is_cut_off_when_the_server_ends(serve: Serve) -> None:
    """An idle connection may be closed, so a request that is sent on it then was never accepted."""
    server = serve(BETTER_AUTH_SECRET=SECRET, WEB_CONCURRENCY="2")
    with Load(server.url, "ended", uncertain=False) as writes:
        writes.wait_for(100, succeeded=True)
        end = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(TIMEOUT) == 0

    assert all(reply.sent > end for reply in writes.unanswered)
    assert writes.refused == []
    writes.check_rows(rows())


CLIENTS = 12
DRAIN = 2


def test_a_drain_breaks_no_request_of_clients_that_keep_their_connections(serve: Serve) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET, WEB_CONCURRENCY="2", DRAIN_SECONDS=str(DRAIN))
    busy = Barrier(CLIENTS + 1)
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(until_closed, server, busy) for _ in range(CLIENTS)]
        busy.wait(TIMEOUT)
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        answers = Counter[int]()
        for client in clients:
            answers += client.result(TIMEOUT)
        assert time.monotonic() - start < DRAIN

        assert set(answers) == {200, 201, 204}
        assert_it_answers_and_closes_connections(server)
    assert server.process.wait(TIMEOUT) == 0
    assert DRAIN <= time.monotonic() - start < DRAIN + 2


def until_closed(server: Server, busy: Barrier) -> Counter[int]:
    """Counts the statuses of the answers on one connection, until one closes it."""
    wire = HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    wire.connect()
    wire.auto_open = 0  # a lost connection fails the test
    headers = {
        "Authorization": f"Bearer {token_of('alice')}",
        "Content-Type": "application/json",
    }
    answers = Counter[int]()
    path = "/api/alice/tasks"
    requests = [("POST", "", b'{"title": "x"}'), ("GET", "/{id}", None), ("DELETE", "/{id}", None)]
    task: dict[str, Any] = {}
    while True:
        for method, place, body in requests:
            wire.request(method, path + place.format(**task), body, headers)
            response = wire.getresponse()
            content = response.read()
            answers[response.status] += 1
            if response.headers["Connection"] == "close":
                wire.close()
                return answers
            task = json.loads(content) if content else task
        if answers.total() == len(requests):
            busy.wait(TIMEOUT)


def assert_it_answers_and_closes_connections(server: Server) -> None:
    answers = [
        server.request("GET", "/health"),
        server.request("GET", "/static/admin/css/base.css"),
        server.request("GET", "/api/alice/tasks", token=token_of("alice")),
        server.request("POST", "/api/alice/tasks", {"title": "x"}, token=token_of("alice")),
        server.request("GET", "/api/alice/tasks"),
        server.request("GET", "/health/ready"),
    ]

    assert [answer.status for answer in answers] == [200, 200, 200, 201, 401, 503]
    assert {answer.headers["Connection"] for answer in answers} == {"close"}
    assert answers[-1].json()["detail"] == "Not ready: shutting down."


@pytest.mark.parametrize(
    "signals", [(signal.SIGINT,), (signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)]
)
def test_ctrl_c_and_a_second_sigterm_do_not_wait_for_the_drain(
    serve: Serve, signals: tuple[int, ...]
) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET, DRAIN_SECONDS="600")
    for number in signals:
        assert server.process.poll() is None
        server.process.send_signal(number)
        time.sleep(0.5)

    assert server.process.wait(TIMEOUT) == 0


def test_a_worker_that_dies_while_the_server_drains_is_replaced(serve: Serve) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET, DRAIN_SECONDS="4")
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: server.request("GET", "/health/ready").status == 503)
    kill_a_worker(server)
    server.wait_until_ready()

    assert server.request("GET", "/health").headers["Connection"] == "close"
    assert server.process.wait(TIMEOUT) == 0
