"""Earlier releases called their functions in the schema `api`, and as another role.

Delete this module once no database has these functions.
"""

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from psycopg import errors, sql

from authjwt.wording import count
from tasks.operations.role import first_line, row, run

SUBJECT = "The functions of an earlier release, in the schema api,"
MIGRATION = ("tasks", "0007_operations")
FUNCTIONS = (
    "list_tasks(api.owner, boolean, bigint, bigint)",
    "create_task(api.owner, text, text, boolean, text)",
    "read_task(api.owner, bigint)",
    "change_task(api.owner, bigint, text, text, boolean, boolean, text)",
    "trash_task(api.owner, bigint)",
    "delete_task(api.owner, bigint)",
    "json_of(public.tasks_task)",
    "json_of(timestamptz)",
    "after(timestamptz)",
)
IS_THERE = """
    SELECT 1 FROM pg_type JOIN pg_namespace ON pg_namespace.oid = typnamespace
    WHERE nspname = 'api' AND typname = 'owner' AND pg_has_role(typowner, 'USAGE')
"""
CONNECTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = left(current_database(), 59) || '_api'
"""
IS_EMPTY = """
    SELECT 1 FROM pg_namespace WHERE nspname = 'api' AND NOT EXISTS (
        SELECT FROM pg_depend
        WHERE refclassid = 'pg_namespace'::regclass AND refobjid = pg_namespace.oid
    )
"""


def has_earlier_functions(connection: BaseDatabaseWrapper) -> bool:
    return bool(row(connection, IS_THERE))


def remove_earlier_functions(connection: BaseDatabaseWrapper) -> list[str]:
    """Removes the functions once no server that calls them is connected. Returns what was done."""
    if not has_earlier_functions(connection):
        return []
    (connected,) = row(connection, CONNECTIONS)
    if connected:
        servers = f"its servers have {count(connected, 'connection')} open"
        return [f"{SUBJECT} were kept: {servers}. Run migrate again once they have ended."]
    statements = [
        *(sql.SQL(f"DROP FUNCTION IF EXISTS api.{function}") for function in FUNCTIONS),
        sql.SQL("DROP DOMAIN api.owner"),
    ]
    try:
        run(connection, statements)
    except (Error, errors.InsufficientPrivilege) as error:
        return [f"{SUBJECT} were kept: {first_line(error)}."]
    if row(connection, IS_EMPTY):
        run(connection, [sql.SQL("DROP SCHEMA api")])
    # So that `migrate` of the earlier release puts them back.
    MigrationRecorder(connection).record_unapplied(*MIGRATION)
    return [f"{SUBJECT} were removed."]
