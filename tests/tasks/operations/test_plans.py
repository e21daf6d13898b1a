"""How PostgreSQL executes the operations and the querysets on a large table."""

import re

import pytest
from django.db import connection

from tasks.models import Task, TaskQuerySet
from tests.commands import execute

pytestmark = pytest.mark.django_db

FILL = """
    INSERT INTO tasks_task (user_id, title, created_at, deleted_at)
    SELECT 'user' || n % 500, 'Task ' || n, now() - n * interval '1 minute',
           CASE WHEN n % 11 = 0 THEN now() END
    FROM generate_series(1, 20000) AS n
"""
SCANS = """
    SELECT relname, pg_stat_get_xact_numscans(oid), pg_stat_get_xact_tuples_fetched(oid)
    FROM pg_class WHERE oid = 'tasks_task'::regclass
        OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'tasks_task'::regclass)
"""
"""How often this transaction has scanned a table or an index, and how many rows it fetched."""

# The call, the index that it reads, and how many rows: user7 has 40 tasks, of which 36 are alive.
READS = {
    "a page": ("list_tasks('user7', '{\"limit\": 5, \"offset\": 10}')", "task_alive", 16 + 36),
    "the last page": ("list_tasks('user7', '{\"limit\": 50, \"offset\": 0}')", "task_alive", 36),
    "a page of open tasks": (
        'list_tasks(\'user7\', \'{"limit": 5, "offset": 0, "complete": false}\')',
        "task_alive",
        6 + 36,
    ),
    "a task": ("read_task('user7', {task})", "tasks_task_pkey", 1),
    "a change": ("change_task('user7', {task}, '{\"title\": \"x\"}')", "tasks_task_pkey", 1),
    "a replacement": ("replace_task('user7', {task}, '{\"title\": \"x\"}')", "tasks_task_pkey", 1),
    "to the trash": ("trash_task('user7', {task})", "tasks_task_pkey", 1),
    "permanently": ("delete_task('user7', {task})", "tasks_task_pkey", 1),
}


@pytest.fixture(autouse=True)
def _many_tasks() -> None:
    execute(FILL)
    execute("ANALYZE tasks_task")


def scans() -> dict[str, tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(SCANS)
        return {name: tuple(numbers) for name, *numbers in cursor.fetchall()}


def read_by(call: str) -> dict[str, tuple[int, int]]:
    """Scans and fetched rows of a call, for the table and each index."""
    before = scans()
    execute(f"SELECT * FROM tasks_api.{call}")
    after = scans()
    differences = {
        name: tuple(now - then for now, then in zip(after[name], before[name], strict=True))
        for name in after
    }
    return {name: found for name, found in differences.items() if any(found)}  # type: ignore[misc]


@pytest.mark.parametrize(("call", "index", "rows"), READS.values(), ids=READS.keys())
def test_an_operation_reads_one_index_and_no_more_of_it_than_it_needs(
    call: str, index: str, rows: int
) -> None:
    """So a page is read from the index without a sort, and no table is scanned."""
    task = Task.objects.owned_by("user7").alive()[0].pk
    found = read_by(call.replace("{task}", str(task)))

    assert sum(fetched for _, fetched in found.values()) == rows
    assert set(found) - {"tasks_task"} == {index}
    assert found.get("tasks_task", (0,))[0] == 0  # no sequential scan


def test_a_count_without_a_filter_is_an_index_only_scan() -> None:
    execute("SET LOCAL enable_bitmapscan = off")  # PostgreSQL prefers it before the first vacuum

    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN SELECT count(*) FROM tasks_api.matching('user7', '{}')")
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "Index Only Scan using task_alive" in plan


def indexes_of(plan: str) -> set[str]:
    return set(re.findall(r"(?:using|Index Scan on) (\w+)", plan))


HERS = Task.objects.owned_by("user7")
WORDS = {
    "all of a user": (HERS.anywhere(), {"task_alive", "task_trash_of_user"}),
    "alive of a user": (HERS.alive(), {"task_alive"}),
    "trash of a user": (HERS.trashed(), {"task_trash", "task_trash_of_user"}),
}


@pytest.mark.parametrize(("queryset", "indexes"), WORDS.values(), ids=WORDS.keys())
def test_the_tasks_of_a_user_are_found_by_index(queryset: TaskQuerySet, indexes: set[str]) -> None:
    plan = queryset.all().explain()

    assert set() < indexes_of(plan) <= indexes
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
def test_a_batch_is_read_from_an_index_without_a_sort(queryset: TaskQuerySet) -> None:
    execute("SET LOCAL enable_sort = off")  # which is cheaper for the few tasks here
    plan = queryset.all().explain()

    assert "Index Scan" in plan
    assert "Sort" not in plan
