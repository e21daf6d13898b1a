"""Requests that do not delay each other, with a slow issuer or few database connections."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles
from threading import Event
from time import monotonic, sleep, time

import pytest
from django.db import connections

from tests.authjwt.conftest import (
    Answer,
    Issuer,
    Request,
    answer,
    claims,
    document,
    hang,
    signer,
)
from tests.commands import execute
from tests.people import SECRET, token_of
from tests.server import Server

Serve = Callable[..., Server]
TASKS = "/api/alice/tasks"
MADE_UP_CLIENTS = 32


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    issuer.start()
    yield issuer
    issuer.stop()


def slow(request: Request) -> None:
    sleep(2)
    answer(document(signer()))(request)


def p99_of_reads(server: Server, token: str, seconds: float) -> float:
    """The seconds of a few clients that list continuously. No request may fail."""

    def read_for_a_while(_: int) -> list[float]:
        durations, end = [], monotonic() + seconds
        while monotonic() < end:
            start = monotonic()
            assert server.request("GET", TASKS, token=token).status == 200
            durations.append(monotonic() - start)
        return durations

    with ThreadPoolExecutor(4) as pool:
        durations = [each for some in pool.map(read_for_a_while, range(4)) for each in some]
    return quantiles(durations, n=100)[-1]


@pytest.mark.parametrize("failing", [slow, hang], ids=["takes 2 s", "hangs"])
def test_known_users_do_not_notice_an_issuer_that_others_wait_for(
    serve: Serve, issuer: Issuer, failing: Answer
) -> None:
    issuer.lists(signer())
    server = serve(BETTER_AUTH_URL=issuer.origin)
    now = int(time())
    payload = claims(sub="alice", iss=issuer.origin, aud=issuer.origin, iat=now, exp=now + 900)
    token = signer().token(payload)
    assert server.request("GET", TASKS, token=token).status == 200
    quiet = p99_of_reads(server, token, 1)
    issuer.answer = failing
    over, statuses = Event(), set()

    def ask_with_a_key_that_is_made_up(number: int) -> None:
        while not over.is_set():
            made_up = signer(kid=f"made-up-{number}").token(payload)
            statuses.add(server.request("GET", TASKS, token=made_up).status)
            # Some are refused immediately, and this process could not keep up.
            over.wait(0.2)

    with ThreadPoolExecutor(MADE_UP_CLIENTS) as pool:
        asking = [
            pool.submit(ask_with_a_key_that_is_made_up, number) for number in range(MADE_UP_CLIENTS)
        ]
        sleep(0.5)
        loaded = p99_of_reads(server, token, 3)
        over.set()
        for each in asking:
            each.result()

    assert statuses <= {401, 503}
    assert loaded < max(0.1, 10 * quiet)


@pytest.fixture
def _few_connections(transactional_db: None) -> Iterator[None]:
    role = connections["api"].get_connection_params()["user"]
    execute(f"ALTER ROLE {role} CONNECTION LIMIT 10")
    yield
    execute(f"ALTER ROLE {role} CONNECTION LIMIT -1")


@pytest.mark.usefixtures("_few_connections")
@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"WEB_CONCURRENCY": "2", "DATABASE_CONNECTIONS": "6"}, id="set to fit"),
        pytest.param({"DATABASE_CONNECTIONS": "40"}, id="a worker that has some"),
    ],
)
def test_40_clients_share_10_connections(serve: Serve, environment: dict[str, str]) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET, **environment)
    token = token_of("alice")
    assert server.request("GET", TASKS, token=token).status == 200

    def write(number: int) -> set[int]:
        body = {"title": f"{number}"}
        return {server.request("POST", TASKS, body, token=token).status for _ in range(10)}

    with ThreadPoolExecutor(40) as pool:
        statuses = set.union(*pool.map(write, range(40)))

    assert statuses == {201}


def test_the_first_line_warns_of_connections_that_the_database_does_not_allow(
    serve: Serve,
) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET, WEB_CONCURRENCY="1", DATABASE_CONNECTIONS="500")
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    (line,) = (line for line in lines if line["event"] == "start")

    assert line["level"] == "warning"
    assert line["connections_per_worker"] == 500
    assert line["connections_allowed"] < 500


def test_a_full_disk_under_the_log_fails_no_request(transactional_db: None) -> None:
    with Server(Path("/dev/full"), BETTER_AUTH_SECRET=SECRET) as server:
        token = token_of("alice")
        body = {"title": "x"}
        made = [server.request("POST", TASKS, body, token=token).status for _ in range(50)]
        assert made == [201] * 50
        assert server.request("GET", "/api/bob/tasks", token=token).status == 403
