"""Compares with an earlier release (here the newest commit) on another PostgreSQL."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from tests.benchmarks import comparison, machine, postgres, release, report
from tests.benchmarks.comparison import Scene, compare
from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer
from tests.benchmarks.operations import OPERATIONS
from tests.benchmarks.servers import OURS, Candidate, production
from tests.cluster import BINARIES

SCENE = Scene("EdDSA", connections=1, distance=0, requests=1)


@pytest.fixture
def database(issuer: Issuer) -> Iterator[Database]:
    """A separate cluster of version 16, whose programs come with the embedded one.

    Not in tmp_path, since the unprivileged user of the server may not enter pytest's folders.
    """
    with TemporaryDirectory() as folder, postgres.running("16", Path(folder)) as url:
        database = Database(url)
        database.migrate({**production(url), **issuer.environment})
        database.fill(tasks=2000, users=100)
        yield database


@pytest.fixture
def base(tmp_path: Path) -> Candidate:
    if not (shutil.which("git") and (postgres.ROOT / ".git").exists()):
        pytest.skip("This needs git, and the checkout that the files come from.")
    return release.exported("HEAD", tmp_path)


def test_an_earlier_release_is_compared_on_another_postgresql(
    base: Candidate, database: Database, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "WARM_UP", comparison.WARM_UP_CONNECTIONS)
    other = release.database_of(base, database, issuer)

    found = compare({OURS: database, base: other}, issuer, rounds=1, scenes=[SCENE])

    samples = [asdict(sample) for sample in found]
    assert [(sample["server"], sample["operation"]) for sample in samples] == [
        (server, operation.name) for server in ("ours", "base") for operation in OPERATIONS
    ]
    lines = report.changes(samples, {"ours": "this project", "base": base.title}).splitlines()
    assert [line.split("  ")[1] for line in lines[-len(OPERATIONS) :]] == [
        operation.name for operation in OPERATIONS
    ]
    for place, name in ((database, "postgres"), (other, "base")):
        with psycopg.connect(place.url) as connection:
            counted = connection.execute("SELECT current_database(), count(*) FROM tasks_task")
            assert counted.fetchone() == (name, 2000)
    facts = machine.facts(database)
    assert facts["postgresql"].startswith("16.")
    assert "data_checksums on" in facts["settings"]


@pytest.mark.parametrize("version", ["9", "latest"])
def test_an_unknown_version_is_reported_with_its_variable(version: str) -> None:
    with pytest.raises(SystemExit, match=rf"^PG={version}: .* Installed: .*16, 18\.$"):
        postgres.programs(version)


def test_the_versions_of_the_other_tests_are_found() -> None:
    there = {version: folder for version, folder in BINARIES.items() if folder.exists()}

    assert there.items() <= postgres.available().items()


def test_an_unknown_commit_is_reported_with_its_variable(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^BASE=nowhere: "):
        release.exported("nowhere", tmp_path)
