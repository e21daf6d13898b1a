"""Liveness and readiness."""

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from config.database import derived_role
from config.http import health
from tasks import operations
from tasks.operations.installation import MARK, REVISION
from tests.commands import execute
from tests.people import Sends


@pytest.fixture(autouse=True)
def _not_migrated_yet() -> None:
    health._is_migrated.cache_clear()  # noqa: SLF001


def test_health_needs_neither_keys_nor_a_database(settings: Any) -> None:
    settings.BETTER_AUTH_URL = "http://127.0.0.1:9"
    response = Client().get("/health")

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response.json() == {"status": "ok"}


@pytest.mark.django_db
def test_it_is_ready_when_everything_works() -> None:
    response = Client().get("/health/ready")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_migrations_are_checked_only_once(sends: Sends) -> None:
    Client().get("/health/ready")

    with sends(1):
        Client().get("/health/ready")


def not_ready(detail: str, error_code: str) -> bool:
    response = Client().get("/health/ready")
    assert response.status_code == 503
    assert response["Retry-After"] == "2"
    assert response.json()["detail"] == detail
    assert response.json()["error_code"] == error_code
    return True


@pytest.mark.django_db
def test_without_keys_it_is_not_ready(settings: Any) -> None:
    settings.BETTER_AUTH_URL = "http://127.0.0.1:9"

    assert not_ready("Not ready: verification keys.", "AUTH_UNAVAILABLE")


@pytest.mark.django_db
def test_without_a_migration_it_is_not_ready() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'tasks'")

    assert not_ready("Not ready: migrations.", "DATABASE_ERROR")


def test_without_a_database_it_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_: object) -> None:
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", unavailable)
        patch.setattr(operations, "read", unavailable)

        assert not_ready("Not ready: database.", "DATABASE_ERROR")


@pytest.mark.parametrize(
    "change",
    [
        "REVOKE EXECUTE ON FUNCTION {read} FROM {role}",
        "ALTER FUNCTION {read} RENAME TO another",
        "REVOKE USAGE ON SCHEMA tasks_api FROM {role}",
        "ALTER SCHEMA tasks_api RENAME TO another",
    ],
)
@pytest.mark.django_db(transaction=True, databases=["default", "api"])
def test_without_an_operation_it_is_not_ready(change: str, put_back: None) -> None:
    health._is_migrated()  # noqa: SLF001  as if the server was ready before
    read = "tasks_api.read_task(text, bigint)"
    execute(change.format(read=read, role=derived_role(connection.settings_dict["NAME"])))

    assert not_ready("Not ready: database.", "DATABASE_ERROR")


OTHER = "COMMENT ON SCHEMA tasks_api IS '{}{}, digest 0123456789abcdef'"


@pytest.mark.django_db
def test_with_the_operations_of_an_earlier_release_it_is_not_ready() -> None:
    execute(OTHER.format(MARK, REVISION - 1))

    assert not_ready("Not ready: migrations.", "DATABASE_ERROR")


@pytest.mark.django_db
def test_with_the_operations_of_a_later_release_it_is_ready() -> None:
    execute(OTHER.format(MARK, REVISION + 1))

    assert Client().get("/health/ready").status_code == 200


@pytest.mark.django_db
def test_a_rollback_leaves_running_servers_ready() -> None:
    assert Client().get("/health/ready").status_code == 200

    execute(OTHER.format(MARK, REVISION - 1))

    assert Client().get("/health/ready").status_code == 200
