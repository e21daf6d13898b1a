"""Migrations of a database that is in use, half migrated, or from the release before."""

import os
import re
from collections.abc import Iterator
from io import StringIO
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from pytest_django import DjangoDbBlocker

from config.database import derived_role
from tests.cluster import manage
from tests.server import database_url

MIGRATIONS = sorted(
    name for app, name in MigrationLoader(None).disk_migrations if app == "tasks"
)  # fmt: skip
INDEXES = """
    SELECT relname, pg_get_indexdef(oid), indisvalid
    FROM pg_index JOIN pg_class ON oid = indexrelid
    WHERE relname LIKE 'task%' ORDER BY relname
"""
NAMES = "SELECT name FROM django_migrations WHERE app = 'tasks' ORDER BY name"

OLD_NAMES = ("0001_initial", "0002_trash", "0004_search", "0005_history", "0006_groups")
OPERATIONS_OF_THE_OLD_RELEASE = "0007_operations"


class Database:
    """An empty database on the server of the tests."""

    def __init__(self, url: str) -> None:
        self.url = url

    def execute(self, sql: str) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as own:
            cursor = own.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def migrate(self, *arguments: str) -> str:
        done = manage(self.url, "migrate", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def database() -> Iterator[Database]:
    name = f"migrations_{os.getpid()}"
    parts = urlsplit(database_url())
    server = Database(parts._replace(path="/postgres").geturl())
    server.execute(f"CREATE DATABASE {name}")
    try:
        yield Database(parts._replace(path=f"/{name}").geturl())
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        server.execute(f"DROP ROLE IF EXISTS {derived_role(name)}")


@pytest.fixture(scope="module")
def statements(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> dict[tuple[str, bool], list[str]]:
    """The lines of the SQL of each migration, forwards and backwards, without comments.

    Read outside of a transaction, since some of them cannot run in one.
    """
    found = {}
    with django_db_blocker.unblock():
        for key in product(MIGRATIONS, (False, True)):
            output = StringIO()
            call_command("sqlmigrate", "tasks", key[0], backwards=key[1], stdout=output)
            lines = output.getvalue().splitlines()
            found[key] = [line for line in lines if line and not line.startswith("--")]
    return found


def test_migrations_are_numbered_without_gaps() -> None:
    assert [int(name[:4]) for name in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("migration", MIGRATIONS)
def test_every_migration_has_a_lock_timeout(
    migration: str, *, backwards: bool, statements: dict[tuple[str, bool], list[str]]
) -> None:
    first, *others = statements[migration, backwards]

    if first == "BEGIN;":
        assert others[0] == "SET LOCAL lock_timeout = '1s';" or others == ["COMMIT;"]
    else:
        # Outside of a transaction the timeouts must be reset.
        assert re.fullmatch("SET lock_timeout = '(1s|5min)';", first)
        assert others[-2:] == ["RESET lock_timeout;", "RESET statement_timeout;"]


@pytest.mark.django_db
def test_what_was_interrupted_runs_again(database: Database) -> None:
    database.migrate("tasks", "0001")
    database.migrate("admin")
    database.execute(
        "ALTER TABLE tasks_task ADD COLUMN deleted_at timestamptz;"
        "INSERT INTO tasks_task (user_id, title) VALUES ('alice', 'A'), ('alice', 'A');"
        "CREATE FUNCTION task_owner(message text) RETURNS text LANGUAGE sql RETURN NULL;"
        "CREATE INDEX task_history_task ON django_admin_log (id);"
    )
    for name in ("task_alive", "task_words", "task_search"):
        with pytest.raises(psycopg.errors.UniqueViolation):
            database.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON tasks_task (user_id)")
    assert ("task_alive", False) in [(name, valid) for name, _, valid in database.execute(INDEXES)]

    database.migrate()

    with connection.cursor() as cursor:
        assert database.execute(INDEXES) == cursor.execute(INDEXES).fetchall()
        source = "SELECT pg_get_functiondef('task_owner'::regproc)"
        assert database.execute(source) == cursor.execute(source).fetchall()


def test_migrations_of_the_old_release_count_as_applied(database: Database) -> None:
    """With the rows that the old release wrote. Its functions are tested in test_migrate.py."""
    database.migrate("tasks", "0005")
    old = (*OLD_NAMES, OPERATIONS_OF_THE_OLD_RELEASE)
    rows = ", ".join(f"('tasks', '{name}', now())" for name in old)
    database.execute(
        "DELETE FROM django_migrations WHERE app = 'tasks';"
        f"INSERT INTO django_migrations (app, name, applied) VALUES {rows}"
    )
    relations = "SELECT oid, relname FROM pg_class WHERE relname LIKE 'task%' ORDER BY oid"
    before = database.execute(relations)

    output = database.migrate()

    assert re.findall(r"Applying tasks\.(\w+)\.\.\. OK", output) == [
        "0006_times",
        "0007_times_of_every_field",
        "0008_due_dates_and_tags",
        "0009_changes_and_keys",
        "0010_undo_and_audit",
        "0011_trash_and_start_page",
        "0012_saved_views",
        "0013_search_descriptions",
        "0014_forget_changes",
    ]
    gone = {*before} - {*database.execute(relations)}
    assert [name for _, name in gone] == ["task_words"]
    assert database.execute(NAMES) == [(name,) for name in sorted({*old, *MIGRATIONS})]
    assert "Applying" not in database.migrate()


def test_existing_texts_are_folded_and_count_as_unchanged(database: Database) -> None:
    database.migrate("tasks", "0007")
    database.execute(
        "INSERT INTO tasks_task (user_id, title, description) SELECT 'alice', "
        "(ARRAY['Milk', 'müsli', 'Äpfel', 'milk'])[1 + n % 4], "
        "CASE WHEN n % 4 = 3 THEN 'GRÜN' END FROM generate_series(1, 12000) AS n"
    )
    times = "SELECT array_agg((created_at, updated_at) ORDER BY id)::text FROM tasks_task"
    before = database.execute(times)

    database.migrate()

    assert database.execute(times) == before
    assert database.execute(
        "SELECT title, description, folded, count(*) FROM tasks_task GROUP BY 1, 2, 3 "
        'ORDER BY title COLLATE "C"'
    ) == [
        ("Milk", None, None, 3000),
        ("milk", "GRÜN", ["milk", "grün"], 3000),
        ("müsli", None, None, 3000),
        ("Äpfel", None, ["äpfel", None], 3000),
    ]


def test_the_newest_migration_can_be_taken_back_and_applied_again(database: Database) -> None:
    database.migrate()
    database.execute("INSERT INTO tasks_task (user_id, title) VALUES ('alice', 'Buy milk')")
    columns = "SELECT user_id, title, created_at, updated_at FROM tasks_task"
    before = database.execute(columns)

    database.migrate("tasks", MIGRATIONS[-2])
    assert database.execute(columns) == before
    for fields in ("'alice', ''", "'', 'x'", "'alice', ' x'"):
        with pytest.raises(psycopg.errors.CheckViolation):
            database.execute(f"INSERT INTO tasks_task (user_id, title) VALUES ({fields})")

    database.migrate()
    assert database.execute(columns) == before
