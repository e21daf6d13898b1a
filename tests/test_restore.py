"""A dump of one cluster is restored on a new one, with the commands of the README."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config.database import derived_role
from tests.cluster import Cluster, environment, manage
from tests.people import SECRET, token_of
from tests.server import Server

TASKS = int(os.environ.get("RESTORE_TASKS", "10000"))
NAME, PASSWORD = "tasks", "of-the-owner"
ROLE = derived_role(NAME)
FILL = f"""
    INSERT INTO tasks_task
        (user_id, title, description, complete, priority, due_day, due_at, tags,
        created_at, updated_at, deleted_at)
    SELECT
        'user ' || n % 50, 'Täsk 📋 ' || n, (ARRAY[NULL, '', E'a\\tb\\\\c\\n' || n])[n % 3 + 1],
        n % 2 = 0, (ARRAY['low', 'medium', 'high'])[n % 3 + 1],
        CASE n % 4 WHEN 0 THEN '0001-01-01'::date + n WHEN 1 THEN '9999-12-31'::date - n END,
        CASE n % 4 WHEN 2 THEN '9999-12-31 23:59:59.999999Z'::timestamptz - n * interval '1s' END,
        CASE n % 3 WHEN 0 THEN ARRAY['Café 📋', E'"a" \\\\ {{}} ' || n] WHEN 1 THEN '{{Home}}'
            ELSE '{{}}' END,
        created, created + n % 7 * interval '1 hour', CASE WHEN n % 10 = 0 THEN created END
    FROM (
        SELECT n, '2026-01-31 12:00:00.123456+00'::timestamptz - n * interval '1 minute' AS created
        FROM generate_series(1, {TASKS + 1}) AS n
    ) AS numbers
"""
HISTORY = """
    INSERT INTO django_admin_log
        (action_time, object_id, object_repr, action_flag, change_message, content_type_id, user_id)
    SELECT now(), n, 'Task', 2, '[{"owner": "user ' || n % 50 || '"}]', content.id, staff.id
    FROM generate_series(1, 1000) AS n, auth_user AS staff, django_content_type AS content
    WHERE model = 'task'
"""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
DIGEST = (
    "SELECT count(*), md5(coalesce(string_agg(line, E'\\n' ORDER BY line), '')) "
    "FROM (SELECT stored::text AS line FROM {} AS stored) AS lines"
)
SCHEMA = """
    SELECT pg_get_indexdef(oid) FROM pg_class
    WHERE relkind = 'i' AND relnamespace = 'public'::regnamespace
    UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || convalidated FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    ORDER BY 1
"""
IS_VACUUMED = """
    SELECT relallvisible > 0, reltuples,
        EXISTS (SELECT FROM pg_stats WHERE tablename = 'task_search')
    FROM pg_class WHERE oid = 'tasks_task'::regclass
