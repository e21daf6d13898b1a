"""Tests the harness with as few requests as possible."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from itertools import chain, repeat
from pathlib import Path

import psycopg
import pytest

from tests.benchmarks import scale
from tests.benchmarks.comparison import Bench, Scene, compare
from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer
from tests.benchmarks.load import WRK, Request
from tests.benchmarks.operations import (
    CHANGE,
    LIST,
    OPERATIONS,
    Operation,
    WrongAnswer,
    paged_list,
    people,
    plan,
    verify,
)
from tests.benchmarks.servers import HERE, OURS, PEERS, Candidate, Server, cpu_seconds

SCENE = Scene("EdDSA", connections=1, distance=50, requests=1)


def test_a_comparison_has_every_figure_of_every_operation_and_leaves_the_table_as_it_was(
    database: Database, issuer: Issuer
) -> None:
    samples = list(compare({OURS: database}, issuer, rounds=1, scenes=[SCENE]))

    assert [sample.operation for sample in samples] == [each.name for each in OPERATIONS]
    for sample in samples:
        figures = asdict(sample)
        assert figures["requests"] == 1
        assert figures["round_trips"] >= 1
        assert figures["p50"] >= SCENE.distance
        assert min(figures["server_cpu"], figures["memory"]) > 0
    # Of a single request: a database process that ends during the run takes up to 10 ms with it.
    assert any(sample.database_cpu > 0 for sample in samples)
    with psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT count(*), max(id) FROM tasks_task").fetchone() == (
            2000,
            2000,
        )


def test_growth_is_measured_by_operation_and_by_page(database: Database, issuer: Issuer) -> None:
    pages = [paged_list(length, 20) for length in (1, 20)]

    found = list(scale.growth(database, issuer, [LIST, CHANGE, *pages], requests=1, rounds=1))

    assert [(growth.operation, growth.tasks) for growth in found] == [
        ("list of 20", 2000),
        ("change", 2000),
        ("page of 1", 2000),
        ("page of 20", 2000),
    ]


def test_a_server_that_answers_otherwise_is_not_measured(
    database: Database, issuer: Issuer
) -> None:
    (alice,) = people(database, issuer, "HS256", count=1)
    database.add([alice.user_id])
    with Server(OURS, database.url, issuer.environment) as server:
        (request,) = plan(LIST, [alice], 1, database)
        with pytest.raises(WrongAnswer):
            verify(server.url, LIST, request)


def test_a_run_with_a_wrong_answer_does_not_count(database: Database, issuer: Issuer) -> None:
    crowd = people(database, issuer, "HS256", count=2)
    tasks = chain(crowd[0].tasks[:10], repeat(database.tasks + 1))
    missing = Operation(
        "read", 200, lambda *_: Request("GET", f"{crowd[0].path}/{next(tasks)}", crowd[0].token)
    )

    with (
        Server(OURS, database.url, issuer.environment) as server,
        pytest.raises(WrongAnswer, match=f"read: of {10 if WRK else 9} answers 1 are not"),
    ):
        Bench(server, database).run(missing, crowd, connections=2, count=10)


def test_cpu_of_descendants_that_ended_counts() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    wait = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]);"
        "print('ended', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", wait], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "ended\n"
        used = cpu_seconds(parent.pid)
        parent.communicate("\n")

    assert 0.3 <= used < 3


def test_the_picture_is_drawn_from_the_raw_results(
    installed: Callable[[Candidate], Candidate], tmp_path: Path
) -> None:
    floor = installed(PEERS[0])
    samples = [
        {
            "turn": 1,
            "server": server,
            "operation": operation.name,
            "token": "EdDSA",
            "connections": 32,
            "distance": 0,
            "server_cpu": cpu,
            "database_cpu": 10,
        }
        for server, cpu in (("ours", 300), ("floor", 200))
        for operation in OPERATIONS
    ]
    raw, picture = tmp_path / "raw.json", tmp_path / "picture.svg"
    facts = {"machine": "a machine", "python": "3.11", "date": "today"}
    titles = {"ours": "this project", "floor": floor.title}
    raw.write_text(json.dumps({"facts": facts, "titles": titles, "samples": samples}))

    subprocess.run([floor.program, HERE / "picture.py", raw, picture], check=True)

    assert picture.read_text().startswith("<?xml")
