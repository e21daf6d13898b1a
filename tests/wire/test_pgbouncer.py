"""Behind PgBouncer in transaction mode, where each statement may use another connection.

Anything that is left in a session would affect the next client there.
"""

import json
import os
import re
import signal
import socket
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any
from urllib.parse import urlencode

import orjson
import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.test import Client

from config.database import configure, configure_api, derived_role
from tasks.models import Task
from tasks.operations.role import TIMEOUTS
from tests import processes
from tests.commands import wait_until
from tests.people import SECRET, token_of
from tests.processes import INHERITED
from tests.server import Server, database_url, free_port
from tests.wire.daemons import POOL, PgBouncer

OPERATIONS = int(os.environ.get("POOLER_OPERATIONS", "1000"))
CONNECTIONS = 16
CLIENTS = 24
KEPT = 200
READS = 2
"""Per delete of the same client."""
PEOPLE = [f"person-{number:02}" for number in range(50)]
SHARES = {"create": 22, "list": 20, "read": 22, "replace": 12, "change": 12, "delete": 8, "spy": 4}

NAME = re.compile(rb"person-\d\d")
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@pytest.fixture(scope="module")
def migrated(django_db_setup: None) -> None:
    """Once for all poolers: the password of the role does not depend on the port."""
    with PgBouncer() as pooler:
        pooler.migrate()


@pytest.fixture
def pooler(migrated: None, transactional_db: None) -> Iterator[PgBouncer]:
    with PgBouncer() as running:
        yield running


@pytest.fixture
def server(pooler: PgBouncer, tmp_path: Path) -> Iterator[Server]:
    with behind(pooler.url, tmp_path) as running:
        yield running


def behind(url: str, folder: Path) -> Server:
    environment = {"DATABASE_URL": url, "BETTER_AUTH_SECRET": SECRET, "WEB_CONCURRENCY": "2"}
    return Server(folder / "log", **environment)


def role() -> str:
    return derived_role(connection.settings_dict["NAME"])


