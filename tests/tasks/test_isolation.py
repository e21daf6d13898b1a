"""The role of the API: PostgreSQL refuses what an endpoint should not have asked for."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import ProgrammingError, connection, connections
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from psycopg import sql
from psycopg.errors import (
    CheckViolation,
    InsufficientPrivilege,
    NotNullViolation,
    UndefinedFunction,
)

from config.middleware import request_log
from tasks import isolation, statements
from tasks.models import Task
from tests.people import Person
from tests.server import database_url

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "api"])

OPERATIONS = {
    "list_tasks": "SELECT * FROM api.list_tasks(%s, NULL, 1000, 0)",
    "create_task": "SELECT * FROM api.create_task(%s, 'mine', NULL, false, 'low')",
    "read_task": "SELECT api.read_task(%s, {task})",
    "change_task": "SELECT api.change_task(%s, {task}, 'mine', NULL, false, NULL, NULL)",
    "trash_task": "SELECT api.trash_task(%s, {task})",
    "delete_task": "SELECT api.delete_task(%s, {task})",
}


def role() -> str:
    return isolation.role(connection.settings_dict["NAME"])


@pytest.fixture
def task() -> Task:
    return Task.objects.create(user_id="alice", title="hers")


@pytest.fixture
def api() -> Iterator[psycopg.Connection[Any]]:
    """A connection as the server's API has it."""
    password = settings.DATABASES["api"]["PASSWORD"]
    with psycopg.connect(
        database_url(), user=role(), password=password, autocommit=True
    ) as connection:
        yield connection


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM tasks_task",
        "SELECT count(*) FROM tasks_task",
        "UPDATE tasks_task SET title = 'mine'",
        "DELETE FROM tasks_task",
        "INSERT INTO tasks_task (user_id, title) VALUES ('bob', 'mine')",
        "TRUNCATE tasks_task",
        "COPY tasks_task TO STDOUT",
        "SELECT * FROM auth_user",
        "SELECT * FROM django_session",
        "SELECT * FROM django_migrations",
        "SELECT nextval('tasks_task_id_seq')",
        "CREATE TABLE mine (id int)",
        "CREATE FUNCTION api.mine() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "SET ROLE {owner}",
        "SET SESSION AUTHORIZATION {owner}",
        "ALTER FUNCTION api.read_task OWNER TO CURRENT_USER",
    ],
)
def test_a_statement_without_an_operation_is_refused(
    api: psycopg.Connection[Any], task: Task, statement: str
) -> None:
    owner = sql.Identifier(connection.settings_dict["USER"])
    with pytest.raises(InsufficientPrivilege):
        api.execute(sql.SQL(statement).format(owner=owner))

    assert list(Task.objects.values_list("user_id", "title")) == [("alice", "hers")]


@pytest.mark.parametrize("statement", OPERATIONS.values(), ids=OPERATIONS.keys())
@pytest.mark.parametrize(("user", "error"), [(None, NotNullViolation), ("", CheckViolation)])
def test_an_operation_without_a_user_is_an_error(
    api: psycopg.Connection[Any],
    task: Task,
    statement: str,
    user: str | None,
    error: type[psycopg.Error],
) -> None:
    with pytest.raises(error):
        api.execute(statement.format(task=task.pk), [user])

    assert list(Task.objects.values_list("user_id", "title")) == [("alice", "hers")]


@pytest.mark.parametrize("name", ["read_task", "change_task", "trash_task", "delete_task"])
def test_an_operation_of_another_user_finds_nothing(
    api: psycopg.Connection[Any], task: Task, name: str
) -> None:
    found = api.execute(OPERATIONS[name].format(task=task.pk), ["bob"]).fetchone()

    assert found == (None,)
    assert list(Task.objects.values_list("user_id", "title")) == [("alice", "hers")]


def test_there_is_no_operation_that_leaves_the_user_out(api: psycopg.Connection[Any]) -> None:
    with pytest.raises(UndefinedFunction):
        api.execute("SELECT api.read_task(1)")


