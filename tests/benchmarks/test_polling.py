"""Runs the benchmark of polling with as few tasks and requests as possible."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import psycopg
import pytest

from tests.benchmarks import polling
from tests.benchmarks.comparison import Bench, Scene, bench
from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer
from tests.benchmarks.lists import PEER
from tests.benchmarks.operations import Operation, Person, WrongAnswer, people
from tests.benchmarks.polling import CREATE_WITH_KEY, Table
from tests.benchmarks.servers import OURS, Candidate

SCENE = Scene("EdDSA", connections=2, distance=0, requests=2)
SIZES = (3, 5)
POLLS = ["list of 3", "304 of a list of 3", "sync of 3, empty", "sync of 5, empty"]
OTHERS = ["read", "create", "create with a key"]


@pytest.mark.parametrize(
    ("candidate", "operations"),
    [(OURS, [*POLLS, *OTHERS]), (PEER, POLLS[:1])],
    ids=lambda value: getattr(value, "name", ""),
)
def test_ours_is_measured_with_everything_and_the_peer_with_its_list(
    candidate: Candidate,
    operations: list[str],
    installed: Callable[[Candidate], Candidate],
    database: Database,
    issuer: Issuer,
) -> None:
    candidates = (installed(candidate),)
    stored = polling.filled(database, SIZES, users=2)

    found = polling.measure(stored, issuer, candidates, SCENE, rounds=1, warm_up=2)

    samples = {sample.operation: asdict(sample) for sample in found}
    assert list(samples) == operations
    assert {sample["requests"] for sample in samples.values()} == {2}
    with psycopg.connect(database.url) as connection:
        newest = connection.execute("SELECT max(id) FROM tasks_task").fetchone()
    assert newest == (database.last_id,)
    if candidate == OURS:
        sizes = {name: sample["answer_bytes"] for name, sample in samples.items()}
        assert 0 < sizes["304 of a list of 3"] < sizes["sync of 3, empty"] < sizes["list of 3"]


@pytest.fixture
def running(database: Database, issuer: Issuer) -> Iterator[Bench]:
    with bench(OURS, database, issuer) as running:
        yield running


@pytest.fixture
def alice(running: Bench, issuer: Issuer) -> Person:
    (alice,) = people(running.database, issuer, SCENE.token, count=1)
    return alice


@pytest.mark.parametrize("make", [polling.not_modified, polling.empty_sync])
def test_a_poll_that_finds_a_change_is_not_measured(
    make: Callable[[str, list[Person]], Operation], running: Bench, alice: Person
) -> None:
    operation = make(running.server.url, [alice])
    running.run(operation, [alice], connections=1, count=1)
    running.database.add([alice.user_id])

    with pytest.raises(WrongAnswer):
        running.run(operation, [alice], connections=1, count=1)


def test_a_server_that_ignores_the_key_is_not_measured(
    installed: Callable[[Candidate], Candidate], database: Database, issuer: Issuer
) -> None:
    asking = people(database, issuer, SCENE.token, count=1)
    with (
        bench(installed(PEER), database, issuer) as running,
        pytest.raises(WrongAnswer, match="POST"),
    ):
        running.run(CREATE_WITH_KEY, asking, connections=1, count=1)


def test_the_table_has_the_ratio_to_a_read_and_the_megabytes_of_an_hour() -> None:
    def sample(server: str, operation: str, cpu: float, size: int) -> dict[str, Any]:
        return {
            **asdict(SCENE),
            "turn": 1,
            "server": server,
            "operation": operation,
            "answer_bytes": size,
            "server_cpu": cpu / 2,
            "database_cpu": cpu / 2,
        }

    samples = [
        sample(OURS.name, "list of 500", 9000, 126_000),
        sample(PEER.name, "list of 500", 20_000, 130_000),
        sample(OURS.name, "sync of 500, empty", 1500, 400),
        sample(OURS.name, "sync of 1,000, empty", 1600, 401),
        sample(OURS.name, "read", 1000, 700),
    ]

    table = Table(samples, {OURS.name: "ours", PEER.name: "peer"})

    assert str(table).splitlines() == [
        "| request | CPU, µs | times a read | bytes per answer | MB per hour, every 5 s |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| ours: list of 500 | 9000 | 9.00 | 126,000 | 90.7 |",
        "| peer: list of 500 | 20000 | 20.00 | 130,000 | 93.6 |",
        "| ours: sync of 500, empty | 1500 | 1.50 | 400 | 0.288 |",
        "| ours: sync of 1,000, empty | 1600 | 1.60 | 401 | 0.289 |",
        "| ours: read | 1000 | 1.00 | 700 |  |",
    ]
    assert table.missed() == ["sync of 1,000, empty: 1.60 times a read, more than 1.5"]
