"""Several databases behind PL/Proxy: what the proxy does, and which database has whose tasks.

Each shard is an ordinary database of this project. The database of the proxy has functions with the
names and arguments of the operations, and PL/Proxy sends each call to the shard of its first
argument, the owner. The API signs in at the proxy (API_DATABASE_URL) and notices nothing.

A shard knows which one it is by the step of its ids: the third of four makes 3, 7, 11 and so on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from tasks.operations.installation import DIGEST, OPERATIONS, REVISION, State
from tasks.operations.role import Refusal, Role, row

PROXY_MARK = "better-auth-tasks: proxy of the operations, "
PROXY_COMMENT = f"{PROXY_MARK}revision {REVISION}, digest {DIGEST}"
SERVER_OPTIONS = {"modular_mapping": "1", "connection_lifetime": "1800", "query_timeout": "2"}
"""query_timeout: seconds. A shard ends a statement earlier, and the API waits longer."""
STATEMENT_TIMEOUT = "5s"
"""Later than the API gives up: the proxy cannot know whether a shard has done what it was asked."""

STEP = """
    SELECT seqstart, seqincrement FROM pg_sequence
    WHERE seqrelid = to_regclass('public.tasks_task_id_seq')
"""
SIGNATURES = """
    SELECT string_agg(format(
        'CREATE OR REPLACE FUNCTION tasks_api.%%I(%%s) RETURNS %%s LANGUAGE plproxy AS '
        '$$ CLUSTER ''tasks_shards''; RUN ON hashtext(owner); $$',
        proname, pg_get_function_arguments(pg_proc.oid), pg_get_function_result(pg_proc.oid)), ';')
    FROM unnest(%(names)s::text[]) AS name JOIN pg_proc ON pg_proc.oid = to_regprocedure(name)
"""

PLACE = "abs(hashtext({owner}) % {total})"
"""As PL/Proxy counts, from 0. PostgreSQL's own hash of a text costs less than one in SQL. If a
later version computed another one, the shards would refuse new tasks (`task_of_this_shard`)."""

CONSTRAINT = "task_of_this_shard"
NUMBERING = """BEGIN;
ALTER SEQUENCE public.tasks_task_id_seq INCREMENT BY {total} START WITH {number};
SELECT setval('public.tasks_task_id_seq', {number} + {total} * (last_value / {total} + 1), false)
FROM public.tasks_task_id_seq;
ALTER TABLE public.tasks_task DROP CONSTRAINT IF EXISTS task_of_this_shard,
    ADD CONSTRAINT task_of_this_shard CHECK ({place} = {number} - 1) NOT VALID;
COMMIT;"""
"""No path leads to a task that is on another shard, so the database refuses to make one."""

PROXY = """
BEGIN;
DO $$ BEGIN
    IF to_regclass('public.tasks_task') IS NOT NULL THEN
        RAISE 'This database has tasks, so it cannot be the proxy.';
    END IF;
    IF to_regrole({role_name}) IS NULL THEN
        CREATE ROLE {role};
    END IF;
END $$;
ALTER ROLE {role} LOGIN NOINHERIT PASSWORD {password};
ALTER ROLE {role} IN DATABASE {database} SET statement_timeout TO {statement_timeout};
GRANT CONNECT ON DATABASE {database} TO {role};
CREATE EXTENSION IF NOT EXISTS plproxy;
DROP USER MAPPING IF EXISTS FOR {role} SERVER tasks_shards;
DROP SERVER IF EXISTS tasks_shards;
CREATE SERVER tasks_shards FOREIGN DATA WRAPPER plproxy OPTIONS ({options});
GRANT USAGE ON FOREIGN SERVER tasks_shards TO {role};
CREATE USER MAPPING FOR {role} SERVER tasks_shards OPTIONS ({mapping});
CREATE SCHEMA IF NOT EXISTS tasks_api;
COMMENT ON SCHEMA tasks_api IS {comment};
GRANT USAGE ON SCHEMA tasks_api TO {role};
CREATE OR REPLACE FUNCTION tasks_api.shard_count() RETURNS integer
LANGUAGE sql IMMUTABLE AS $$ SELECT {total} $$;
CREATE OR REPLACE FUNCTION tasks_api.shard_state(
    place integer, OUT number bigint, OUT total bigint, OUT comment text
) LANGUAGE plproxy AS $$
    CLUSTER 'tasks_shards';
    RUN ON place;
    SELECT s.seqstart AS number, s.seqincrement AS total,
        obj_description(to_regnamespace('tasks_api'), 'pg_namespace') AS comment
    FROM pg_sequence AS s WHERE s.seqrelid = to_regclass('public.tasks_task_id_seq');
$$;
{operations};
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tasks_api FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tasks_api TO {role};
COMMIT;
"""


@dataclass(frozen=True)
class Shard:
    """number: from 1 to total."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"shard {self.number} of {self.total}"

    @classmethod
    def of(cls, connection: BaseDatabaseWrapper) -> "Shard | None":
        """None if the database has the tasks of all users."""
        start, step = row(connection, STEP) or (1, 1)
        return cls(start, step) if step > 1 else None

    def of_user(self, connection: BaseDatabaseWrapper, user_id: str) -> "Shard":
        """Where the tasks of this user are."""
        statement = "SELECT " + PLACE.format(owner="%(user)s::text", total="%(total)s")
        (place,) = row(connection, statement.replace(" % ", " %% "), user=user_id, total=self.total)
        return Shard(place + 1, self.total)

    def numbering(self) -> str:
        """SQL for this shard, whose next id is greater than all before."""
        place = PLACE.format(owner="user_id", total=self.total)
        return NUMBERING.format(number=self.number, total=self.total, place=place)


def proxy_sql(connection: BaseDatabaseWrapper, addresses: Sequence[tuple[str, int]]) -> str:
    """SQL for the database of the proxy, which may be run again, also while requests are served.

    connection: to a shard. The other ones have the same name of the database and the same role of
    the API with the same password, and so has the proxy. addresses: host and port of all shards, in
    their order. Raises Refusal if the shard has other operations than this release.
    """
    role = Role(connection)
    state = State.of(connection, role.name)
    if state is None or not state.is_complete:
        raise Refusal("The database of DATABASE_URL must be a shard of this release: run migrate.")
    (operations,) = row(connection, SIGNATURES, names=list(OPERATIONS))
    options = SERVER_OPTIONS | {
        f"p{place}": f"host={host} port={port} dbname={role.database} connect_timeout=2"
        for place, (host, port) in enumerate(addresses)
    }
    mapping = {"user": role.name} | ({"password": role.password} if role.password else {})
    connection.ensure_connection()
    statements = sql.SQL(PROXY).format(
        role=sql.Identifier(role.name),
        role_name=sql.Literal(sql.Identifier(role.name).as_string(None)),
        database=sql.Identifier(role.database),
        password=sql.Literal(role.password or None),
        statement_timeout=sql.Literal(STATEMENT_TIMEOUT),
        options=_options(options),
        mapping=_options(mapping),
        comment=sql.Literal(PROXY_COMMENT),
        total=sql.Literal(len(addresses)),
        operations=sql.SQL(operations),
    )
    return statements.as_string(connection.connection).lstrip()


def _options(options: dict[str, Any]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.Literal(value))
        for name, value in options.items()
    )
