"""An upgrade and its rollback under load: servers of two releases use one database.

The newer release is a copy of this one with another column, which the operations set and show.
"""

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from threading import Event
from typing import Any, Self

import pytest

from tasks.operations.installation import MARK, REVISION
from tests import contract
from tests.cluster import Cluster, environment, manage
from tests.people import SECRET, token_of
from tests.processes import ROOT, Process
from tests.server import Answer, Server, free_port
from tests.wire.daemons import PgBouncer

CLIENTS = 20
VERSIONS = (15, 18) if os.environ.get("CI") else (18,)
"""Outside CI only the newest one, to save time."""

REQUESTS = int(os.environ.get("UPGRADE_REQUESTS", "20"))
"""That a server, or all of them, answer in each state of an upgrade."""
INSTALLATIONS = REQUESTS // 5
"""Of the operations, after each `migrate`, because one installation seldom reveals a short gap."""
TIMEOUT = 60.0
"""Seconds for each state before the test fails."""
SHARES = {"list": 15, "create": 20, "read": 20, "replace": 15, "change": 20, "delete": 10}
MAX_TASKS = 12
"""Of a client, before it deletes some."""
PAUSE, KEEP_PROBABILITY = (0.05, 0.95) if os.environ.get("CI") else (0.1, 0.8)
"""Seconds from an answer to the next request of the same client, and the probability that it keeps
its connection. Outside CI it is lower, so that a new server gets its share of clients sooner."""
READINESS_INTERVAL = 0.1
"""Seconds between two checks of the readiness of all servers."""

Task = dict[str, Any]
DEFAULTS: Task = {"description": None, "priority": "medium", "due_date": None, "tags": []}
FIELDS = {"id", "user_id", "title", "complete", *DEFAULTS}
TIMES = {"completed_at", "created_at", "updated_at"}
# The copy must not be measured as part of this tree's coverage.
UNMEASURED = {"COVERAGE_PROCESS_CONFIG": "", "COVERAGE_PROCESS_START": ""}

MIGRATION = """\
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("tasks", "{last}")]
    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '1s'", migrations.RunSQL.noop),
        migrations.AddField("task", "colour", models.TextField(null=True, blank=True)),
    ]
"""
GIVEN_OR_STORED = "CASE WHEN given ? 'colour' THEN given ->> 'colour' ELSE stored.colour END"
EDITS = {
    "tasks/models.py": [
        ("    complete = models.", "    colour = models.TextField(null=True, blank=True)\n"),
    ],
    "tasks/schemas.py": [
        ("    complete: bool = False\n", "    colour: str | None = None\n"),
        ("    complete: bool\n    priority: PriorityOut", "    colour: str | None = None\n"),
    ],
    "tasks/operations/operations.sql": [
        (
            "        || ',\"complete\":'",
            "        || ',\"colour\":' || coalesce(to_json(task.colour)::text, 'null')\n",
        ),
        ('"complete": false', '"colour": null, '),
        ("complete,priority,due_date,tags}'::text[] = '{}'", "colour,"),
        (
            "        AND coalesce(jsonb_typeof(given -> 'complete')",
            "        AND coalesce(jsonb_typeof(given -> 'colour') IN ('string', 'null'), true)\n",
        ),
        ("complete, priority, due_day,", "colour, "),
        ("        (fields -> 'complete')::boolean", "        fields ->> 'colour',\n"),
        ("        complete = coalesce(", f"        colour = {GIVEN_OR_STORED},\n"),
    ],
}
"""For each file, existing text, and what the newer release has in front of it."""

INSTALL_AGAIN = f"""
from django.db import connection
from tasks.operations import installation
for _ in range({INSTALLATIONS}):
    with connection.cursor() as cursor:
        cursor.execute("COMMENT ON SCHEMA tasks_api IS '{MARK}0'")
    assert installation.install(connection)
"""


