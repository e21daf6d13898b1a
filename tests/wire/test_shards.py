"""Three shards behind PL/Proxy: whose tasks are where, and what a dead shard harms.

`python -m tests.shards` runs the tests of the API through the same proxy.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from tasks.admin.change import validate_user_id
from tasks.operations.installation import COMMENT, MARK, REVISION
from tasks.operations.shards import Shard
from tests.cluster import manage
from tests.commands import execute, run
from tests.people import SECRET, token_of
from tests.server import Answer, Server
from tests.shards import DATABASE, SHARDS, Shards

pytestmark = pytest.mark.django_db

USERS = [f"user-{number}" for number in range(12)] + ["Zoë", "a/b", "東京"]


@pytest.fixture(scope="module")
def shards() -> Iterator[Shards]:
    with Shards.running() as shards:
        yield shards


@pytest.fixture(scope="module")
def server(shards: Shards, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Only its URLs differ from those of a service with one database."""
    log = tmp_path_factory.mktemp("server") / "log"
    urls = {"DATABASE_URL": shards.url, "API_DATABASE_URL": shards.api_url}
    with Server(log, BETTER_AUTH_SECRET=SECRET, **urls) as server:
        yield server


def shard_of(user: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT abs(hashtext(%s) %% %s)", [user, SHARDS])
        place: int = cursor.fetchone()[0]
    return place + 1


def create(server: Server, user: str) -> Answer:
    return server.request(
        "POST", f"/api/{quote(user, safe='')}/tasks", {"title": "x"}, token=token_of(user)
    )


def test_tasks_are_on_the_shard_of_their_user_and_ids_are_unique(
    server: Server, shards: Shards
) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda user: create(server, user), USERS * 4))
    ids = [answer.json()["id"] for answer in answers]

    assert {answer.status for answer in answers} == {201}
    assert len(set(ids)) == len(ids)
    for number in range(1, SHARDS + 1):
        rows = shards.execute(number, "SELECT user_id, id FROM tasks_task")
        assert {user for user, _ in rows} == {user for user in USERS if shard_of(user) == number}
        assert {task % SHARDS for _, task in rows} == {number % SHARDS}
    assert {shard_of(user) for user in USERS} == {1, 2, 3}


def test_a_dead_shard_is_a_503_for_its_users_alone(server: Server, shards: Shards) -> None:
    users = {shard_of(user): user for user in USERS}

    def statuses() -> list[int]:
        return [create(server, users[number]).status for number in range(1, SHARDS + 1)]

    assert statuses() == [201, 201, 201]
    dead = shards.shards[1]
    dead.control("stop", "-m", "immediate")
    try:
        create(server, users[2])  # finds that its connection is lost
        answer = create(server, users[2])
        assert answer.json()["error_code"] == "DATABASE_ERROR"
        assert "Nothing was done" in answer.json()["detail"]
        assert answer.headers["Retry-After"]
        assert statuses() == [201, 503, 201]
        assert server.request("GET", "/health/ready").status == 200
    finally:
        dead.control("start", "-l", dead.folder / "log")
    assert statuses() == [201, 201, 201]


def test_the_doctor_knows_the_proxy_and_every_shard(shards: Shards) -> None:
    def lines() -> list[tuple[str, str, str]]:
        done = manage(shards.url, "doctor", "--json", API_DATABASE_URL=shards.api_url)
        checks = json.loads(done.stdout)["checks"]
        names = ("operations", "shard", "shards", "role of the API")
        return [
            (each["name"], each["status"], each["detail"])
            for each in checks
            if each["name"] in names
        ]

    role = f"{DATABASE}_tasks_api: operations only, at the proxy of the shards"
    assert lines() == [
        ("operations", "ok", f"all installed, revision {REVISION}"),
        ("role of the API", "ok", role),
        ("shard", "ok", "DATABASE_URL is shard 1 of 3"),
        ("shards", "ok", f"3 of 3 answer, revision {REVISION}"),
    ]
    comment = f"COMMENT ON SCHEMA tasks_api IS '{MARK}1'"
    shards.proxy.execute(comment, DATABASE)
    shards.execute(2, "ALTER SEQUENCE tasks_task_id_seq INCREMENT BY 1")
    shards.execute(3, comment)
    try:
        assert [detail for name, _, detail in lines() if name == "shards"] == [
            "the functions of the proxy are from another release",
            "shard 2 of 3 makes the ids of an ordinary database",
            "shard 3 of 3 has the operations of another release",
        ]
    finally:
        shards.proxy.execute(shards.plan, DATABASE)
        shards.execute(2, Shard(2, SHARDS).numbering())
        shards.execute(3, f"COMMENT ON SCHEMA tasks_api IS '{COMMENT}'")


