"""Three people, and a configuration that is the same on every machine."""

import os
import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configuration
from django.db import connection
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn

from config.database import derived_role
from config.server.account import account
from config.server.connection import Connection, Row
from config.server.pool import ANSWER_TIMEOUT, Pool
from tasks import operations
from tasks.operations.installation import install
from tests.contract import checked_answers
from tests.people import SECRET, Person, Sends
from tests.server import Server


def pytest_xdist_auto_num_workers() -> int:
    """Many tests wait for a clock or a process, so one worker more than cores pays."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True)
def _shared_secret(settings: Any) -> None:
    """The tests bring their own configuration, whatever the machine has."""
    settings.BETTER_AUTH_URL = ""
    settings.BETTER_AUTH_JWKS_URL = ""
    settings.BETTER_AUTH_JWKS = ""
    settings.BETTER_AUTH_ISSUER = ""
    settings.BETTER_AUTH_AUDIENCE = []
    settings.BETTER_AUTH_SECRET = SECRET


@pytest.fixture(scope="session", autouse=True)
def _answers_as_documented() -> Iterator[None]:
    with checked_answers():
        yield


class InTheTransaction:
    """The operations on the connection of a test, which rolls back what it did."""

    def call(self, statement: bytes, values: Sequence[bytes]) -> Row:
        connection.ensure_connection()
        libpq = connection.connection.pgconn
        if connection.in_atomic_block and libpq.transaction_status == TransactionStatus.IDLE:
            connection.connection.execute("SELECT")  # begins the transaction
        account.sent += 1
        with connection.wrap_database_errors:
            return OnLibpq(libpq).call(statement, values, ANSWER_TIMEOUT)


class OnLibpq(Connection):
    def __init__(self, libpq: PGconn) -> None:
        self._libpq = libpq
        self._socket = select.poll()
        self._socket.register(libpq.socket, select.POLLIN)


@pytest.fixture(autouse=True)
def _one_connection(request: pytest.FixtureRequest, _django_db_helper: None) -> Iterator[None]:
    """A test rolls back what it did, so no other connection sees it: the API runs on this one.

    As its own role it runs in tests of the server process, and where a test asks for `api`.
    """
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
        before = account.sent
        yield
        assert account.sent - before == expected

    return counted


@pytest.fixture
def put_back() -> Iterator[None]:
    """The operations and their role, whatever a test did to them."""
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
    """The stranger: a good token, and no task."""
    return Person("charlie")


@pytest.fixture
def serve(transactional_db: None, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers on the tests' database, each with the environment variables given."""
    with ExitStack() as running:

        def start(**environment: str) -> Server:
            log = tmp_path / f"server-{time.monotonic_ns()}.log"
            return running.enter_context(Server(log, **environment))

        yield start