@pytest.fixture(autouse=True)
def _documents_of_both_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads(contract.DOCUMENT.read_text(encoding="utf-8"))
    properties = document["components"]["schemas"]["TaskOut"]["properties"]
    properties["colour"] = {"type": ["string", "null"]}
    both = contract.Contract(document)
    monkeypatch.setattr(contract, "contract", lambda: both)


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the newer release."""
    root = tmp_path_factory.mktemp("newer")
    for name in ("authjwt", "config", "tasks"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", root)
    for name, edits in EDITS.items():
        for place, addition in edits:
            edit(root / name, place, addition + place)
    is_now = f"\nREVISION = {REVISION}\n"
    edit(root / "tasks/operations/installation.py", is_now, f"\nREVISION = {REVISION + 1}\n")
    migrations = root / "tasks/migrations"
    last = max(path.stem for path in migrations.glob("[0-9]*.py"))
    migration = migrations / f"{int(last[:4]) + 1:04}_colour.py"
    migration.write_text(MIGRATION.format(last=last))
    return root


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{path.name} has {text.count(old)} times: {old}"
    path.write_text(text.replace(old, new))


@pytest.fixture(params=VERSIONS, ids=lambda version: f"PostgreSQL {version}")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster.running(request.param) as running:
        yield running


@pytest.fixture(params=["direct", "pooled"])
def url(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[str]:
    with ExitStack() as running:
        is_pooled = request.param == "pooled"
        yield running.enter_context(PgBouncer(cluster)).url if is_pooled else cluster.url


def migrate(url: str, root: Path) -> str:
    return run(url, root, "migrate")


def run(url: str, root: Path, *command: str) -> str:
    done = manage(url, *command, root=root, **UNMEASURED)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Instance(Server):
    """A server of the release in `root`."""

    def __init__(self, root: Path, url: str, log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self.environment = environment(
            url,
            BETTER_AUTH_SECRET=SECRET,
            PORT=str(self.port),
            WEB_CONCURRENCY="1",
            DRAIN_SECONDS="0",
            **UNMEASURED,
        )
        with log.open("wb") as output:
            self.process = Process(
                "serve",
                env=self.environment,
                cwd=root,
                stdout=output.fileno(),
                stderr=output.fileno(),
            )

    def ready(self) -> Answer:
        return self.request("GET", "/health/ready")

    def patch(self, task: int, body: Any) -> Answer:
        return self.request("PATCH", f"/api/alice/tasks/{task}", body, token=token_of("alice"))

    def read(self, task: int) -> Any:
        return self.request("GET", f"/api/alice/tasks/{task}", token=token_of("alice")).json()


class Fleet:
    """The servers on one database.

    running: those that clients use. A server is removed before it is stopped.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.running: list[Instance] = []
        self._started = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    def start(self, root: Path) -> Instance:
        log = self.folder / f"server-{time.monotonic_ns()}.log"
        instance = self._started.enter_context(Instance(root, self.url, log))
        assert instance.ready().status == 200, instance.log.read_text()
        self.running.append(instance)
        return instance

    def stop(self, instance: Instance) -> None:
        self.running.remove(instance)
        instance.stop()
        assert instance.process.returncode == 0, instance.log.read_text()


