"""The role of the API, which may call the six operations and nothing else.

`manage.py migrate` makes it, as the owner of the tables: no superuser is needed. The login role of
DATABASE_URL stays what it was, for the admin and the commands. So an endpoint that forgets whose
tasks it means, or that reaches for a table, is refused by PostgreSQL.

Row level security was measured beside it. It sets role and user for each transaction, and costs 15
to 25 % of a request where this costs 5; and it holds only for roles that do not bypass it, which
the owner that Neon hands out does.
"""

from typing import Any

from django.conf import settings
from django.db import connections
from psycopg import sql

MOST_NAME_CHARACTERS = 63 - len("_api")
SETTINGS = {
    "statement_timeout": "2s",
    "lock_timeout": "1500ms",
    "idle_in_transaction_session_timeout": "5s",
    # Every user's tasks are found by the same indexes. Left to itself PostgreSQL may plan the list
    # again each time, which takes longer than to run it, and does so five times per connection.
    "plan_cache_mode": "force_generic_plan",
}

# Two migrations at once, of two databases of one server, may make the same role.
ROLE = """
DO $do$ BEGIN
    CREATE ROLE {role} NOINHERIT;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $do$;
DO $do$ BEGIN
    ALTER ROLE {role} LOGIN NOINHERIT PASSWORD {password};
EXCEPTION WHEN internal_error THEN NULL;
END $do$;
"""
GRANTS = """
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA api FROM PUBLIC;
GRANT CONNECT ON DATABASE {database} TO {role};
GRANT USAGE ON SCHEMA api TO {role};
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA api TO {role};
"""
SETTING = "ALTER ROLE {role} IN DATABASE {database} SET {name} TO {value};"


def role(database: str) -> str:
    """The role of the API in a database. Its name is bounded, as PostgreSQL's names are."""
    return f"{database[:MOST_NAME_CHARACTERS]}_api"


def grant(*, using: str, **_: Any) -> None:
    """Makes the role, or makes it again: its password follows SECRET_KEY."""
    if using != "default":
        return
    connection = connections[using]
    database = connection.settings_dict["NAME"]
    names = {
        "role": sql.Identifier(role(database)),
        "password": sql.Literal(settings.DATABASES["api"]["PASSWORD"]),
        "database": sql.Identifier(database),
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace('api') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return  # migrated back to before the operations
        for statement in (ROLE, GRANTS):
            cursor.execute(sql.SQL(statement).format(**names))
        for name, value in SETTINGS.items():
            setting = {"name": sql.Identifier(name), "value": sql.Literal(value)}
            cursor.execute(sql.SQL(SETTING).format(**names, **setting))
