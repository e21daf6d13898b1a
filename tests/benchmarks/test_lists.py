"""Runs the benchmark of the lists with as few tasks and requests as possible."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, cast

import psycopg
import pytest

from tests.benchmarks import lists
from tests.benchmarks.comparison import Scene
from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer
from tests.benchmarks.lists import BUSY, HUGE, PEER, Crowd, Tables
from tests.benchmarks.operations import WrongAnswer
from tests.benchmarks.servers import OURS, Candidate
from tests.benchmarks.stored import QUESTIONS, Stored

SCENE = Scene("EdDSA", connections=2, distance=0, requests=2)
MANY = Crowd(users=2, tasks=60, scenes=(SCENE,), warm_up=2)
VERY_MANY = Crowd(
    users=1,
    tasks=120,
    scenes=(replace(SCENE, connections=1), replace(SCENE, connections=3)),
    warm_up=3,
)
CROWDS = (MANY, VERY_MANY)


@pytest.mark.parametrize("candidate", [OURS, PEER], ids=lambda candidate: candidate.name)
def test_every_list_is_measured_and_its_figures_are_in_the_tables(
    candidate: Candidate,
    installed: Callable[[Candidate], Candidate],
    database: Database,
    issuer: Issuer,
) -> None:
    candidates = (installed(candidate),)
    stored = lists.filled(database, *CROWDS)

    found = lists.measure(stored, issuer, candidates, CROWDS, rounds=1)

    samples = [asdict(sample) for sample in found]
    assert [(sample["connections"], sample["operation"]) for sample in samples] == [
        (scene.connections, name)
        for crowd in CROWDS
        for scene in crowd.scenes
        for name in ("list of 20", *map(crowd.operation, QUESTIONS))
    ]
    lines = str(Tables(samples, {candidate.name: candidate.title}, stored, CROWDS)).splitlines()
    names = [question.name for question in QUESTIONS]
    assert [line.removeprefix("| ").split(" | ")[0] for line in lines] == [
        *("page of 50 of 60 tasks", "---", "list of 20", *names),
        *("", "page of 50 of 120 tasks", "---", *names),
    ]


def test_a_wrong_list_is_not_measured(database: Database, issuer: Issuer) -> None:
    stored = lists.filled(database, *CROWDS)
    newest = stored.rows[stored.users[MANY.tasks][-1]][-1]
    with psycopg.connect(database.url) as connection:
        connection.execute("UPDATE tasks_task SET tags = '{other}' WHERE id = %s", [newest.id])

    with pytest.raises(WrongAnswer):
        list(lists.measure(stored, issuer, (OURS,), CROWDS, rounds=1))


def test_the_readme_has_the_range_and_the_goals_that_we_miss_are_named() -> None:
    def sample(server: str, scene: Scene, operation: str, cpu: float) -> dict[str, Any]:
        return {
            **asdict(scene),
            "turn": 1,
            "server": server,
            "operation": operation,
            "p95": cpu,
            "server_cpu": cpu / 2,
            "database_cpu": cpu / 2,
        }

    samples = [
        sample(server, scene, operation, cpu * factor)
        for server, factor in ((OURS.name, 1), (PEER.name, 4))
        for crowd in (BUSY, HUGE)
        for scene in crowd.scenes
        for operation, cpu in (
            ("list of 20", 100),
            *((crowd.operation(question), 150) for question in QUESTIONS[1:]),
            (crowd.operation(QUESTIONS[0]), 310),
        )
    ]
    tables = Tables(samples, {OURS.name: "", PEER.name: ""}, cast("Stored", None))

    assert "[1.5 to 3.1](" in tables.readme()
    assert tables.readme().endswith(" | not measured | not measured | 6.0 to 12.4 |")
    assert tables.missed() == [
        "1,000: no filter: 3.10 times the list of 20, more than 3",
        "100,000: no filter, 1 client: p95 310 ms, more than 200",
        "100,000: no filter, 2 clients: p95 310 ms, more than 200",
    ]