def test_the_role_may_do_the_operations_and_nothing_else() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'api'::regnamespace AND prosecdef"
            " AND has_function_privilege(%s, oid, 'EXECUTE') ORDER BY proname",
            [role()],
        )
        assert [name for (name,) in cursor.fetchall()] == sorted(OPERATIONS)
        cursor.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'v', 'm') AND has_any_column_privilege(%s, oid, 'SELECT')",
            [role()],
        )
        assert cursor.fetchone() == (0,)
        cursor.execute(
            "SELECT rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolbypassrls,"
            " (SELECT count(*) FROM pg_auth_members WHERE member = pg_roles.oid)"
            " FROM pg_roles WHERE rolname = %s",
            [role()],
        )
        assert cursor.fetchone() == (False, False, False, False, False, 0)


def test_nobody_else_may_call_the_operations() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_proc, aclexplode(proacl) AS acl"
            " WHERE pronamespace = 'api'::regnamespace AND prosecdef AND acl.grantee = 0"
        )
        assert cursor.fetchone() == (0,)


def test_after_an_error_the_connection_carries_nothing_on(
    api: psycopg.Connection[Any], task: Task
) -> None:
    before = api.execute("SELECT current_user, session_user").fetchone()
    for statement in OPERATIONS.values():
        with pytest.raises(psycopg.Error):
            api.execute(statement.format(task=task.pk), [None])
    with pytest.raises(psycopg.Error):
        api.execute("SELECT api.create_task('bob', ' ', NULL, false, 'low')")

    assert api.execute("SELECT current_user, session_user").fetchone() == before
    assert before == (role(),) * 2


CARELESS: dict[str, Callable[[], object]] = {
    "all": lambda: list(Task.objects.all()),
    "by id": lambda: Task.objects.get(title="hers"),
    "update": lambda: Task.objects.update(title="mine"),
    "delete": lambda: Task.objects.all().delete(),
    "create": lambda: Task.objects.create(user_id="alice", title="mine"),
    "iterator": lambda: list(Task.objects.iterator()),
    "on the API's connection": lambda: list(Task.objects.using("api")),
    "cursor": lambda: connection.cursor().execute("SELECT * FROM tasks_task"),
    "cursor of the API": lambda: connections["api"].cursor().execute("SELECT * FROM tasks_task"),
    "users": lambda: list(User.objects.all()),
}


@pytest.mark.parametrize("careless", CARELESS.values(), ids=CARELESS.keys())
def test_an_endpoint_that_forgets_whose_tasks_it_means_gets_nothing(
    task: Task, careless: Callable[[], object]
) -> None:
    reached = []

    def endpoint(request: HttpRequest) -> HttpResponse:
        reached.append(careless())
        return HttpResponse()

    with pytest.raises(ProgrammingError, match="permission denied"):
        request_log(endpoint)(RequestFactory().get("/api/bob/tasks"))

    assert reached == []
    assert list(Task.objects.values_list("user_id", "title")) == [("alice", "hers")]


def test_an_endpoint_that_says_whose_gets_them(task: Task) -> None:
    found = Person("alice").get(f"/api/alice/tasks/{task.pk}")

    assert found.status_code == 200
    assert Person("bob").get(f"/api/bob/tasks/{task.pk}").status_code == 404


def test_the_role_has_its_settings_wherever_it_signs_in(api: psycopg.Connection[Any]) -> None:
    for name, value in isolation.SETTINGS.items():
        assert api.execute(f"SHOW {name}").fetchone() == (value,)


def test_a_connection_plans_an_operation_once(task: Task) -> None:
    for _ in range(6):
        statements.page("alice", complete=None, limit=20, offset=0)

    asked = b"SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1"
    assert connections["api"].call(asked, [statements.LIST]) == [b"6", b"0"]  # type: ignore[attr-defined] # of our backend


def test_to_grant_again_changes_nothing(api: psycopg.Connection[Any], task: Task) -> None:
    isolation.grant(using="default")
    isolation.grant(using="another")

    found = api.execute("SELECT api.read_task('alice', %s)", [task.pk]).fetchone()
    assert found is not None
    assert f'"id":{task.pk},' in found[0]