def test_a_command_says_on_which_shard_it_is(shards: Shards) -> None:
    user = next(user for user in USERS if shard_of(user) == 2)
    erase = ("erase_user", f"--user=id:{user}", "--dry-run", "--json")
    wrong, right = (manage(url, *erase) for url in shards.urls[:2])

    assert wrong.returncode == 1
    assert f"The tasks of {user} are on shard 2 of 3." in wrong.stderr
    assert right.returncode == 0, right.stderr
    assert "This is shard 2 of 3." in right.stderr
    assert json.loads(right.stdout)["shard"] == "shard 2 of 3"


def test_a_file_with_tasks_of_another_shard_is_refused(shards: Shards, tmp_path: Path) -> None:
    file = tmp_path / "tasks.csv"
    file.write_text("user_id,title\n" + "".join(f"{user},x\n" for user in USERS))
    done = manage(shards.url, "import_tasks", str(file))

    assert done.returncode == 1
    assert "This is shard 1 of 3, and a task is of a user of another one." in done.stderr
    assert "Traceback" not in done.stderr


def test_staff_cannot_add_a_task_where_its_user_would_not_find_it() -> None:
    user = next(user for user in USERS if shard_of(user) == 2)
    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE tasks_task_id_seq INCREMENT BY 3 START WITH 1")
    with pytest.raises(ValidationError, match="are on shard 2 of 3"):
        validate_user_id(user)


def test_no_task_gets_onto_a_shard_where_its_user_would_not_find_it(shards: Shards) -> None:
    user = next(user for user in USERS if shard_of(user) == 2)
    insert = f"INSERT INTO tasks_task (user_id, title) VALUES ('{user}', 'x')"
    shards.execute(2, insert)
    with pytest.raises(psycopg.errors.CheckViolation, match="task_of_this_shard"):
        shards.execute(1, insert)


def test_the_ids_of_a_shard_that_had_tasks_go_on_after_them(shards: Shards) -> None:
    for number in range(1, SHARDS + 1):
        for last in (1, 2, 3, 7, 1000):
            shards.execute(number, f"SELECT setval('tasks_task_id_seq', {last})")
            shards.execute(number, Shard(number, SHARDS).numbering())
            ((following,),) = shards.execute(number, "SELECT nextval('tasks_task_id_seq')")
            assert last < following <= last + 2 * SHARDS
            assert following % SHARDS == number % SHARDS


def test_a_plan_for_one_shard_is_that_of_its_ids() -> None:
    assert run("shard_plan", "a", "b:5433", "[::1]:1", "--ids=2").out == (
        f"{Shard(2, 3).numbering()}\n"
    )


@pytest.mark.parametrize("arguments", [["a", "a"], ["a:x"], [":5"], ["a", "--ids=2"], ["a b"], []])
def test_a_plan_needs_addresses_that_differ(arguments: list[str]) -> None:
    assert run("shard_plan", *arguments).status != 0


def test_a_plan_needs_a_shard_of_this_release(db: None) -> None:
    execute("DROP FUNCTION tasks_api.read_task(text, bigint)")

    done = run("shard_plan", "a", "b")

    assert (done.status, done.out) == (1, "")
    assert done.err == (
        "The database of DATABASE_URL must be a shard of this release: run migrate."
    )


def test_a_database_with_tasks_does_not_become_the_proxy(shards: Shards) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="has tasks"):
        shards.execute(1, shards.plan)
