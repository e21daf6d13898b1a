"""What clients see when the server itself is killed, or told to end, while they write."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import psycopg

from tests.load import GIVEN_UP, Load
from tests.outage import children
from tests.people import SECRET
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
    """Returns when another stands in its place."""
    before = workers(server)
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + GIVEN_UP
    while len(workers(server) - {killed}) < len(before):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_worker_is_replaced(serve: Serve) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET, WEB_CONCURRENCY="2")
    with Load(server.url, "killed", doubtful=True) as writes:
        writes.wait_for(100, succeeded=True)
        kill_a_worker(server)
        writes.wait_for(100, succeeded=True, after=time.monotonic())

    assert len(writes.unanswered) <= len(writes.clients)
    assert writes.refused == []
    writes.check_rows(rows())


def test_a_worker_that_dies_again_at_once_ends_the_server_for_its_host_to_restart(
    serve: Serve,
) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET)
    kill_a_worker(server)
    server.wait_until_ready()
    (worker,) = workers(server)
    os.kill(worker, signal.SIGKILL)

    assert server.process.wait(GIVEN_UP) == 1


def test_no_request_is_cut_off_at_the_end(serve: Serve) -> None:
    """A connection without a request may be closed: what is sent on it then was never taken."""
    server = serve(BETTER_AUTH_SECRET=SECRET, WEB_CONCURRENCY="2")
    with Load(server.url, "ended", doubtful=False) as writes:
        writes.wait_for(100, succeeded=True)
        end = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(GIVEN_UP) == 0

    assert all(reply.sent > end for reply in writes.unanswered)
    assert writes.refused == []
    writes.check_rows(rows())
