"""The functions without the API in front: they check what the schemas check."""

import json
from typing import Any

import pytest
from django.db import Error, connection, transaction

from tasks.models import Task
from tasks.operations.installation import DIGEST, OPERATIONS, REVISION
from tests.commands import execute
from tests.people import Person

pytestmark = pytest.mark.django_db

DIGESTS = {
    1: "afa6be07901f0964",
    2: "17e81ad36ff8266d",
    3: "e79ea795446eb79f",
    4: "12f7a6f8e09e41fa",
    5: "67f8fe7c5a37ce4f",
}
"""By revision. Whoever changes the SQL adds the next one."""

ALL = '{"limit": 10, "offset": 0}'


@pytest.fixture
def task() -> Task:
    return Task.objects.create(user_id="alice", title="Buy milk", description="2 l")


def call(operation: str, *given: Any) -> Any:
    places = ", ".join(["%s"] * len(given))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM tasks_api.{operation}({places})", given)
        (row,) = cursor.fetchall()
    return row


def test_every_operation_answers(task: Task) -> None:
    """PL/pgSQL checks a statement only when it first runs."""
    fields = '{"title": "Buy bread"}'
    answers = {
        "create_task": call("create_task", "alice", fields),
        "list_tasks": call("list_tasks", "alice", ALL),
        "read_task": call("read_task", "alice", task.pk),
        "change_task": call("change_task", "alice", task.pk, fields),
        "replace_task": call("replace_task", "alice", task.pk, fields),
        "trash_task": call("trash_task", "alice", task.pk),
        "delete_task": call(
            "delete_task", "alice", json.loads(call("create_task", "alice", fields)[0])["id"]
        ),
        "restore_task": call("restore_task", "alice", task.pk, fields),
        "write_task_if": call("write_task_if", "alice", task.pk, "replace", fields, "{}"),
        "create_task_once": call("create_task_once", "alice", fields, "key", "fingerprint"),
        "sync_tasks": call("sync_tasks", "alice", '{"limit": 10}'),
        "delete_task_permanently": call("delete_task_permanently", "alice", task.pk),
    }

    assert all(answer[0] is not None for answer in answers.values())
    assert {f"tasks_api.{name}" for name in answers} == {
        each.partition("(")[0] for each in OPERATIONS
    }


GOOD = {"title": "Buy bread"}
BAD: dict[str, Any] = {
    "an unknown field": {**GOOD, "colour": "red"},
    "the owner": {**GOOD, "user_id": "bob"},
    "the id": {**GOOD, "id": 7},
    "a time": {**GOOD, "updated_at": "2026-01-31T12:00:00Z"},
    "the trash": {**GOOD, "deleted_at": None},
    "a number as title": {"title": 5},
    "null as title": {"title": None},
    "a list as title": {"title": ["x"]},
    "a number as description": {**GOOD, "description": 5},
    "an object as description": {**GOOD, "description": {}},
    "text as complete": {**GOOD, "complete": "true"},
    "a number as complete": {**GOOD, "complete": 1},
    "null as complete": {**GOOD, "complete": None},
    "a number as priority": {**GOOD, "priority": 1},
    "null as priority": {**GOOD, "priority": None},
    "an unknown priority": {**GOOD, "priority": "urgent"},
    "a blank title": {"title": " "},
    "a long title": {"title": "x" * 201},
    "a long description": {**GOOD, "description": "x" * 1001},
    "no due date": {**GOOD, "due_date": "tomorrow"},
    "a number as due date": {**GOOD, "due_date": 20260131},
    "a due date without end": {**GOOD, "due_date": "infinity"},
    "a list as due date": {**GOOD, "due_date": ["2026-01-31"]},
    "text as tags": {**GOOD, "tags": "home"},
    "null as tags": {**GOOD, "tags": None},
    "an object as tags": {**GOOD, "tags": {"home": True}},
    "a number as tag": {**GOOD, "tags": ["home", 5]},
    "null as tag": {**GOOD, "tags": [None]},
    "a list as tag": {**GOOD, "tags": [["home"]]},
    "a blank tag": {**GOOD, "tags": [" "]},
    "folded texts": {**GOOD, "folded": ["x", "y"]},
    "text": "title",
    "a list": ["title"],
    "a number": 5,
    "null": None,
}


@pytest.mark.parametrize("operation", ["create_task", "change_task", "replace_task"])
@pytest.mark.parametrize("given", BAD.values(), ids=BAD.keys())
def test_invalid_fields_are_refused(operation: str, given: Any, task: Task) -> None:
    before = list(Task.objects.values())
    arguments = ("alice",) if operation == "create_task" else ("alice", task.pk)

    with pytest.raises(Error), transaction.atomic():
        call(operation, *arguments, json.dumps(given))

    assert list(Task.objects.values()) == before


@pytest.mark.parametrize("operation", ["create_task", "change_task", "replace_task"])
def test_null_instead_of_fields_is_refused(operation: str, task: Task) -> None:
    arguments = ("alice",) if operation == "create_task" else ("alice", task.pk)

    with pytest.raises(Error), transaction.atomic():
        call(operation, *arguments, None)


