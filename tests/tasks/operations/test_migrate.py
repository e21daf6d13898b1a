"""`migrate` with and without the rights that it may need."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config.database import configure, configure_api, derived_role
from tasks.operations.installation import COMMENT, OPERATIONS
from tests.cluster import BINARIES, Cluster, environment, manage
from tests.cluster import PASSWORD as CLUSTER_PASSWORD
from tests.people import SECRET, token_of
from tests.processes import ROOT
from tests.server import Server

TIMES = int(os.environ.get("MIGRATE_TIMES", "1"))
"""How often three `migrate` run at the same time."""

VERSIONS = tuple(BINARIES) if os.environ.get("CI") else (max(BINARIES),)
"""Outside of CI only the newest one, to save time."""

PASSWORD = "of-the-owner"
OLD_OPERATIONS = Path(__file__).with_name("earlier_operations.sql")
ROLE_ADVICE = (
    "may not create or change the role {role}. An administrator must run the following once"
)

numbers = count(1)


class Database:
    """A new database with all migrations applied, but without the operations.

    rights: those of its owner. url: its URL, with the owner as the user.
    """

    def __init__(self, cluster: Cluster, rights: str, template: str = "migrated") -> None:
        self.cluster = cluster
        self.name = f"case_{next(numbers)}"
        self.owner = f"owner_{self.name}"
        self.role = derived_role(self.name)
        cluster.execute(f"CREATE ROLE {self.owner} LOGIN {rights} PASSWORD '{PASSWORD}'")
        cluster.execute(f"CREATE DATABASE {self.name} TEMPLATE {template} OWNER {self.owner}")
        self.execute(f"REASSIGN OWNED BY maker TO {self.owner}")
        self.url = cluster.url_of(self.owner, PASSWORD, self.name)

    def execute(self, sql: str) -> list[tuple[object, ...]]:
        """As the superuser."""
        return self.cluster.execute(sql, self.name)

    def migrate(self, **variables: Any) -> subprocess.CompletedProcess[str]:
        return manage(self.url, "migrate", **variables)

    def doctor(self, **variables: Any) -> subprocess.CompletedProcess[str]:
        return manage(self.url, "doctor", **variables)

    def secret(self, role: str = "") -> list[tuple[object, ...]]:
        return self.execute(
            f"SELECT rolpassword FROM pg_authid WHERE rolname = '{role or self.role}'"
        )

    def is_served(self, folder: Path, **variables: str) -> bool:
        """Whether a server on this database is ready and answers."""
        variables = {"BETTER_AUTH_SECRET": SECRET, "DATABASE_URL": self.url} | variables
        with Server(folder / f"{self.name}.log", **variables) as server:
            ready = server.request("GET", "/health/ready").status
            tasks = server.request("GET", "/api/alice/tasks", token=token_of("alice")).status
        assert (ready, tasks) in ((200, 200), (503, 503))
        return ready == 200


@pytest.fixture(scope="module")
def clusters() -> Iterator[Callable[[int], Cluster]]:
    running: dict[int, Cluster] = {}
    with ExitStack() as stack:

        def of(version: int) -> Cluster:
            if version not in running:
                cluster = stack.enter_context(Cluster.running(version))
                cluster.execute(f"CREATE ROLE maker LOGIN PASSWORD '{PASSWORD}'")
                cluster.execute("CREATE DATABASE empty OWNER maker")
                cluster.execute("CREATE DATABASE migrated OWNER maker")
                done = manage(cluster.url_of("maker", PASSWORD, "migrated"), "migrate")
                assert "Applying tasks.0006_times... OK" in done.stdout
                cluster.execute("DROP SCHEMA tasks_api CASCADE", "migrated")
                running[version] = cluster
            return running[version]

        yield of


@pytest.fixture(params=VERSIONS)
def each(request: pytest.FixtureRequest, clusters: Callable[[int], Cluster]) -> Cluster:
    return clusters(request.param)


@pytest.fixture
def newest(clusters: Callable[[int], Cluster]) -> Cluster:
    return clusters(max(BINARIES))


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def is_installed(database: Database) -> bool:
    """Functions, grants and comment, in the database itself."""
    callable_ = " AND ".join(
        f"has_function_privilege('{database.role}', '{name}', 'EXECUTE')"
        f" AND NOT has_function_privilege('public', '{name}', 'EXECUTE')"
        for name in OPERATIONS
    )
    comment = "obj_description('tasks_api'::regnamespace, 'pg_namespace')"
    return database.execute(f"SELECT {comment}, {callable_}") == [(COMMENT, True)]


@pytest.mark.parametrize("rights", ["SUPERUSER", "CREATEROLE"])
def test_an_owner_who_may_create_roles_needs_no_other_right(
    each: Cluster, rights: str, tmp_path: Path
) -> None:
    database = Database(each, rights)

    assert database.migrate().returncode == 0
    assert is_installed(database)
    before = database.secret()
    again = database.migrate(
        SECRET_KEY="another-key-of-fifty-characters-for-the-tests-only-012345678"
    )
    assert again.returncode == 0
    assert "installed" not in said(again)
    assert database.secret() == before
    assert said(database.doctor()).endswith("All is well.\n")
    assert database.is_served(tmp_path)


def test_an_owner_who_may_not_create_roles_gets_sql_for_an_administrator(
    each: Cluster, tmp_path: Path
) -> None:
    database = Database(each, "NOCREATEROLE", template="empty")
    first = database.migrate()

    assert first.returncode == 1
    assert "Applying tasks.0006_times... OK" in first.stdout
    assert ROLE_ADVICE.format(role=database.role) in said(first)
    assert database.doctor().returncode == 1

    printed = manage(database.url, "api_role", "--sql")
    assert printed.returncode == 0
    assert printed.stdout.startswith(f'CREATE ROLE "{database.role}" LOGIN')
    database.execute(printed.stdout)
    before = database.secret()
    for _ in range(2):
        assert database.migrate().returncode == 0
    assert is_installed(database)
    assert database.secret() == before
    assert said(database.doctor()).endswith("All is well.\n")
    assert database.is_served(tmp_path)


def test_the_sql_of_a_refusal_works(newest: Cluster) -> None:
    database = Database(newest, "NOCREATEROLE")
    _, _, sql = said(database.migrate()).partition("run migrate again.\n\n")

    database.execute(sql)

    assert database.migrate().returncode == 0


@pytest.mark.parametrize("version", [version for version in VERSIONS if version >= 16])
def test_a_role_from_a_dump_gets_its_grants_and_is_reported(
    clusters: Callable[[int], Cluster], version: int
) -> None:
    """Since PostgreSQL 16 changing a role requires ADMIN OPTION on it."""
    database = Database(clusters(version), "CREATEROLE")
    mark = f"better-auth-tasks: role of the API in the database {database.name}"
    database.execute(f"CREATE ROLE {database.role} LOGIN PASSWORD 'of-another-cluster'")
    database.execute(f"COMMENT ON ROLE {database.role} IS '{mark}'")

    done = database.migrate()

    assert done.returncode == 1
    assert ROLE_ADVICE.format(role=database.role) in said(done)
    assert is_installed(database)
    database.execute(manage(database.url, "api_role", "--sql").stdout)
    assert database.migrate().returncode == 0


def test_a_role_of_somebody_else_is_left_alone(newest: Cluster, tmp_path: Path) -> None:
    database = Database(newest, "SUPERUSER")
    database.execute(f"CREATE ROLE {database.role} LOGIN PASSWORD 'theirs'")
    before = database.secret()

    done = database.migrate()

    assert done.returncode == 1
    assert f"There is a role {database.role} that this project has not made" in said(done)
    assert database.secret() == before
    assert database.execute(
        f"SELECT has_schema_privilege('{database.role}', 'tasks_api', 'USAGE')"
    ) == [(False,)]
    assert database.doctor().returncode == 1
    printed = manage(database.url, "api_role", "--sql")
    assert (printed.returncode, printed.stdout) == (1, "")

    api = f"api_{database.name}"
    database.execute(f"CREATE ROLE {api} LOGIN PASSWORD 'mine'")
    for name, value in (
        ("statement_timeout", "2s"),
        ("lock_timeout", "1500ms"),
        ("idle_in_transaction_session_timeout", "5s"),
    ):
        database.execute(f"ALTER ROLE {api} SET {name} TO '{value}'")
    given = {"API_DATABASE_URL": newest.url_of(api, "mine", database.name)}
    assert database.migrate(**given).returncode == 0
    assert said(database.doctor(**given)).endswith("All is well.\n")
    assert database.is_served(tmp_path, **given)


def test_a_schema_of_somebody_else_is_left_alone(newest: Cluster, tmp_path: Path) -> None:
    database = Database(newest, "CREATEROLE")
    database.execute("CREATE SCHEMA tasks_api; CREATE TABLE tasks_api.invoices AS SELECT 7 AS id")
    database.execute("CREATE SCHEMA api; CREATE TABLE api.invoices AS SELECT 7 AS id")

    done = database.migrate()

    assert done.returncode == 1
    assert "There is a schema tasks_api that this project has not made" in said(done)
    assert database.doctor().returncode == 1
    assert not database.is_served(tmp_path)
    for schema in ("tasks_api", "api"):
        assert database.execute(f"SELECT id FROM {schema}.invoices") == [(7,)]


def test_an_empty_schema_of_an_administrator_is_used(newest: Cluster) -> None:
    database = Database(newest, "CREATEROLE")
    database.execute(f"ALTER DATABASE {database.name} OWNER TO postgres")
    database.execute(f"GRANT CREATE ON SCHEMA public TO {database.owner}")

    refused = database.migrate()
    assert refused.returncode == 1
    _, _, sql = said(refused).partition("run migrate again.\n\n")
    database.execute(sql)

    assert database.migrate().returncode == 0
    assert is_installed(database)


def test_migrate_repairs_what_was_lost(newest: Cluster) -> None:
    database = Database(newest, "CREATEROLE")
    database.migrate()
    for loss in (
        "DROP SCHEMA tasks_api CASCADE",
        "DROP FUNCTION tasks_api.read_task(text, bigint)",
        f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tasks_api FROM {database.role}",
        f"REVOKE USAGE ON SCHEMA tasks_api FROM {database.role}",
        "GRANT EXECUTE ON FUNCTION tasks_api.read_task(text, bigint) TO PUBLIC",
        f"DROP OWNED BY {database.role}; DROP ROLE {database.role}",
        f"ALTER ROLE {database.role} PASSWORD 'another'",
        f"ALTER ROLE {database.role} NOLOGIN",
        f"ALTER ROLE {database.role} IN DATABASE {database.name} RESET ALL",
    ):
        database.execute(loss)
        assert database.migrate().returncode == 0, loss
        assert is_installed(database), loss
    assert said(database.doctor()).endswith("All is well.\n")


def test_functions_of_another_owner_are_reported(newest: Cluster) -> None:
    database = Database(newest, "CREATEROLE")
    database.migrate()
    database.execute("COMMENT ON SCHEMA tasks_api IS 'better-auth-tasks: operations, revision 0'")
    database.execute("ALTER FUNCTION tasks_api.defaults() OWNER TO postgres")

    done = database.migrate()

    assert done.returncode == 1
    assert f"{database.owner}, may not change the schema tasks_api: must be owner of" in said(done)


def test_switched_off_isolation_is_reported(newest: Cluster, tmp_path: Path) -> None:
    database = Database(newest, "NOCREATEROLE")
    off = {"API_DATABASE_URL": database.url}

    assert database.migrate(**off).returncode == 0
    doctor = database.doctor(**off)
    assert doctor.returncode == 0
    warning = f"{database.owner}, which owns the tables: PostgreSQL does not isolate the users"
    assert f"warning      {warning}" in said(doctor)
    assert database.is_served(tmp_path, **off)
    assert '"isolation_by_the_database":"off"' in (tmp_path / f"{database.name}.log").read_text()


def test_a_missing_role_is_reported(newest: Cluster) -> None:
    database = Database(newest, "NOCREATEROLE")
    given: Any = {"API_DATABASE_URL": newest.url_of("nobody_made", "x", database.name)}

    done = database.migrate(**given)

    assert done.returncode == 1
    assert "There is no role nobody_made, which API_DATABASE_URL names." in said(done)
    assert manage(database.url, "api_role", "--sql", **given).returncode == 1


def test_the_user_of_the_url_is_never_used_as_the_role(newest: Cluster) -> None:
    database = Database(newest, "SUPERUSER")
    database.execute(f"ALTER ROLE {database.owner} RENAME TO {database.role}")
    database.execute(f"ALTER ROLE {database.role} PASSWORD '{PASSWORD}'")
    before = database.secret()

    done = manage(newest.url_of(database.role, PASSWORD, database.name), "migrate")

    assert done.returncode == 1
    assert "The user of DATABASE_URL has the name that the role of the API would have" in said(done)
    assert database.secret() == before


def test_a_url_without_a_password_has_a_role_without_one(newest: Cluster, tmp_path: Path) -> None:
    """As with a password file. If the server requires a password, only a person can set it."""
    database = Database(newest, "CREATEROLE")
    passwords = tmp_path / "passwords"
    passwords.write_text(f"127.0.0.1:{newest.port}:*:{database.owner}:{PASSWORD}\n")
    passwords.chmod(0o600)
    url = database.url.replace(f":{PASSWORD}@", "@")

    done = manage(url, "migrate", PGPASSFILE=str(passwords))

    assert done.returncode == 1
    assert f"The role {database.role} has no password" in said(done)
    assert "set API_DATABASE_URL" in said(done)
    assert database.secret() == [(None,)]
    assert is_installed(database)


def test_a_role_that_cannot_sign_in_is_reported(newest: Cluster) -> None:
    database = Database(newest, "CREATEROLE")
    database.migrate()
    database.execute(f"ALTER ROLE {database.role} CONNECTION LIMIT 0")

    done = database.migrate()

    assert done.returncode == 1
    assert f"The role {database.role} exists, but cannot sign in: " in said(done)
    assert "too many connections for role" in said(done)


def test_an_old_schema_of_another_owner_stays(newest: Cluster) -> None:
    database = Database(newest, "CREATEROLE")
    database.execute(OLD_OPERATIONS.read_text())

    done = database.migrate()

    assert done.returncode == 0
    assert "schema api" not in said(done)
    assert len(left_of(database)) == 9


def test_the_role_may_connect_even_if_not_everybody_may(newest: Cluster) -> None:
    database = Database(newest, "CREATEROLE")
    database.execute(f"REVOKE CONNECT ON DATABASE {database.name} FROM PUBLIC")

    assert database.migrate().returncode == 0


def test_no_password_is_in_the_server_log_or_in_the_output(newest: Cluster) -> None:
    database = Database(newest, "CREATEROLE")
    config = configure(database.url, Path())
    password = configure_api(config, "", Path())["PASSWORD"]
    database.execute(f"ALTER DATABASE {database.name} SET log_statement TO 'all'")
    lacking = Database(newest, "NOCREATEROLE")
    lacking.execute(f"ALTER DATABASE {lacking.name} SET log_statement TO 'all'")

    output = said(database.migrate()) + said(lacking.migrate())
    output += said(manage(lacking.url, "api_role", "--sql"))

    log = newest.log()
    assert f'CREATE ROLE "{database.role}"' in log
    assert f'CREATE ROLE "{lacking.role}"' in log
    assert "SCRAM-SHA-256$" in output
    assert password not in log + output


def test_a_locked_table_is_reported(newest: Cluster) -> None:
    database = Database(newest, "CREATEROLE")
    assert manage(database.url, "migrate", "tasks", "0007").returncode == 0
    with psycopg.connect(newest.url_of("postgres", CLUSTER_PASSWORD, database.name)) as other:
        other.execute("LOCK TABLE tasks_task IN ACCESS SHARE MODE")
        done = manage(database.url, "migrate", "tasks", "0005")

    assert done.returncode == 1
    assert "Another transaction keeps a table locked" in said(done)
    assert database.migrate().returncode == 0


def test_an_encoding_that_cannot_store_every_text_is_reported(newest: Cluster) -> None:
    name = f"case_{next(numbers)}"
    newest.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII'")
    url = newest.url_of("postgres", CLUSTER_PASSWORD, name)

    doctor = manage(url, "doctor")

    assert doctor.returncode == 1
    assert "wrong        SQL_ASCII: it cannot store every text that a client sends" in said(doctor)


@pytest.mark.parametrize("template", ["empty", "migrated"])
def test_three_at_the_same_time_all_succeed(newest: Cluster, template: str) -> None:
    for _ in range(TIMES):
        database = Database(newest, "CREATEROLE", template)
        three = [
            subprocess.Popen(
                [sys.executable, "manage.py", "migrate", "--verbosity=0"],
                cwd=ROOT,
                env=environment(database.url),
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        ended = [(process.communicate(timeout=120)[1], process.returncode) for process in three]

        assert [status for _, status in ended] == [0, 0, 0], ended
        assert is_installed(database)
        assert database.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [
            (0,)
        ]


@pytest.fixture
def old(newest: Cluster) -> Database:
    """A database that an earlier release has migrated."""
    database = Database(newest, "CREATEROLE")
    database.execute(OLD_OPERATIONS.read_text())
    database.execute(
        "INSERT INTO django_migrations (app, name, applied) "
        "VALUES ('tasks', '0007_operations', now())"
    )
    for kind in ("SCHEMA api", "DOMAIN api.owner"):
        database.execute(f"ALTER {kind} OWNER TO {database.owner}")
    database.execute(
        f"DO $$ DECLARE f regprocedure; BEGIN FOR f IN SELECT oid FROM pg_proc "
        f"WHERE pronamespace = 'api'::regnamespace LOOP "
        f"EXECUTE 'ALTER FUNCTION ' || f || ' OWNER TO {database.owner}'; END LOOP; END $$"
    )
    return database


def left_of(database: Database) -> list[tuple[object, ...]]:
    return database.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace('api') ORDER BY 1"
    )


def test_functions_of_an_earlier_release_are_removed(old: Database) -> None:
    assert "in the schema api, were removed." in said(old.migrate())

    assert old.execute("SELECT to_regnamespace('api')") == [(None,)]
    assert old.execute("SELECT 1 FROM django_migrations WHERE name = '0007_operations'") == []
    assert is_installed(old)


def test_other_objects_in_their_schema_stay(old: Database) -> None:
    old.execute("CREATE FUNCTION api.theirs() RETURNS int LANGUAGE sql RETURN 7")

    assert old.migrate().returncode == 0

    assert left_of(old) == [("theirs",)]
    assert old.execute("SELECT to_regtype('api.owner')") == [(None,)]


def test_functions_that_somebody_else_uses_stay(old: Database) -> None:
    old.execute("CREATE VIEW public.theirs AS SELECT api.json_of(now())")

    done = old.migrate()

    assert done.returncode == 0
    assert "were kept: cannot drop function api.json_of" in said(done)
    assert len(left_of(old)) == 9


def test_they_stay_until_the_servers_of_that_release_have_ended(old: Database) -> None:
    role = f"{old.name}_api"
    old.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    with psycopg.connect(old.cluster.url_of(role, "x", old.name)):
        done = old.migrate()
        assert done.returncode == 0
        assert "were kept: its servers have 1 connection open." in said(done)
        assert len(left_of(old)) == 9

    assert "in the schema api, were removed." in said(old.migrate())
