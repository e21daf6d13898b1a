"""The database of the benchmarks and its tasks."""

import subprocess
import sys
from collections.abc import Sequence
from hashlib import md5
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import psycopg
from psycopg.sql import SQL, Identifier

from tests.benchmarks.postgres import ROOT

USERS = 10_000
TASKS = 200_000

# As in production, the tasks of a user are spread over the table and differ in age.
FILL = """
    INSERT INTO tasks_task (id, user_id, title, description, complete, priority,
                            completed_at, created_at, updated_at)
    SELECT id, md5((id %% %(users)s)::text), 'Task number ' || id,
           'Write down what is to be done, and by whom, before the end of day ' || id %% 365,
           id %% 3 = 0, (ARRAY['low', 'medium', 'high'])[1 + id %% 3],
           CASE WHEN id %% 3 = 0 THEN at END, at, at
    FROM (SELECT id, now() - (%(last)s - id) * interval '1 second' AS at
          FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS id) AS made
"""
FRESH = """
    INSERT INTO tasks_task (user_id, title, description, complete, priority,
                            created_at, updated_at)
    SELECT user_id, 'Delete me', 'A row that is there to go', false, 'low', now(), now()
    FROM unnest(%s::text[]) WITH ORDINALITY AS asked (user_id, place)
    ORDER BY place RETURNING id
"""


def user_id(number: int) -> str:
    """32 characters, like Better Auth's ids. The same rule as in FILL."""
    return md5(str(number).encode(), usedforsecurity=False).hexdigest()


class Database:
    """A database of a local PostgreSQL, with the project's tables once it is migrated.

    tasks: how many `fill` has made. Their ids begin at 1.
    others: how many `copy` has added. Their ids follow.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.tasks = 0
        self.users = 0
        self.others = 0
        with psycopg.connect(url) as connection:
            self.version = str(connection.info.parameter_status("server_version"))
            host, port = connection.info.host, connection.info.port
            self.address = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
            row = connection.execute("SHOW data_directory").fetchone()
        assert row
        self.pid = int(Path(row[0], "postmaster.pid").read_text().split()[0])

    def beside(self, name: str) -> Self:
        """Makes another database on the same server, replacing one of the same name."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in ("DROP DATABASE IF EXISTS {} WITH (FORCE)", "CREATE DATABASE {}"):
                connection.execute(SQL(statement).format(Identifier(name)))
        return type(self)(urlsplit(self.url)._replace(path=f"/{name}").geturl())

    def settings(self, *names: str) -> dict[str, str]:
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(
                "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", [list(names)]
            )
            return dict(rows.fetchall())

    def migrate(self, environment: dict[str, str], root: Path = ROOT) -> None:
        """Runs the project's own command, so that the schema is that of the release."""
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity=0"],
            cwd=root,
            env=environment,
            check=True,
        )

    def fill(self, tasks: int = TASKS, users: int = USERS) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            # It would run during some measurements and not during others.
            connection.execute("ALTER TABLE tasks_task SET (autovacuum_enabled = off)")
            connection.execute("TRUNCATE tasks_task RESTART IDENTITY")
            connection.execute(FILL, {"users": users, "first": 1, "last": tasks})
            connection.execute("ANALYZE tasks_task")
        self.tasks, self.users, self.others = tasks, users, 0
        self.settle()

    @property
    def last_id(self) -> int:
        return self.tasks + self.others

    def copy(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Adds tasks, whose ids must follow `last_id`."""
        statement = SQL("COPY tasks_task ({}) FROM STDIN").format(
            SQL(",").join(map(Identifier, columns))
        )
        with psycopg.connect(self.url, autocommit=True) as connection:
            with connection.cursor() as cursor, cursor.copy(statement) as copying:
                for row in rows:
                    copying.write_row(row)
            connection.execute("ANALYZE tasks_task")
        self.others += len(rows)
        self.settle()

    def tasks_of(self, number: int) -> range:
        """The ids of a user's tasks."""
        return range(number or self.users, self.tasks + 1, self.users)

    def add(self, user_ids: Sequence[str]) -> list[int]:
        """Adds one task for each user and returns their ids."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return [row[0] for row in connection.execute(FRESH, [list(user_ids)])]

    def forget_new_tasks(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DELETE FROM tasks_task WHERE id > %s", [self.last_id])

    def settle(self) -> None:
        """Does pending maintenance, so that no run pays for the work of another."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "SELECT setval(pg_get_serial_sequence('tasks_task', 'id'), %s)", [self.last_id]
            )
            connection.execute("VACUUM tasks_task")
            connection.execute("CHECKPOINT")