@pytest.mark.parametrize(
    "query",
    [
        None,
        "{}",
        '{"limit": 10}',
        '{"offset": 0}',
        '{"limit": "10", "offset": 0}',
        '{"limit": null, "offset": 0}',
        '{"limit": 10, "offset": -1}',
        '{"limit": -2, "offset": 0}',
        '{"limit": 10, "offset": 0, "complete": "true"}',
        '{"limit": 10, "offset": 0, "complete": 1}',
        '{"limit": 10, "offset": 0, "complete": null}',
        '{"limit": 10, "offset": 0, "status": "open"}',
        '{"limit": 10, "offset": 0, "priority": "high"}',
        '{"limit": 10, "offset": 0, "tag": "home"}',
        '{"limit": 10, "offset": 0, "q": "milk"}',
        '{"limit": 10, "offset": 0, "due_before": "tomorrows"}',
        '{"limit": 10, "offset": 0, "sort": "title"}',
        '{"limit": 10, "offset": 0, "sort": []}',
        '{"limit": 10, "offset": 0, "sort": ["title; DROP TABLE tasks_task"]}',
        '{"limit": 10, "offset": 0, "sort": ["deleted_at"]}',
        '{"limit": 10, "offset": 0, "sort": ["title", "priority", "due_date", "created_at"]}',
        '{"limit": 10, "offset": 0, "sort": ["-created_at"], "after": ["x", "y"]}',
        "[]",
        "5",
    ],
)
def test_an_invalid_query_is_refused(query: str | None) -> None:
    with pytest.raises(Error), transaction.atomic():
        call("list_tasks", "alice", query)


def test_a_missing_field_keeps_its_value_or_returns_to_its_default(task: Task) -> None:
    changed = json.loads(call("change_task", "alice", task.pk, '{"priority": "high"}')[0])
    emptied = json.loads(call("change_task", "alice", task.pk, '{"description": null}')[0])
    replaced = json.loads(call("replace_task", "alice", task.pk, '{"title": "x"}')[0])

    assert (changed["description"], changed["priority"]) == ("2 l", "high")
    assert (emptied["description"], emptied["priority"]) == (None, "high")
    assert (replaced["title"], replaced["priority"]) == ("x", "medium")


SHADOWS = """
    CREATE SCHEMA shadows;
    CREATE TABLE shadows.tasks_task AS SELECT * FROM public.tasks_task;
    {}
"""
SHADOW = """
    CREATE FUNCTION {schema}.equal(varchar, text) RETURNS boolean LANGUAGE sql
    AS 'SELECT true';
    CREATE OPERATOR {schema}.= (FUNCTION = {schema}.equal, LEFTARG = varchar, RIGHTARG = text);
    CREATE FUNCTION {schema}.nullif(text, text) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
    CREATE FUNCTION {schema}.statement_timestamp() RETURNS timestamptz LANGUAGE sql
    AS 'SELECT ''epoch''::timestamptz';
    CREATE FUNCTION {schema}.to_json(varchar) RETURNS json LANGUAGE sql
    AS 'SELECT ''"stolen"''::json';
"""


@pytest.mark.parametrize("path", ["public, pg_catalog", "shadows, public, pg_catalog", "''"])
def test_names_mean_the_same_whatever_other_schemas_contain(path: str, task: Task) -> None:
    """An operation runs with the rights of the owner, so nobody else may redefine its `=`."""
    before = [call("read_task", user, task.pk)[0] for user in ("alice", "bob")]
    both = "".join(SHADOW.format(schema=schema) for schema in ("public", "shadows"))
    execute(SHADOWS.format(both))
    execute(f"SET LOCAL search_path = {path}")
    execute("DISCARD PLANS")

    assert [call("read_task", user, task.pk)[0] for user in ("alice", "bob")] == before
    assert before[1] is None
    assert call("trash_task", "bob", task.pk) == (None,)
    made = json.loads(call("create_task", "bob", '{"title": "x", "complete": true}')[0])
    changed = json.loads(call("change_task", "bob", made["id"], '{"title": "y"}')[0])
    assert made["title"] == "x"
    assert made["created_at"] == made["completed_at"] > before[0][-29:]
    assert changed["updated_at"] > made["updated_at"]


EARLIER_LIST = """
    CREATE OR REPLACE FUNCTION tasks_api.list_tasks(
        owner text, query jsonb, OUT tasks text, OUT beside jsonb
    ) LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
    BEGIN
        IF query - '{limit,offset,complete}'::text[] <> '{}' THEN
            RAISE invalid_parameter_value;
        END IF;
        tasks := '[]';
        beside := '{"count": 0}';
    END
    $$
"""
"""As revision 2 has it: it knows no other parameters, and returns no place to continue."""


def test_plain_lists_go_on_while_the_release_before_is_rolled_back(alice: Person) -> None:
    execute(EARLIER_LIST)

    for query in ("", "?limit=5", "?complete=false&offset=3"):
        answer = alice.get(alice.tasks + query)
        assert answer.json() == {"tasks": [], "count": 0, "next_cursor": None}
    assert alice.get(f"{alice.tasks}?q=milk").status_code == 503


def test_a_change_of_the_sql_raises_the_revision() -> None:
    assert DIGESTS[REVISION] == DIGEST
    assert max(DIGESTS) == REVISION
