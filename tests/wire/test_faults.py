"""What the service does while its database fails, under load, and how it comes back by itself.

One server goes through all of it: after each fault it must serve as before, without a restart.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests.load import SLOWEST, Load
from tests.outage import Postgres
from tests.people import SECRET, token_of
from tests.server import Answer, Server

CONNECTIONS = 16
"""Of the server: those of the API and of the admin."""
SOON = 2.0
"""Seconds from the return of the database to the first good answer."""


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
    def start(*, doubtful: bool, clients: int = 2 * CONNECTIONS) -> Load:
        return Load(server.url, request.node.name, clients=clients, doubtful=doubtful)

    return start


def create(server: Server) -> Answer:
    return server.request("POST", "/api/alice/tasks", {"title": "x"}, token=token_of("alice"))


def warm_up(server: Server) -> None:
    """Every thread of the server has a connection afterwards, and no request failed for it."""
    with ThreadPoolExecutor(4 * CONNECTIONS) as pool:
        answers = list(pool.map(lambda _: create(server).status, range(8 * CONNECTIONS)))
    assert answers == [201] * 8 * CONNECTIONS


def check_strangers(server: Server, within: float = SLOWEST) -> None:
    """Who has no good token is told so, whatever the database does."""
    start = time.monotonic()
    assert server.request("GET", "/api/alice/tasks", token="x").status == 401
    assert server.request("GET", "/health").status == 200
    assert time.monotonic() - start < within


def check(load: Load, postgres: Postgres, back: float) -> None:
    load.check_answers()
    load.check_rows(postgres.tasks())
    assert load.first_success_after(back) < SOON


def test_postgresql_that_is_killed_and_started_again(
    server: Server, postgres: Postgres, load: Callable[..., Load]
) -> None:
    with load(doubtful=True) as writes:
        writes.wait_for(50, succeeded=True)
        with postgres.away():
            writes.wait_for(30, succeeded=False)
            check_strangers(server)
            assert server.request("GET", "/health/ready").status == 503
        back = time.monotonic()
        writes.wait_for(50, succeeded=True, after=back)
    check(writes, postgres, back)


def test_connections_that_went_stale_while_idle_cost_no_request(
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
    with load(doubtful=True) as writes:
        ended = 0
        for _ in range(5):
            writes.wait_for(20, succeeded=True, after=time.monotonic())
            ended += postgres.end_backends()
        back = time.monotonic()
        writes.wait_for(50, succeeded=True, after=back)
    check(writes, postgres, back)
    assert ended >= 5
    assert len(writes.refused) <= ended


@pytest.mark.parametrize(
    ("fault", "clients"),
    [
        pytest.param(Postgres.exhausted, 2 * CONNECTIONS, id="connections are exhausted"),
        pytest.param(Postgres.locked, 4 * CONNECTIONS, id="the table is locked"),
    ],
)
def test_what_is_refused_is_not_done(
    server: Server,
    postgres: Postgres,
    load: Callable[..., Load],
    fault: Callable[[Postgres], AbstractContextManager[None]],
    clients: int,
) -> None:
    with fault(postgres), load(doubtful=False, clients=clients) as writes:
        writes.wait_for(clients, succeeded=False)
        check_strangers(server)
    assert not any(reply.succeeded for reply in writes.replies)
    writes.check_answers()
    writes.check_rows(postgres.tasks())

    back = time.monotonic()
    assert create(server).status == 201
    assert time.monotonic() - back < SOON


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Postgres.frozen, id="the server is frozen"),
        pytest.param(lambda postgres: postgres.wire.swallowing(), id="the network is a black hole"),
    ],
)
def test_a_database_that_is_silent(
    server: Server,
    postgres: Postgres,
    load: Callable[..., Load],
    fault: Callable[[Postgres], AbstractContextManager[None]],
) -> None:
    with load(doubtful=True) as writes:
        writes.wait_for(50, succeeded=True)
        with fault(postgres):
            check_strangers(server)
            writes.wait_for(2 * CONNECTIONS, succeeded=False)
            # All others wait for the database by now, and threads are free for what needs none.
            check_strangers(server, within=1)
            start = time.monotonic()
            assert server.request("GET", "/health/ready").status == 503
            assert time.monotonic() - start < SLOWEST
        back = time.monotonic()
        writes.wait_for(50, succeeded=True, after=back)
    check(writes, postgres, back)


def test_a_database_that_wakes_up_slowly(server: Server, postgres: Postgres) -> None:
    """As one of Neon does that had nothing to do for a while."""
    postgres.end_backends()
    postgres.wire.delay = 2.0
    try:
        start = time.monotonic()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            answers = list(pool.map(lambda _: create(server).status, range(CONNECTIONS)))
        assert answers == [201] * CONNECTIONS
        assert time.monotonic() - start < SLOWEST
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
            check_strangers(server)
        back = time.monotonic()
        assert create(server).status == 201
        assert server.request("GET", "/health/ready").status == 200
        assert time.monotonic() - back < SOON
