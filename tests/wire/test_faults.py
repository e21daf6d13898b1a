"""What the service does under load while its database fails, and how it recovers automatically.

All tests use one server: after each failure it must work as before, without a restart.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.commands import wait_until
from tests.load import MAX_SECONDS, Load, RepeatingClient
from tests.outage import Postgres
from tests.people import SECRET, token_of
from tests.server import Answer, Server

CONNECTIONS = 16
"""Of the server, for the API and the admin together."""
MAX_RECOVERY = 2.0
"""Seconds from the return of the database to the first successful answer."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres.running() as postgres:
        yield postgres


@pytest.fixture(scope="module")
def server(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("server") / "log"
    with Server(log, DATABASE_URL=postgres.url, BETTER_AUTH_SECRET=SECRET) as server:
        postgres.migrate(server.environment)
        yield server


@pytest.fixture
def load(server: Server, request: pytest.FixtureRequest) -> Callable[..., Load]:
    def start(*, clients: int = 2 * CONNECTIONS, **options: Any) -> Load:
        return Load(server.url, request.node.name, clients=clients, **options)

    return start


def create(server: Server) -> Answer:
    return server.request("POST", "/api/alice/tasks", {"title": "x"}, token=token_of("alice"))


def warm_up(server: Server) -> None:
    """Opens all connections of the server. No request may fail."""
    with ThreadPoolExecutor(4 * CONNECTIONS) as pool:
        answers = list(pool.map(lambda _: create(server).status, range(8 * CONNECTIONS)))
    assert answers == [201] * 8 * CONNECTIONS


def check_invalid_tokens(server: Server, within: float = MAX_SECONDS) -> None:
    """Requests with an invalid token are 401, whatever the database does."""
    start = time.monotonic()
    assert server.request("GET", "/api/alice/tasks", token="x").status == 401
    assert server.request("GET", "/health").status == 200
    assert time.monotonic() - start < within


def check(load: Load, postgres: Postgres, back: float) -> None:
    load.check_answers()
    load.check_rows(postgres.tasks())
    assert load.first_success_after(back) < MAX_RECOVERY


def test_postgresql_that_is_killed_and_started_again(
    server: Server, postgres: Postgres, load: Callable[..., Load]
) -> None:
    with load(uncertain=True) as writes:
        writes.wait_for(50, succeeded=True)
        with postgres.away():
            writes.wait_for(30, succeeded=False)
            check_invalid_tokens(server)
            assert server.request("GET", "/health/ready").status == 503
        back = time.monotonic()
        writes.wait_for(50, succeeded=True, after=back)
    check(writes, postgres, back)


def test_connections_that_were_closed_while_idle_fail_no_request(
    server: Server, postgres: Postgres
) -> None:
    for _ in range(2):
        warm_up(server)
        with postgres.away():
            pass
    assert create(server).status == 201


def test_a_write_whose_answer_was_lost_is_not_repeated(server: Server, postgres: Postgres) -> None:
    warm_up(server)
    before = postgres.query("SELECT count(*) FROM tasks_task")[0][0]
    postgres.wire.loses_an_answer = True

    answer = create(server)

    assert answer.status == 503
    assert answer.json()["detail"].startswith("It is not known whether this was done: ")
    assert "Retry-After" not in answer.headers
    assert postgres.wire.loses_an_answer is False
    assert postgres.query("SELECT count(*) FROM tasks_task") == [(before + 1,)]
    assert create(server).status == 201


def test_backends_that_are_terminated(
    server: Server, postgres: Postgres, load: Callable[..., Load]
) -> None:
    with load(uncertain=True) as writes:
        ended = 0
        for _ in range(5):
            writes.wait_for(20, succeeded=True, after=time.monotonic())
            ended += postgres.end_backends()
        back = time.monotonic()
        writes.wait_for(50, succeeded=True, after=back)
    check(writes, postgres, back)
    assert ended >= 5
    assert len(writes.refused) <= ended


def kill(postgres: Postgres) -> None:
    with postgres.away():
        time.sleep(0.2)


def freeze(postgres: Postgres) -> None:
    with postgres.frozen():
        time.sleep(MAX_SECONDS / 2)


def lose_answers(postgres: Postgres) -> None:
    for _ in range(20):
        postgres.wire.loses_an_answer = True
        wait_until(lambda: not postgres.wire.loses_an_answer)


@pytest.mark.parametrize("failure", [kill, freeze, lose_answers, Postgres.end_backends])
def test_writes_that_are_repeated_with_a_key_are_done_exactly_once(
    server: Server,
    postgres: Postgres,
    load: Callable[..., Load],
    failure: Callable[[Postgres], object],
) -> None:
    with load(uncertain=True, kind=RepeatingClient) as writes:
        for _ in range(2):
            writes.wait_for(50, succeeded=True, after=time.monotonic())
            failure(postgres)
        writes.wait_for(50, succeeded=True, after=time.monotonic())
    writes.check_answers()
    writes.check_everything_is_done(postgres.tasks())
    assert any(reply.is_uncertain for reply in writes.refused)
    assert writes.replayed or failure is not lose_answers


@pytest.mark.parametrize(
    ("failure", "clients"),
    [
        pytest.param(Postgres.exhausted, 2 * CONNECTIONS, id="connections are exhausted"),
        pytest.param(Postgres.locked, 4 * CONNECTIONS, id="the table is locked"),
    ],
)
def test_a_refused_write_is_not_done(
    server: Server,
    postgres: Postgres,
    load: Callable[..., Load],
    failure: Callable[[Postgres], AbstractContextManager[None]],
    clients: int,
) -> None:
    with failure(postgres), load(uncertain=False, clients=clients) as writes:
        writes.wait_for(clients, succeeded=False)
        check_invalid_tokens(server)
    assert not any(reply.succeeded for reply in writes.replies)
    writes.check_answers()
    writes.check_rows(postgres.tasks())

    back = time.monotonic()
    assert create(server).status == 201
    assert time.monotonic() - back < MAX_RECOVERY


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(Postgres.frozen, id="the server is frozen"),
        pytest.param(lambda postgres: postgres.wire.swallowing(), id="the network is a black hole"),
    ],
)
def test_a_database_that_does_not_answer(
    server: Server,
    postgres: Postgres,
    load: Callable[..., Load],
    failure: Callable[[Postgres], AbstractContextManager[None]],
) -> None:
    with load(uncertain=True) as writes:
        writes.wait_for(50, succeeded=True)
        with failure(postgres):
            check_invalid_tokens(server)
            writes.wait_for(2 * CONNECTIONS, succeeded=False)
            # By now all clients wait for the database, but other requests must find a free thread.
            check_invalid_tokens(server, within=1)
            start = time.monotonic()
            assert server.request("GET", "/health/ready").status == 503
            assert time.monotonic() - start < MAX_SECONDS
        back = time.monotonic()
        writes.wait_for(50, succeeded=True, after=back)
    check(writes, postgres, back)


def test_a_database_that_wakes_up_slowly(server: Server, postgres: Postgres) -> None:
    """As a suspended database of Neon does."""
    postgres.end_backends()
    postgres.wire.delay = 2.0
    try:
        start = time.monotonic()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            answers = list(pool.map(lambda _: create(server).status, range(CONNECTIONS)))
        assert answers == [201] * CONNECTIONS
        assert time.monotonic() - start < MAX_SECONDS
    finally:
        postgres.wire.delay = 0.0


def test_a_database_that_is_away_at_the_start(
    server: Server, postgres: Postgres, tmp_path: Path
) -> None:
    environment = {"DATABASE_URL": postgres.url, "BETTER_AUTH_SECRET": SECRET}
    with ExitStack() as end:
        with postgres.away():
            server = end.enter_context(Server(tmp_path / "log", **environment))
            away = create(server)
            assert (away.status, away.headers["Retry-After"]) == (503, "2")
            assert away.json()["error_code"] == "DATABASE_ERROR"
            check_invalid_tokens(server)
        back = time.monotonic()
        assert create(server).status == 201
        assert server.request("GET", "/health/ready").status == 200
        assert time.monotonic() - back < MAX_RECOVERY
