"""Every error of every route has the same JSON form."""

from typing import Any

import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
)
from django.test import Client

from config.database import derived_role
from tasks import operations
from tasks.models import Task
from tests.commands import execute
from tests.people import Person, is_error

NOTHING_HERE = (
    "There is nothing at this address. "
    "Tasks are at /api/{user_id}/tasks and /api/{user_id}/tasks/{task_id}; see /docs."
)
CRASH = "Something went wrong here. It has been recorded."
UNREACHABLE = "The database cannot be reached at the moment. Nothing was done: please try again."


@pytest.mark.parametrize(
    "path", ["/", "/x", "/api", "/api/", "/api/alice", "/tasksx", "/healthy", "/static/none.js"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "TRACE", "NONSENSE"])
def test_an_unknown_route_is_404(path: str, method: str) -> None:
    response = Client().generic(method, path)

    assert is_error(response, 404, "NOT_FOUND", NOTHING_HERE)


@pytest.mark.parametrize(
    ("path", "allow", "methods"),
    [
        ("/api/alice/tasks", "GET, HEAD, POST", "GET, HEAD and POST"),
        ("/api/alice/tasks/7", "DELETE, GET, HEAD, PATCH, PUT", "DELETE, GET, HEAD, PATCH and PUT"),
        ("/health", "GET, HEAD", "GET and HEAD"),
    ],
)
@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "NONSENSE"])
def test_a_wrong_method_is_405_with_the_allowed_ones(
    path: str, allow: str, methods: str, method: str
) -> None:
    response = Client().generic(method, path)

    detail = f"This address does not support this method. It supports {methods}."
    assert is_error(response, 405, "METHOD_NOT_ALLOWED", detail)
    assert response["Allow"] == allow


def raising(error: Exception) -> Any:
    def statement(*_: Any, **__: Any) -> Any:
        raise error

    return statement


@pytest.mark.parametrize(
    ("error", "status", "error_code", "detail"),
    [
        (
            OperationalError("secret"),
            503,
            "DATABASE_ERROR",
            UNREACHABLE,
        ),
        (
            InterfaceError("secret"),
            503,
            "DATABASE_ERROR",
            UNREACHABLE,
        ),
        (
            IntegrityError("secret"),
            500,
            "DATABASE_ERROR",
            "The database could not carry this out.",
        ),
        (DatabaseError("secret"), 500, "DATABASE_ERROR", "The database could not carry this out."),
        (KeyError("secret"), 500, "INTERNAL_ERROR", CRASH),
        (RecursionError("secret"), 500, "INTERNAL_ERROR", CRASH),
    ],
)
def test_an_error_reveals_nothing_internal(  # noqa: PLR0917
    alice: Person,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    error_code: str,
    detail: str,
) -> None:
    monkeypatch.setattr(operations, "read", raising(error))
    response = alice.get(alice.task(7))

    assert is_error(response, status, error_code, detail)
    assert "secret" not in str(response.content)
    assert response.headers.get("Retry-After") == ("2" if status == 503 else None)


EARLIER_RELEASE = [
    "DROP SCHEMA tasks_api CASCADE",
    "ALTER FUNCTION tasks_api.create_task(text, jsonb) RENAME TO another",
    "REVOKE EXECUTE ON FUNCTION tasks_api.create_task(text, jsonb) FROM {role}",
    # The earlier release does not know a field of this one.
    """
    ALTER FUNCTION tasks_api.may_set(jsonb) RENAME TO another;
    CREATE FUNCTION tasks_api.may_set(given jsonb) RETURNS boolean LANGUAGE sql AS 'SELECT false'
    """,
]


@pytest.mark.parametrize("change", EARLIER_RELEASE)
@pytest.mark.django_db(transaction=True, databases=["default", "api"])
def test_a_database_that_is_not_migrated_yet_is_503(
    put_back: None, alice: Person, change: str
) -> None:
    execute(change.format(role=derived_role(connection.settings_dict["NAME"])))
    response = alice.post(alice.tasks, {"title": "Buy milk"})

    detail = "The database does not fit this release of the service yet. Please try again."
    assert is_error(response, 503, "DATABASE_ERROR", detail)
    assert response["Retry-After"] == "2"
    assert not Task.objects.exists()


@pytest.mark.parametrize("debug", [True, False])
def test_a_crash_outside_of_the_api_is_json_too(
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    debug: bool,  # noqa: FBT001
) -> None:
    settings.DEBUG = debug
    monkeypatch.setattr("ninja.Redoc.render_page", raising(KeyError("secret")))
    response = Client(raise_request_exception=False).get("/redoc")

    assert is_error(response, 500, "INTERNAL_ERROR", CRASH)


@pytest.mark.parametrize("path", ["/redoc", "/docs", "/openapi.json"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_a_page_of_the_docs_allows_only_get_and_head(path: str, method: str) -> None:
    response = Client(enforce_csrf_checks=True).generic(method, path)

    detail = "This address does not support this method. It supports GET and HEAD."
    assert is_error(response, 405, "METHOD_NOT_ALLOWED", detail)
    assert response["Allow"] == "GET, HEAD"


def test_a_post_to_an_unknown_route_is_404_without_a_csrf_token() -> None:
    response = Client(enforce_csrf_checks=True).post("/")

    assert is_error(response, 404, "NOT_FOUND", NOTHING_HERE)


def test_too_many_parameters_are_400(alice: Person) -> None:
    response = alice.get(f"{alice.tasks}?{'limit=1&' * 1001}")

    detail = "query: must have at most 1000 parameters"
    assert is_error(response, 400, "VALIDATION_ERROR", detail)
    assert response.json()["errors"] == [
        {
            "loc": ["query"],
            "msg": "must have at most 1000 parameters",
            "type": "too_many_parameters",
        }
    ]


@pytest.mark.parametrize("debug", [True, False])
def test_debug_changes_no_answer(settings: Any, debug: bool) -> None:  # noqa: FBT001
    settings.DEBUG = debug

    assert is_error(Client().get("/x"), 404, "NOT_FOUND", NOTHING_HERE)
    assert Client(headers={"Authorization": "Basic eA=="}).get("/api/a/tasks").status_code == 401


def test_errors_of_the_admin_are_pages() -> None:
    response = Client().get("/admin/nothing-here/", secure=True, follow=True)

    assert response["Content-Type"].startswith("text/html")