class Client:
    """A user with one connection at a time, and the last answer about each of their tasks."""

    def __init__(self, load: "Load", number: int) -> None:
        self.load = load
        self.random = Random(number)
        self.user = f"person-{number:02}"
        self.headers = {
            "Authorization": f"Bearer {token_of(self.user)}",
            "Content-Type": "application/json",
        }
        self.tasks: dict[int, Task] = {}
        self.server: Instance | None = None
        self.wire: HTTPConnection | None = None

    def run(self) -> None:
        try:
            while not self.load.over.is_set():
                (name,) = self.random.choices([*SHARES], [*SHARES.values()])
                if len(self.tasks) >= MAX_TASKS:
                    name = "delete"
                getattr(self, name if self.tasks or name == "list" else "create")()
                self.load.over.wait(PAUSE)
            self.list()
        finally:
            self.hang_up()

    def ask(self, method: str, path: str, status: int, body: Any = None) -> Any:
        """The body of the answer, without the new field. Any other status fails the test."""
        data = None if body is None else json.dumps(body).encode()
        before = self.load.shown
        found, content = self.exchange(method, f"/api/{self.user}/tasks{path}", data)
        assert found == status, (method, path, body, found, content)
        answer = json.loads(content) if content else {}
        for task in [answer] if "id" in answer else answer.get("tasks", []):
            assert ("colour" in task) in before | self.load.shown, (method, path, task)
            assert task.pop("colour", None) is None
            assert task.keys() == FIELDS | TIMES
        return answer

    def exchange(self, method: str, target: str, data: bytes | None) -> tuple[int, bytes]:
        """Repeats the request on another connection if a stopping server did not answer it."""
        while True:
            server, wire = self.connection()
            try:
                wire.request(method, target, data, self.headers)
                response = wire.getresponse()
            except ConnectionError:
                if server in self.load.fleet.running:
                    raise
                self.hang_up()
                self.load.repeated.append(method)
                continue
            content = response.read()
            self.load.answered.append(server.port)
            return response.status, content

    def connection(self) -> tuple[Instance, HTTPConnection]:
        is_open = self.wire is not None and self.wire.sock is not None
        if not is_open or self.random.random() > KEEP_PROBABILITY:
            self.hang_up()
            self.server = self.random.choice(self.load.fleet.running)
            self.wire = HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        assert self.server
        assert self.wire
        return self.server, self.wire

    def hang_up(self) -> None:
        if self.wire:
            self.wire.close()
        self.wire = None

    def some(self) -> Task:
        return self.tasks[self.random.choice([*self.tasks])]

    def text(self) -> str:
        return f"{self.user} {self.random.random()}"

    def keep(self, answer: Task, expected: Task) -> None:
        """Stores the answer to a write, which must contain what was written."""
        assert {name: answer[name] for name in FIELDS} == {name: expected[name] for name in FIELDS}
        assert (answer["completed_at"] is not None) == answer["complete"]
        assert answer["created_at"] == expected.get("created_at", answer["updated_at"])
        assert answer["updated_at"] > expected.get("updated_at", "")
        self.tasks[answer["id"]] = answer

    def list(self) -> None:
        newest_first = sorted(
            self.tasks.values(), key=lambda task: (task["created_at"], task["id"]), reverse=True
        )
        answer = self.ask("GET", "?limit=5", 200)
        cursor = answer.pop("next_cursor")
        assert answer == {"tasks": newest_first[:5], "count": len(self.tasks)}
        assert bool(cursor) == (len(self.tasks) > len(newest_first[:5]))
        if cursor:
            answer = self.ask("GET", f"?limit=3&cursor={cursor}", 200)
            assert answer["tasks"] == newest_first[5:8]

    def create(self) -> None:
        given = {"title": self.text(), "complete": self.random.random() < 0.5}
        answer = self.ask("POST", "", 201, given)
        assert answer["id"] not in self.tasks
        own = {"id": answer["id"], "user_id": self.user}
        self.keep(answer, own | DEFAULTS | given)

    def read(self) -> None:
        task = self.some()
        assert self.ask("GET", f"/{task['id']}", 200) == task

    def replace(self) -> None:
        task, given = self.some(), {"title": self.text(), "complete": self.random.random() < 0.5}
        answer = self.ask("PUT", f"/{task['id']}", 200, given)
        self.keep(answer, task | DEFAULTS | given)

    def change(self) -> None:
        given = {"description": self.text(), "priority": "high", "tags": [self.text()]}
        task = self.some()
        self.keep(self.ask("PATCH", f"/{task['id']}", 200, given), task | given)

    def delete(self) -> None:
        task = self.some()
        self.ask("DELETE", f"/{task['id']}", 204)
        del self.tasks[task["id"]]


