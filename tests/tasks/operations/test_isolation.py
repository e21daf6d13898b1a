"""The role of the API: PostgreSQL refuses what an endpoint must not do."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import ProgrammingError, connection, connections
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, NullValueNotAllowed, UndefinedFunction

from config.http.middleware import request_log
from tasks.models import Task
from tasks.operations.role import TIMEOUTS, Role
from tests.people import Person
from tests.server import database_url

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "api"])

STATEMENTS = {
    "list_tasks": 'SELECT * FROM tasks_api.list_tasks(%s, \'{{"limit": 1000, "offset": 0}}\')',
    "create_task": 'SELECT tasks_api.create_task(%s, \'{{"title": "mine"}}\')',
    "read_task": "SELECT tasks_api.read_task(%s, {task})",
    "change_task": 'SELECT tasks_api.change_task(%s, {task}, \'{{"title": "mine"}}\')',
    "replace_task": 'SELECT tasks_api.replace_task(%s, {task}, \'{{"title": "mine"}}\')',
    "trash_task": "SELECT tasks_api.trash_task(%s, {task})",
    "delete_task": "SELECT tasks_api.delete_task(%s, {task})",
    "delete_task_permanently": "SELECT tasks_api.delete_task_permanently(%s, {task})",
    "restore_task": 'SELECT tasks_api.restore_task(%s, {task}, \'{{"title": "mine"}}\')',
    "write_task_if": (
        "SELECT answer FROM tasks_api.write_task_if("
        "%s, {task}, 'delete_permanently', '{{}}', '{{}}')"
    ),
    "create_task_once": (
        "SELECT * FROM tasks_api.create_task_once(%s, '{{\"title\": \"mine\"}}', 'key', 'x')"
    ),
    "sync_tasks": "SELECT * FROM tasks_api.sync_tasks(%s, '{{\"limit\": 1000}}')",
}


def role() -> str:
    return Role(connection).name


@pytest.fixture
def task() -> Task:
    return Task.objects.create(user_id="alice", title="hers")


@pytest.fixture
def api() -> Iterator[psycopg.Connection[Any]]:
    """A connection as the API has it."""
    found = Role(connection)
    password = found.password or None
    with psycopg.connect(
        database_url(), user=found.name, password=password, autocommit=True
    ) as api:
        yield api


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
        "SELECT * FROM tasks_api.matching('alice', '{{}}')",
        "CREATE TABLE mine (id int)",
        "CREATE FUNCTION tasks_api.mine() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "SET ROLE {owner}",
        "SET SESSION AUTHORIZATION {owner}",
        "ALTER FUNCTION tasks_api.read_task OWNER TO CURRENT_USER",
    ],
)
def test_a_statement_without_an_operation_is_refused(
    api: psycopg.Connection[Any], task: Task, statement: str
) -> None:
    owner = sql.Identifier(connection.settings_dict["USER"])
    with pytest.raises(InsufficientPrivilege):
        api.execute(sql.SQL(statement).format(owner=owner))

    assert list(Task.objects.values_list("user_id", "title")) == [("alice", "hers")]


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS.keys())
@pytest.mark.parametrize("user", [None, ""])
def test_an_operation_without_a_user_is_an_error(
    api: psycopg.Connection[Any], task: Task, statement: str, user: str | None
) -> None:
    with pytest.raises(NullValueNotAllowed):
        api.execute(statement.format(task=task.pk), [user])

    assert list(Task.objects.values_list("user_id", "title")) == [("alice", "hers")]


@pytest.mark.parametrize("name", [name for name in STATEMENTS if "{task}" in STATEMENTS[name]])
def test_an_operation_of_another_user_finds_nothing(
    api: psycopg.Connection[Any], task: Task, name: str
) -> None:
    found = api.execute(STATEMENTS[name].format(task=task.pk), ["bob"]).fetchone()

    assert found == (None,)
    assert list(Task.objects.values_list("user_id", "title")) == [("alice", "hers")]


def test_there_is_no_operation_that_leaves_the_user_out(api: psycopg.Connection[Any]) -> None:
    with pytest.raises(UndefinedFunction):
        api.execute("SELECT tasks_api.read_task(1)")


def test_the_role_may_do_the_operations_and_nothing_else() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proname FROM pg_proc WHERE prosecdef"
            " AND pronamespace = 'tasks_api'::regnamespace"
            " AND has_function_privilege(%s, oid, 'EXECUTE') ORDER BY proname",
            [role()],
        )
        assert [name for (name,) in cursor.fetchall()] == sorted(STATEMENTS)
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
            " WHERE pronamespace = 'tasks_api'::regnamespace AND prosecdef AND acl.grantee = 0"
        )
        assert cursor.fetchone() == (0,)


def test_an_error_leaves_nothing_on_the_connection(
    api: psycopg.Connection[Any], task: Task
) -> None:
    before = api.execute("SELECT current_user, session_user").fetchone()
    for statement in STATEMENTS.values():
        with pytest.raises(psycopg.Error):
            api.execute(statement.format(task=task.pk), [None])
    with pytest.raises(psycopg.Error):
        api.execute("""SELECT tasks_api.create_task('bob', '{"title": " "}')""")

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
def test_an_endpoint_that_forgets_the_owner_gets_nothing(
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


def test_an_endpoint_that_names_the_owner_gets_the_tasks(task: Task) -> None:
    found = Person("alice").get(f"/api/alice/tasks/{task.pk}")

    assert found.status_code == 200
    assert Person("bob").get(f"/api/bob/tasks/{task.pk}").status_code == 404


def test_the_role_has_its_timeouts_wherever_it_signs_in(api: psycopg.Connection[Any]) -> None:
    for name, value in TIMEOUTS.items():
        assert api.execute(f"SHOW {name}").fetchone() == (value,)


def test_without_isolation_an_endpoint_still_cannot_bypass_the_operations(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if API_DATABASE_URL named the owner, to whom PostgreSQL refuses nothing."""
    settings = connections["api"].settings_dict
    monkeypatch.setitem(settings, "ROLE_IS_DERIVED", value=False)
    monkeypatch.setitem(settings, "PASSWORD", connection.settings_dict["PASSWORD"])
    connections["api"].close()
    try:
        for careless in CARELESS.values():
            with pytest.raises(ProgrammingError, match="may only call an operation"):
                request_log(lambda _, do=careless: HttpResponse(str(do())))(  # type: ignore[misc]
                    RequestFactory().get("/api/bob/tasks")
                )
        assert Person("alice").get(f"/api/alice/tasks/{task.pk}").status_code == 200
    finally:
        connections["api"].close()
