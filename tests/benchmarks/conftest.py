"""A small benchmark setup on the database of the tests."""

import os
from collections.abc import Callable, Iterator

import pytest

from tests import contract
from tests.benchmarks import installation
from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer
from tests.benchmarks.issuer import issuer as run_issuer
from tests.benchmarks.servers import NEWER_PYTHON, OURS, Candidate
from tests.server import database_url


@pytest.fixture
def database(transactional_db: None) -> Database:
    database = Database(database_url())
    database.fill(tasks=2000, users=100)
    return database


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with run_issuer() as running:
        yield running


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Candidate], Candidate]:
    """Returns the candidate if it is installed. Skips the test otherwise, but fails in CI."""

    def check(candidate: Candidate) -> Candidate:
        if candidate != OURS:
            # The OpenAPI document describes our answers only.
            monkeypatch.setattr(contract, "check_wire", lambda *_: None)
        if not candidate.is_installed:
            missing = installation.absent(candidate)
            state = f"needs {missing}" if missing else "is not installed here: make bench does it"
            if os.environ.get("CI") == "true" and not (
                missing and candidate.program == NEWER_PYTHON
            ):
                pytest.fail(f"{candidate.title} {state}.")
            pytest.skip(f"{candidate.title} {state}.")
        return candidate

    return check
