"""What PostgreSQL does for the operations and the queryset words once the table is large."""

import re

import pytest
from django.db import connection

from tasks.models import Task, TaskQuerySet

pytestmark = pytest.mark.django_db

FILL = """
    INSERT INTO tasks_task (user_id, title, created_at, deleted_at)
    SELECT 'user' || n % 500, 'Task ' || n, now() - n * interval '1 minute',
           CASE WHEN n % 11 = 0 THEN now() END
    FROM generate_series(1, 20000) AS n
"""
BODY = """
    SELECT proargnames[:pronargs], proargtypes::regtype[]::text[], pg_get_function_sqlbody(oid)
    FROM pg_proc WHERE pronamespace = 'api'::regnamespace AND proname = %s AND prosecdef
"""
GIVEN = {
    "list_tasks": "'user7', NULL, 20, 40",
    "read_task": "'user7', 7",
    "change_task": "'user7', 7, 'Buy milk', NULL, false, NULL, NULL",
    "trash_task": "'user7', 7",
    "delete_task": "'user7', 7",
}


@pytest.fixture(autouse=True)
def _many_tasks() -> None:
    with connection.cursor() as cursor:
        cursor.execute(FILL)
        cursor.execute("ANALYZE tasks_task")


def plan_of(operation: str) -> str:
    """The plan of the statement in the function: one for all users, as a connection keeps it."""
    with connection.cursor() as cursor:
        cursor.execute(BODY, [operation])
        names, types, body = cursor.fetchone()
        statement = re.fullmatch(r"BEGIN ATOMIC(.*);\s*END", body, re.DOTALL)[1]  # type: ignore[index] # there is one
        for number, name in enumerate(names, start=1):
            statement = re.sub(rf"\b{operation}\.{name}\b", f"${number}", statement)
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE operation ({', '.join(types)}) AS {statement}")
        cursor.execute(f"EXPLAIN EXECUTE operation({GIVEN[operation]})")
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("DEALLOCATE operation")
    return plan


def indexes_of(plan: str) -> set[str]:
    return set(re.findall(r"(?:using|Index Scan on) (task\w+)", plan))


@pytest.mark.parametrize(
    ("operation", "index"),
    [
        ("list_tasks", "task_alive"),
        ("read_task", "tasks_task_pkey"),
        ("change_task", "tasks_task_pkey"),
        ("trash_task", "tasks_task_pkey"),
        ("delete_task", "tasks_task_pkey"),
    ],
)
def test_an_operation_reads_one_index(operation: str, index: str) -> None:
    plan = plan_of(operation)

    assert indexes_of(plan) == {index}
    assert "Seq Scan" not in plan


def test_a_page_is_read_off_the_index_without_a_sort() -> None:
    plan = plan_of("list_tasks")

    assert "Index Scan using task_alive" in plan
    assert "Sort" not in plan


def test_what_is_not_filtered_is_counted_by_the_index_alone() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_bitmapscan = off")  # the choice until a first vacuum

    assert "Index Only Scan using task_alive" in plan_of("list_tasks")


HERS = Task.objects.owned_by("user7")
WORDS = {
    "all of a user": (HERS.anywhere(), {"task_alive", "task_trash"}),
    "alive of a user": (HERS.alive(), {"task_alive"}),
    "trash of a user": (HERS.trashed(), {"task_trash"}),
}


@pytest.mark.parametrize(("queryset", "indexes"), WORDS.values(), ids=WORDS.keys())
def test_the_tasks_of_a_user_are_found_by_index(queryset: TaskQuerySet, indexes: set[str]) -> None:
    plan = queryset.all().explain()

    assert indexes_of(plan) == indexes
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    "queryset",
    [
        HERS.alive().order_by("-created_at")[:10],
        HERS.trashed().order_by("deleted_at")[:10],
        Task.objects.trashed().order_by("deleted_at")[:10],
    ],
    ids=["alive of a user", "trash of a user", "trash of all"],
)
def test_a_batch_is_read_off_an_index_without_a_sort(queryset: TaskQuerySet) -> None:
    plan = queryset.all().explain()

    assert "Index Scan" in plan
    assert "Sort" not in plan
