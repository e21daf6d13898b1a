"""Three users, and a configuration that is the same on every machine."""

import os
import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings as configuration
from django.db import connection
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn

from config.database import derived_role
from config.server.connection import Connection, Row
from config.server.pool import ANSWER_TIMEOUT, Pool
from config.server.stats import stats
from tasks import operations, orphans
from tasks.operations.installation import install
from tasks.people import NoPeople, source
from tests import shards
from tests.better_auth.users import NO_USERS, BetterAuthUsers
from tests.contract import checked_answers
from tests.people import SECRET, Person, Sends
from tests.server import Server

hypothesis.settings.register_profile(
    "tasks",
    deadline=None,
    max_examples=100 if os.environ.get("CI") else 25,  # more than a person would wait for
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("tasks")


def pytest_xdist_auto_num_workers() -> int:
    """One more than cores, because many tests wait for a clock or a process."""
    return (os.cpu_count() or 1) + 1


SLOW = (
    "test_upgrade",
    "test_migrate",
    "test_restore",
    "test_versions",
    "wire",
    "benchmarks",
    "browser",
    "typed_clients",
    "better_auth",
    "deploy",
    "example",
    "upgrade",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts with the slow files, or one of them would run alone at the end."""
    items.sort(
        key=lambda item: not any(name in SLOW for name in (*item.path.parts, item.path.stem))
    )


@pytest.fixture(autouse=True)
def _shared_secret(settings: Any) -> None:
    """The tests have their own configuration, whatever is set on the machine."""
    settings.BETTER_AUTH_URL = ""
    settings.BETTER_AUTH_JWKS_URL = ""
    settings.BETTER_AUTH_JWKS = ""
    settings.BETTER_AUTH_ISSUER = ""
    settings.BETTER_AUTH_AUDIENCE = []
    settings.BETTER_AUTH_SECRET = SECRET
    settings.BETTER_AUTH_RESOURCE = ""


@pytest.fixture(autouse=True)
def _no_better_auth_users() -> None:
    """Nobody looks for Better Auth's table of users, except in tests that request `better_auth`."""
    source.remember(NoPeople(NO_USERS, is_expected=True), seconds=3600)
    orphans.forget()


@pytest.fixture
def better_auth(db: None) -> Iterator[BetterAuthUsers]:
    """The table of users, empty, as Better Auth's own migration makes it."""
    users = BetterAuthUsers()
    source.forget()
    yield users
    users.drop()


@pytest.fixture(scope="session", autouse=True)
def _answers_as_documented() -> Iterator[None]:
    with checked_answers():
        yield


class InTheTransaction:
    """Runs operations on the connection of the test, which is rolled back at its end."""

    def call(self, statement: bytes, values: Sequence[bytes]) -> Row:
        connection.ensure_connection()
        libpq = connection.connection.pgconn
        if connection.in_atomic_block and libpq.transaction_status == TransactionStatus.IDLE:
            connection.connection.execute("SELECT")  # begins the transaction
        stats.statements_sent += 1
        with connection.wrap_database_errors:
            return OnLibpq(libpq).call(statement, values, ANSWER_TIMEOUT)

    write = call

    def read(self, statement: bytes, values: Sequence[bytes], _bookmark: str) -> Row:
        return self.call(statement, values)


class OnLibpq(Connection):
    def __init__(self, libpq: PGconn) -> None:
        self._libpq = libpq
        self._socket = select.poll()
        self._socket.register(libpq.socket, select.POLLIN)


@pytest.fixture(autouse=True)
def _one_connection(request: pytest.FixtureRequest, _django_db_helper: None) -> Iterator[None]:
    """The API uses the test's connection, because others do not see its transaction.

    The API has its role only in tests of the server process, and in tests that request `api`.
    """
    if shards.are_used():
        with shards.through_the_proxy():
            yield
        return
    marker = request.node.get_closest_marker("django_db")
    if marker and "api" in marker.kwargs.get("databases", ()):
        pool = Pool("api", configuration.API_CONNECTIONS)
        operations.use(pool)
        yield
        pool.close()
    else:
        operations.use(InTheTransaction())
        yield


@pytest.fixture
def sends() -> Sends:
    @contextmanager
    def counted(expected: int) -> Iterator[None]:
        before = stats.statements_sent
        yield
        assert stats.statements_sent - before == expected

    return counted


@pytest.fixture
def put_back() -> Iterator[None]:
    """Restores the operations and their role after the test."""
    yield
    statements = (
        "DROP SCHEMA IF EXISTS another CASCADE",
        "DROP SCHEMA IF EXISTS tasks_api CASCADE",
        f"DROP ROLE IF EXISTS {derived_role(connection.settings_dict['NAME'])}",
    )
    with connection.cursor() as cursor:
        cursor.execute("ROLLBACK")
        for statement in statements:
            cursor.execute(statement)
    install(connection)


@pytest.fixture
def alice() -> Person:
    return Person("alice")


@pytest.fixture
def bob() -> Person:
    return Person("bob")


@pytest.fixture
def charlie() -> Person:
    """Another user, with a valid token but no tasks."""
    return Person("charlie")


@pytest.fixture
def serve(transactional_db: None, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers on the tests' database, each with these environment variables."""
    with ExitStack() as running:

        def start(**environment: str) -> Server:
            log = tmp_path / f"server-{time.monotonic_ns()}.log"
            return running.enter_context(Server(log, **environment))

        yield start
