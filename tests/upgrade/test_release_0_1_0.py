"""A database of release 0.1.0 is upgraded by one `migrate`, and keeps all its data.

`release-0.1.0.sql` was dumped from that release (commit 3256288), after its API, its commands and
its admin had filled it. `release-0.1.0.json` has what its API answered for each user. They are
files, because a checkout in CI may not have the history of the project.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from tests.cluster import Cluster, manage
from tests.people import SECRET, token_of
from tests.server import Server

HERE = Path(__file__).parent
DUMP = HERE / "release-0.1.0.sql"
ANSWERS: dict[str, list[dict[str, Any]]] = json.loads(
    (HERE / "release-0.1.0.json").read_text(encoding="utf-8")
)
VERSIONS = (15, 16, 18) if os.environ.get("CI") else (18,)
NAME, OWNER, PASSWORD = "tasks", "tasks", "owner"
NEW_FIELDS: dict[str, Any] = {"due_date": None, "tags": []}
STAFF_DATA = """
    SELECT username, password, is_superuser, object_id, action_flag, change_message
    FROM auth_user JOIN django_admin_log ON auth_user.id = user_id
"""


def test_the_dump_is_of_release_0_1_0() -> None:
    applied = re.findall(
        r"django_migrations VALUES \(\d+, 'tasks', '(\w+)'", DUMP.read_text(encoding="utf-8")
    )

    assert applied == [
        "0001_initial",
        "0002_trash",
        "0004_search",
        "0005_history",
        "0006_groups",
        "0007_operations",
    ]


@pytest.fixture(params=VERSIONS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the database of release 0.1.0, on a server with its roles."""
    with Cluster.running(request.param) as cluster:
        yield restore(cluster)


def restore(cluster: Cluster) -> str:
    roles, _, rest = DUMP.read_text(encoding="utf-8").partition("\n\n")
    cluster.execute(roles)
    cluster.execute(f"CREATE DATABASE {NAME} OWNER {OWNER}")
    cluster.execute(rest, NAME)
    return cluster.url_of(OWNER, PASSWORD, NAME)


def test_one_migrate_upgrades_and_keeps_all_data(url: str, tmp_path: Path) -> None:

    before = rows(url, "SELECT id, deleted_at FROM tasks_task WHERE deleted_at IS NOT NULL")
    staff = rows(url, STAFF_DATA)

    done = manage(url, "migrate")
    assert done.returncode == 0, done.stderr
    again = manage(url, "migrate")
    assert (again.returncode, "No migrations to apply." in again.stdout) == (0, True)

    checked = manage(url, "doctor")
    assert checked.returncode == 0, checked.stdout
    assert len(before) == 5
    assert rows(url, "SELECT id, deleted_at FROM tasks_task WHERE deleted_at IS NOT NULL") == before
    assert len(staff) == 1
    assert rows(url, STAFF_DATA) == staff
    assert rows(url, "SELECT nspname FROM pg_namespace WHERE nspname = 'api'") == []

    with Server(tmp_path / "log", DATABASE_URL=url, BETTER_AUTH_SECRET=SECRET) as server:
        assert server.request("GET", "/health/ready").status == 200
        assert_answers_are_the_same(server)
        assert_tasks_can_be_changed_and_found(server)


def test_servers_of_that_release_must_end_first_on_postgresql_15(tmp_path: Path) -> None:
    """Later versions can change a table while functions name it."""
    with Cluster.running(15) as cluster:
        url = restore(cluster)
        cluster.execute("ALTER ROLE tasks_api PASSWORD 'x'")
        with psycopg.connect(cluster.url_of("tasks_api", "x", NAME)):
            done = manage(url, "migrate")
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == (
            "CommandError: The functions of an earlier release, in the schema api, were kept: its "
            "servers have 1 connection open. Run migrate again once they have ended. "
            "PostgreSQL 15 cannot change the table of tasks before they are removed."
        )

        assert manage(url, "migrate").returncode == 0


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return sorted(connection.execute(statement).fetchall())


def assert_answers_are_the_same(server: Server) -> None:
    assert sum(map(len, ANSWERS.values())) == 53
    for user, tasks in ANSWERS.items():
        path = f"/api/{quote(user, safe='')}/tasks"
        answer = server.request("GET", path, token=token_of(user)).json()

        expected = [{**task, **NEW_FIELDS} for task in tasks]
        assert (answer["tasks"], answer["count"]) == (expected, len(tasks))


def assert_tasks_can_be_changed_and_found(server: Server) -> None:
    token = token_of("alice")
    tasks = ANSWERS["alice"]
    change = {"due_date": "2026-12-24", "tags": ["home"]}
    path = f"/api/alice/tasks/{tasks[0]['id']}"
    changed = server.request("PATCH", path, change, token=token).json()
    found = server.request("GET", f"/api/alice/tasks?q={quote('SS Σ')}", token=token).json()
    created = server.request("POST", "/api/alice/tasks", {"title": "New"}, token=token).json()

    assert changed == {**tasks[0], **change, "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > tasks[0]["updated_at"]
    assert [each["title"] for each in found["tasks"]] == ["\ufdfa \u0130stanbul \u1e9e \u03c2"]
    assert created["id"] > max(task["id"] for tasks in ANSWERS.values() for task in tasks)