class Load:
    """Keeps its clients busy, and checks the readiness of all servers, while its block runs.

    shown: whether answers may have the new field, and whether they may lack it.
    answered: the port of the server, for each answer.
    repeated: the method, for each request that a stopping server did not answer.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.over = Event()
        self.shown = frozenset({False})
        self.answered: list[int] = []
        self.repeated: list[str] = []
        self.readiness_checks = 0
        self.pool = ThreadPoolExecutor(CLIENTS + 1)
        self.running: list[Future[None]] = []

    def __enter__(self) -> Self:
        clients = [Client(self, number) for number in range(CLIENTS)]
        runs = [self.check_readiness, *(client.run for client in clients)]
        self.running = [self.pool.submit(run) for run in runs]
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.pool.shutdown()
        self.fail_with_the_first()

    def fail_with_the_first(self) -> None:
        for each in self.running:
            if each.done():
                each.result()

    def check_readiness(self) -> None:
        while not self.over.wait(READINESS_INTERVAL):
            for instance in [*self.fleet.running]:
                try:
                    answer = instance.ready()
                except ConnectionError:
                    if instance in self.fleet.running:
                        raise
                else:
                    if instance in self.fleet.running:
                        assert answer.status == 200, answer.body
                        self.readiness_checks += 1

    def wait_for_answers(self, server: Instance | None = None) -> None:
        """Waits for REQUESTS more answers, of this server or of any."""
        goal = self.answers(server) + REQUESTS
        deadline = time.monotonic() + TIMEOUT
        while self.answers(server) < goal:
            self.fail_with_the_first()
            assert time.monotonic() < deadline, Counter(self.answered)
            time.sleep(0.01)

    def answers(self, server: Instance | None) -> int:
        return self.answered.count(server.port) if server else len(self.answered)

    def migrate(self, root: Path, *, shows_colour: bool) -> None:
        self.shown = frozenset({True, False})
        said = migrate(self.fleet.url, root)
        assert "The operations of the API were installed" in said
        run(self.fleet.url, root, "shell", "-c", INSTALL_AGAIN)
        self.shown = frozenset({shows_colour})
        self.wait_for_answers()

    def change_servers(self, root: Path) -> None:
        """Replaces all servers by those of the release in `root`, one by one."""
        for old in [*self.fleet.running]:
            self.wait_for_answers(self.fleet.start(root))
            self.fleet.stop(old)
            self.wait_for_answers()


def test_an_upgrade_and_its_rollback_under_load_fail_no_request(
    url: str, newer: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    migrate(url, ROOT)
    with Fleet(url, tmp_path) as fleet:
        old, _ = fleet.start(ROOT), fleet.start(ROOT)
        with Load(fleet) as load:
            load.wait_for_answers()
            task = create(old)

            load.migrate(newer, shows_colour=True)
            load.change_servers(newer)
            new = fleet.running[0]
            assert new.patch(task, {"colour": "red"}).json()["colour"] == "red"
            assert [server.read(task)["colour"] for server in fleet.running] == ["red", "red"]

            load.migrate(ROOT, shows_colour=False)
            assert "colour" not in new.read(task)
            assert new.patch(task, {"title": "Buy bread"}).json()["title"] == "Buy bread"
            # The field is gone until the next upgrade, so a request that sets it is refused.
            assert new.patch(task, {"title": "Buy wine", "colour": "blue"}).status == 503
            load.change_servers(ROOT)
            assert fleet.running[0].read(task)["title"] == "Buy bread"

        record_property("answers", len(load.answered))
        record_property("repeated", load.repeated)
        assert load.readiness_checks > 10


def create(server: Instance) -> int:
    made = server.request(
        "POST", "/api/alice/tasks", {"title": "Buy milk"}, token=token_of("alice")
    )
    assert made.status == 201
    number: int = made.json()["id"]
    return number