"""


@pytest.fixture(params=[(18, 18), (15, 18)], ids=["same version", "from 15 to 18"])
def clusters(request: pytest.FixtureRequest) -> Iterator[tuple[Cluster, Cluster]]:
    with ExitStack() as running:
        old, new = (running.enter_context(Cluster.running(version)) for version in request.param)
        yield old, new


def make_database(cluster: Cluster) -> str:
    """The URL of an empty database, whose user has only the rights that the README requires."""
    cluster.execute(f"CREATE ROLE {NAME} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
    cluster.execute(f"CREATE DATABASE {NAME} OWNER {NAME} TEMPLATE template0 ENCODING 'UTF8'")
    return cluster.url_of(NAME, PASSWORD, NAME)


def fill(cluster: Cluster, url: str) -> None:
    run(url, "migrate")
    staff = ("createsuperuser", "--noinput", "--username=carol", "--email=carol@example.com")
    run(url, *staff, DJANGO_SUPERUSER_PASSWORD="a-long-one-for-carol")
    cluster.execute(FILL, NAME)
    cluster.execute(HISTORY, NAME)
    # The newest task is deleted permanently: its id must not be used again.
    cluster.execute(f"DELETE FROM tasks_task WHERE id = {TASKS + 1}", NAME)


def run(url: str, *arguments: str, **variables: Any) -> str:
    done = manage(url, *arguments, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def contents(cluster: Cluster) -> dict[str, Any]:
    """A digest of the rows of each table, and the indexes, triggers, functions and constraints."""
    tables = [name for (name,) in cluster.execute(TABLES, NAME)]
    rows = {name: cluster.execute(DIGEST.format(name), NAME) for name in tables}
    return {**rows, "schema": cluster.execute(SCHEMA, NAME)}


def roles(cluster: Cluster) -> list[Any]:
    return cluster.execute(f"SELECT rolname FROM pg_roles WHERE rolname ~ '^{NAME}' ORDER BY 1")


def test_a_dump_is_restored_on_a_new_cluster(
    clusters: tuple[Cluster, Cluster], tmp_path: Path
) -> None:
    old, new = clusters
    url = make_database(old)
    fill(old, url)
    before = contents(old)
    assert before["tasks_task"][0][0] == TASKS
    dump = old.folder / "tasks.dump"
    # pg_dump of the server's version: another version may not know the catalogue.
    old.run("pg_dump", "--format=custom", f"--file={dump}", url)
    url = make_database(new)
    restore = ("pg_restore", "--single-transaction", f"--dbname={url}", dump)

    # Roles are not part of a dump, and without the role nothing is restored.
    with pytest.raises(subprocess.CalledProcessError) as refused:
        new.run(*restore, stderr=subprocess.PIPE)
    assert f'role "{ROLE}" does not exist'.encode() in refused.value.stderr
    assert new.execute(TABLES, NAME) == []

    new.run(*restore, "--no-owner", "--no-privileges")
    assert contents(new) == before
    assert roles(new) == [(NAME,)]
    assert manage(url, "doctor").returncode == 1

    assert "The operations of the API were installed" in run(url, "migrate")
    assert roles(new) == [(NAME,), (ROLE,)]
    tables = ("tasks_task", "tasks_changedtask", "tasks_pageview", "django_admin_log")
    new.run("vacuumdb", "--analyze", *(f"--table={table}" for table in tables), url)
    assert new.execute(IS_VACUUMED, NAME) == [(True, TASKS, True)]
    assert run(url, "doctor").endswith("\n\nAll is well.\n")
    assert contents(new) == before
    check_requests(url, tmp_path / "log")
    check_columns(new)
    check_tokens(old, new)


def check_requests(url: str, log: Path) -> None:
    token = token_of("user 7")
    with Server(log, **environment(url, BETTER_AUTH_SECRET=SECRET)) as server:

        def send(method: str, path: str, body: Any = None) -> Any:
            answer = server.request(method, f"/api/user%207/tasks{path}", body, token=token)
            assert answer.status in {200, 201}, answer.body
            return answer.json()

        assert server.request("GET", "/health/ready").status == 200
        assert send("GET", "?limit=1")["count"] == TASKS // 50
        stored = send("GET", "/7")
        assert (stored["title"], stored["description"]) == ("Täsk 📋 7", "")
        changed = send("PATCH", "/7", {"complete": True})
        assert changed["updated_at"] > stored["updated_at"]
        assert changed["completed_at"] == changed["updated_at"]
        with_tag = range(57, TASKS + 1, 150)
        due = send("GET", "/57")
        assert (due["due_date"], due["tags"]) == ("9999-11-04", ["Café 📋", '"a" \\ {} 57'])
        assert send("GET", "?tag=CAF%C3%89%20%F0%9F%93%8B&limit=1")["count"] == len(with_tag)
        new = {"title": "Äpfel", "due_date": "2026-01-31T17:30:00+01:00", "tags": ["Büro"]}
        assert send("POST", "", new)["id"] == TASKS + 2
        assert send("GET", "?tag=b%C3%9Cro")["tasks"] == [send("GET", f"/{TASKS + 2}")]


def check_tokens(old: Cluster, new: Cluster) -> None:
    """A sync token of the old server ends. Those of the new one do not depend on what the old one
    has recorded, although its transactions may be later than any here.
    """
    new.execute(
        "INSERT INTO tasks_change SELECT user_hash, (xid::text::bigint + 10^9)::text::xid8, true"
        " FROM tasks_change ON CONFLICT DO NOTHING",
        NAME,
    )

    def sync(cluster: Cluster, position: Any = None) -> Any:
        query = json.dumps({"limit": 1000, "position": position})
        statement = f"SELECT tasks::json, beside FROM tasks_api.sync_tasks('user 7', '{query}')"
        ((tasks, beside),) = cluster.execute(statement, NAME)
        if beside is None:
            return None
        if beside["more"]:
            more, end = sync(cluster, beside["position"])
            return tasks + more, end
        return tasks, beside["position"]

    _, of_old = sync(old)
    assert sync(old, of_old)[0] == []
    assert sync(new, of_old) is None
    tasks, of_new = sync(new)
    assert len(tasks) == TASKS // 50 + 1
    new.execute("UPDATE tasks_task SET description = 'new' WHERE id IN (7, 8)", NAME)
    tasks, position = sync(new, of_new)
    assert [task["id"] for task in tasks] == [7]
    assert sync(new, position)[0] == []


def check_columns(cluster: Cluster) -> None:
    """The trigger and the constraints call functions, which a restore must create before."""
    stored = f"SELECT folded, tags_folded FROM tasks_task WHERE id = {TASKS + 2}"
    assert cluster.execute(stored, NAME) == [(["äpfel", None], ["büro"])]
    for column, value in (("tags", '{a," b"}'), ("due_day", "infinity")):
        with pytest.raises(psycopg.errors.CheckViolation):
            cluster.execute(f"UPDATE tasks_task SET {column} = $${value}$$ WHERE id = 7", NAME)