class Crowd:
    """Many users on one connection, who check every byte of their answers."""

    def __init__(self, port: int, seed: int) -> None:
        self.random = Random(seed)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.unread = b""
        self.tokens = {person: token_of(person) for person in PEOPLE}
        self.own: dict[str, list[int]] = {person: [] for person in PEOPLE}
        self.created: dict[str, set[int]] = defaultdict(set)
        self.listed: dict[str, set[int]] = defaultdict(set)
        self.deleted = 0

    def ask(self, person: str, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """The status and the body. Neither the body nor the headers may name another person."""
        data = b"" if body is None else orjson.dumps(body)
        request_id = f"{person}.{self.random.getrandbits(64):x}"
        head = (
            f"{method} /api/{person}/tasks{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {self.tokens[person]}\r\nX-Request-ID: {request_id}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + data)
        status, answer, content = self._answer()
        assert request_id.encode() in answer
        assert set(NAME.findall(answer + content)) == {person.encode()}, (person, answer, content)
        return status, content

    def _answer(self) -> tuple[int, bytes, bytes]:
        while (end := self.unread.find(b"\r\n\r\n")) < 0:
            self._receive()
        head = self.unread[: end + 4]
        found = LENGTH.search(head)
        length = end + 4 + (int(found[1]) if found else 0)
        while len(self.unread) < length:
            self._receive()
        content, self.unread = self.unread[end + 4 : length], self.unread[length:]
        return int(head[9:12]), head, content

    def _receive(self) -> None:
        chunk = self.socket.recv(65536)
        assert chunk, "The server closed the connection."
        self.unread += chunk

    def task(self, person: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
        status, content = self.ask(person, method, path, body)
        task: dict[str, Any] = orjson.loads(content)
        assert status == (201 if method == "POST" else 200), content
        assert task["user_id"] == person
        assert task["title"].startswith(person)
        assert path in ("", f"/{task['id']}")
        return task

    def run(self, operations: int) -> "Crowd":
        with self.socket:
            for _ in range(operations):
                person = self.random.choice(PEOPLE)
                (name,) = self.random.choices([*SHARES], [*SHARES.values()])
                getattr(self, name if self.own[person] or name in ("list", "spy") else "create")(
                    person
                )
        return self

    def _some(self, person: str) -> str:
        return f"/{self.random.choice(self.own[person])}"

    def _text(self, person: str) -> str:
        return f"{person} {self.random.random()}"

    def create(self, person: str) -> None:
        body = {"title": self._text(person), "description": self._text(person)}
        made = self.task(person, "POST", "", body)["id"]
        self.own[person].append(made)
        self.created[person].add(made)

    def list(self, person: str) -> None:
        status, content = self.ask(person, "GET", "?limit=10")
        tasks = orjson.loads(content)["tasks"] if status == 200 else None
        assert tasks is not None, content
        for task in tasks:
            assert task["user_id"] == person
            assert task["title"].startswith(person)
            self.listed[person].add(task["id"])

    def read(self, person: str) -> None:
        self.task(person, "GET", self._some(person))

    def replace(self, person: str) -> None:
        title = self._text(person)
        body = {"title": title, "complete": self.random.random() < 0.5}
        assert self.task(person, "PUT", self._some(person), body)["title"] == title

    def change(self, person: str) -> None:
        text = self._text(person)
        body = {"description": text}
        assert self.task(person, "PATCH", self._some(person), body)["description"] == text

    def delete(self, person: str) -> None:
        task = self.own[person].pop()
        assert self.ask(person, "DELETE", f"/{task}")[0] == 204
        self.deleted += 1

    def spy(self, person: str) -> None:
        other = self.random.choice([each for each in PEOPLE if each != person])
        if self.own[other]:
            assert self.ask(person, "GET", self._some(other))[0] == 404
        else:
            self.list(person)


def test_a_crowd_on_shared_connections_sees_no_data_of_others(
    pooler: PgBouncer, server: Server, record_property: Any
) -> None:
    crowds = [Crowd(server.port, seed) for seed in range(CONNECTIONS)]
    start = perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        running = [pool.submit(crowd.run, OPERATIONS // CONNECTIONS) for crowd in crowds]
        for each in running:
            each.result()
    record_property("operations_per_second", round(OPERATIONS / (perf_counter() - start)))

    created = {person: set[int]().union(*(c.created[person] for c in crowds)) for person in PEOPLE}
    for person in PEOPLE:
        assert set[int]().union(*(crowd.listed[person] for crowd in crowds)) <= created[person]
    total = sum(map(len, created.values()))
    assert len(set[int]().union(*created.values())) == total
    assert Task.objects.alive().count() == total - sum(crowd.deleted for crowd in crowds)
    assert not Task.objects.exclude(title__startswith=F("user_id")).exists()
    assert is_shared(pooler)


@pytest.mark.parametrize("query", ["", "?pgbouncer=true"], ids=["unset", "set"])
def test_no_read_ever_runs_the_delete_of_another_client(
    pooler: PgBouncer, tmp_path: Path, query: str
) -> None:
    """As it did when connections prepared their statements under the same names."""
    kept, doomed = some_tasks(KEPT), some_tasks(OPERATIONS // (READS + 1))
    with behind(pooler.url + query, tmp_path) as server, ThreadPoolExecutor(CLIENTS) as pool:
        clients = [
            pool.submit(read_and_delete, server.port, kept, doomed[number::CLIENTS])
            for number in range(CLIENTS)
        ]
        wrong = [answer for client in clients for answer in client.result()]
        assert is_shared(pooler)
    alive = set(Task.objects.alive().values_list("id", flat=True))

    assert wrong == []
    assert {task.pk for task in kept} - alive == set(), "lost"
    assert {task.pk for task in doomed} & alive == set(), "not deleted"


def some_tasks(number: int) -> list[Task]:
    Task.objects.bulk_create(
        (Task(user_id="alice", title=f"Task {each}") for each in range(number)), batch_size=1000
    )
    return list(Task.objects.order_by("-pk")[:number])


def read_and_delete(port: int, kept: list[Task], doomed: list[Task]) -> list[Any]:
    """Returns the answers that are wrong. The order of the requests is random."""
    random, wrong = Random(port + doomed[0].pk), list[Any]()
    headers = {"Authorization": f"Bearer {token_of('alice')}"}
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as wire:
        for gone in doomed:
            expected = [
                ("GET", task, 200, as_answered(task)) for task in random.sample(kept, READS)
            ]
            expected.append(("DELETE", gone, 204, b""))
            random.shuffle(expected)
            for method, task, status, content in expected:
                wire.request(method, f"/api/alice/tasks/{task.pk}", headers=headers)
                response = wire.getresponse()
                answer = response.status, response.read()
                if answer != (status, content):
                    wrong.append((method, task.pk, *answer))
    return wrong


def as_answered(task: Task) -> bytes:
    created, updated = (
        time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for time in (task.created_at, task.updated_at)
    )
    return orjson.dumps(
        {
            "id": task.pk,
            "user_id": task.user_id,
            "title": task.title,
            "description": None,
            "complete": False,
            "priority": "medium",
            "due_date": None,
            "tags": [],
            "completed_at": None,
            "created_at": created,
            "updated_at": updated,
        }
    )


def is_shared(pooler: PgBouncer) -> bool:
    """Whether the API has more connections to the pooler than the pooler to the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", [role()])
        (out,) = cursor.fetchone()
    return bool(1 < out <= POOL < pooler.clients().count(role()))


def api_through(pooler: PgBouncer) -> psycopg.Connection[Any]:
    """A connection of the API's role, as the server would open it."""
    password = configure_api(configure(pooler.url, Path()), "", Path())["PASSWORD"]
    return psycopg.connect(
        pooler.url, user=role(), password=password, autocommit=True, prepare_threshold=None
    )


def test_settings_of_the_role_are_in_force(pooler: PgBouncer) -> None:
    with api_through(pooler) as api:
        shown = {
            name: api.execute(f"SHOW {name}").fetchone()
            for name in ("session_authorization", *TIMEOUTS)
        }

    assert shown == {
        "session_authorization": (role(),),
        "statement_timeout": ("2s",),
        "lock_timeout": ("1500ms",),
        "idle_in_transaction_session_timeout": ("5s",),
    }


def test_a_lock_that_is_held_too_long_is_503(server: Server) -> None:
    task = Task.objects.create(user_id="alice", title="x")
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT * FROM tasks_task WHERE id = %s FOR UPDATE", [task.pk])
        start = perf_counter()
        answer = server.request("DELETE", f"/api/alice/tasks/{task.pk}", token=token_of("alice"))
        assert perf_counter() - start < 5

    assert answer.status == 503
    assert answer.json()["error_code"] == "DATABASE_ERROR"
    assert Task.objects.filter(pk=task.pk).exists()


def test_the_pooler_refuses_a_wrong_password(pooler: PgBouncer) -> None:
    """So the other tests do sign in by `auth_query`, with the password that `migrate` set."""
    with pytest.raises(psycopg.OperationalError, match="SASL authentication failed"):
        psycopg.connect(pooler.url, user=role(), password="guessed")


def test_staff_work_through_the_pooler(server: Server, settings: Any) -> None:
    settings.SECRET_KEY = server.environment["SECRET_KEY"]  # signs the session
    task = Task.objects.create(user_id="alice", title="Buy milk")
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="unused"))
    token = "0" * 32
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    headers = {
        "Cookie": f"__Host-session={session}; __Host-csrf={token}",
        "X-Forwarded-Proto": "https",
        "Referer": f"https://127.0.0.1:{server.port}/admin/",
    }
    page = server.request("GET", "/admin/tasks/task/", headers=headers)
    form = {
        "csrfmiddlewaretoken": token,
        "user_id": "alice",
        "title": "Buy bread",
        "priority": "high",
        "complete": "on",
        "initial-title": "Buy milk",
        "initial-priority": "medium",
        "initial-complete": "False",
    }
    saved = server.request(
        "POST",
        f"/admin/tasks/task/{task.pk}/change/",
        urlencode(form).encode(),
        headers={**headers, "Content-Type": "application/x-www-form-urlencoded"},
    )

    assert page.status == 200
    assert b"Buy milk" in page.body
    assert (saved.status, saved.headers["Location"]) == (302, "/admin/tasks/task/")
    task.refresh_from_db()
    assert (task.title, task.priority, task.complete) == ("Buy bread", "high", True)


def manage(server: Server, *arguments: str) -> str:
    environment = server.environment | {"DJANGO_SUPERUSER_PASSWORD": "made-up-for-this-test"}
    done = processes.manage(*arguments, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_commands_work_through_the_pooler(server: Server) -> None:
    manage(server, "migrate", "tasks", "0001")
    manage(server, "migrate")
    manage(server, "createsuperuser", "--noinput", "--username=root", "--email=root@example.com")

    assert User.objects.get().username == "root"
    body = {"title": "after the migration"}
    made = server.request("POST", "/api/alice/tasks", body, token=token_of("alice"))
    assert made.status == 201


def test_the_demo_leaves_no_lock_behind(pooler: PgBouncer, tmp_path: Path) -> None:
    """Behind a pooler, a lock of a session would stay on a connection that others get."""
    environment = INHERITED | {
        "DATABASE_URL": pooler.url,
        "DEBUG": "true",
        "PORT": str(free_port()),
        "WEB_CONCURRENCY": "1",
    }
    printed = tmp_path / "printed"
    with printed.open("wb") as output:
        process = processes.Process("serve", "--demo", env=environment, stdout=output.fileno())
    try:
        wait_until(lambda: "Ctrl-C" in printed.read_text())
        assert locks() == []
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
    assert locks() == []


def locks() -> list[Any]:
    with psycopg.connect(database_url()) as other:
        return other.execute(
            "SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory'"
        ).fetchall()


def test_readiness_is_checked_through_the_pooler(pooler: PgBouncer, server: Server) -> None:
    assert server.request("GET", "/health/ready").status == 200
    assert {role(), connection.settings_dict["USER"]} <= set(pooler.clients())


def test_doctor_detects_the_pooler_without_configuration(server: Server) -> None:
    report = json.loads(manage(server, "doctor", "--json"))

    details = {check["name"]: check["detail"] for check in report["checks"]}
    assert details["pooler"] == "one in between"
