"""Every server of the comparison gives the same answers, tried with one request of each kind."""

from collections.abc import Callable

import pytest

from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer
from tests.benchmarks.operations import OPERATIONS, people, plan, verify, verify_locks
from tests.benchmarks.servers import OURS, PEERS, Candidate, Server


@pytest.mark.parametrize("candidate", [OURS, *PEERS], ids=lambda candidate: candidate.name)
def test_every_server_gives_the_same_answers(
    candidate: Candidate,
    installed: Callable[[Candidate], Candidate],
    database: Database,
    issuer: Issuer,
) -> None:
    with Server(installed(candidate), database.url, issuer.environment) as server:
        for token in ("HS256", "EdDSA"):
            alice, bob = people(database, issuer, token, count=2)
            verify_locks(server.url, alice, bob)
            for operation in OPERATIONS:
                (request,) = plan(operation, [alice], 1, database)
                verify(server.url, operation, request)
                database.forget_new_tasks()
