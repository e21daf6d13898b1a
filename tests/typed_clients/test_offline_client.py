"""A client with a local store and an offline queue loses nothing and does nothing twice.

Its program, `offline/client.ts`, shows how to use idempotency keys, conditional requests and sync.
Two tabs run it. Each has a network that loses one answer in five, and is killed and opened again.
"""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom
from threading import Barrier, Event, Thread, Timer
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.lossy import LossyProxy
from tests.people import token_of
from tests.server import Server, database_url
from tests.typed_clients.workshop import COMPILE, HERE, PROGRAMS, Workshop

OFFLINE = HERE / "offline"
IN_CI = bool(os.environ.get("CI"))
ACTIONS, KILLS = (400, 6) if IN_CI else (100, 2)
"""Of each tab."""
LOST = 0.2
"""The share of answers that do not arrive."""
TABS = ("left", "right")
SHARED = ("shared 1", "shared 2", "shared 3", "shared 4")
TIMEOUT = 120.0

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def program(server: Server, tools: str, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The client with its generated types, compiled strictly."""
    workshop = Workshop(tmp_path_factory.mktemp("offline"), server, tools)
    workshop.take("tsconfig.json", PROGRAMS)
    for path in OFFLINE.iterdir():
        workshop.take(path.name, OFFLINE)
    workshop.run("openapi-typescript", "openapi.json", "--output", "generated/schema.ts")
    workshop.run(*COMPILE)
    return workshop


@contextmanager
def opened(program: Workshop, script: str, log: Path, **environment: str) -> Iterator[Any]:
    with (
        log.open("a") as errors,
        subprocess.Popen(
            ["node", script],
            cwd=program.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        watchdog = Timer(TIMEOUT, kill, [process])
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            kill(process)


def kill(process: Any) -> None:
    """With its children: the `node` of the wheel is a script that starts Node."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class Tab:
    """One tab of a user, as a process, behind its own network."""

    def __init__(
        self, program: Workshop, name: str, user: str, network: LossyProxy, **variables: str
    ) -> None:
        self.program = program
        self.random = Random(f"{name} {variables['SEED']}")
        self.log = program.folder / f"{user}-{name}.log"
        self.environment = program.environment(user) | {
            "BASE": network.url,
            "NAME": name,
            "STORAGE": str(program.folder / f"{user}-{name}.json"),
            "SYNC_LIMIT": "20",
            "PAUSE_MS": "2",
            "POLL_MS": "50",
            **variables,
        }

    def run(self, kills: int, both_settled: Barrier) -> Any:
        """What it asked for, and its store in the end."""
        for _ in range(kills):
            with self._opened() as process, suppress(subprocess.TimeoutExpired):
                process.wait(self.random.uniform(0.4, 1.6))
        with self._opened() as process:
            try:
                assert process.stdout.readline() == "settled\n", self.log.read_text()
                both_settled.wait(TIMEOUT)
                out, _ = process.communicate("\n")
            except BaseException:
                both_settled.abort()  # or the other tab would wait
                raise
            assert process.wait() == 0, self.log.read_text()
        return json.loads(out)

    def _opened(self) -> AbstractContextManager[Any]:
        return opened(self.program, "tab.ts", self.log, **self.environment)


class SomebodyElse(Thread):
    """Sets priorities with SQL, in transactions that last longer than a poll, until `stop`."""

    def __init__(self, user: str) -> None:
        super().__init__()
        self.user = user
        self.over = Event()

    def run(self) -> None:
        with psycopg.connect(database_url()) as connection:
            while not self.over.wait(0.1):
                connection.execute(
                    "UPDATE tasks_task SET priority = CASE priority WHEN 'low' THEN 'high' "
                    "ELSE 'low' END WHERE id IN (SELECT id FROM tasks_task WHERE user_id = %s "
                    "ORDER BY random() LIMIT 2)",
                    [self.user],
                )
                self.over.wait(0.15)
                connection.commit()

    def stop(self) -> None:
        self.over.set()
        self.join()


@dataclass(frozen=True)
class Run:
    """wanted: the actions of both tabs. failed: the changes that were refused. stores: their tasks.

    tasks: what the service lists. rows: the table, with the trash. warnings: what the tabs wrote.
    """

    wanted: list[dict[str, Any]]
    failed: list[str]
    stores: list[dict[int, Any]]
    tasks: dict[int, Any]
    rows: list[dict[str, Any]]
    warnings: str

    def problems(self) -> list[str]:
        """What was done twice, or lost, or is another way than the table has it."""
        alive = {row["id"] for row in self.rows if row["deleted_at"] is None}
        return [
            *self._problems_of_creates(),
            *self._problems_of_lines(),
            *self._problems_of_deletes(),
            *(f"{id_} is not listed as in the table" for id_ in self.tasks.keys() ^ alive),
            *self._problems_of_stores(),
            *(f"refused: {change}" for change in self.failed),
        ]

    def _problems_of_creates(self) -> Iterator[str]:
        expected = Counter(each["text"] for each in self._wanted("create"))
        expected.update(SHARED)
        expected.subtract(each["text"] for each in self._wanted("removePermanently"))
        found = Counter(row["title"] for row in self.rows)
        for title in expected | found:
            if found[title] != expected[title]:
                yield f"{title} is there {found[title]} times, not {expected[title]}"

    def _problems_of_lines(self) -> Iterator[str]:
        lines = {row["id"]: (row["description"] or "").split("\n") for row in self.rows}
        for each in self._wanted("addLine"):
            if (times := lines[each["id"]].count(each["text"])) != 1:
                yield f"line {each['text']} is there {times} times"

    def _problems_of_deletes(self) -> Iterator[str]:
        is_deleted = {row["id"]: row["deleted_at"] is not None for row in self.rows}
        for kind, expected in (("remove", True), ("restore", False), ("removePermanently", None)):
            for each in self._wanted(kind):
                if is_deleted.get(each["id"]) is not expected:
                    yield f"task {each['id']} is not as after {kind}"

    def _problems_of_stores(self) -> Iterator[str]:
        for store in self.stores:
            for id_ in store.keys() | self.tasks.keys():
                if (has := store.get(id_)) != (is_now := self.tasks.get(id_)):
                    yield f"a store has {has}, but it is {is_now}"

    def _wanted(self, kind: str) -> Iterator[dict[str, Any]]:
        return (each for each in self.wanted if each["kind"] == kind)


def run_two_tabs(
    program: Workshop,
    server: Server,
    user: str,
    seed: str,
    *,
    actions: int = ACTIONS,
    kills: int = KILLS,
    without: str | None = None,
) -> Run:
    def send(method: str, body: Any = None) -> Any:
        answer = server.request(method, f"/api/{user}/tasks", body, token=token_of(user))
        return answer.json()

    for title in SHARED:
        send("POST", {"title": title})
    somebody_else = SomebodyElse(user)
    both_settled = Barrier(len(TABS), action=somebody_else.stop)
    with ExitStack() as running:
        tabs = []
        for name in TABS:
            network = LossyProxy(server.port, loses=LOST, seed=f"{name} {seed}", without=without)
            running.enter_context(network)
            tabs.append(Tab(program, name, user, network, SEED=seed, ACTIONS=str(actions)))
        somebody_else.start()
        running.callback(somebody_else.stop)
        with ThreadPoolExecutor() as pool:
            results = list(pool.map(lambda tab: tab.run(kills, both_settled), tabs))
    with psycopg.connect(database_url(), row_factory=dict_row) as connection:
        rows = connection.execute("SELECT * FROM tasks_task WHERE user_id = %s", [user]).fetchall()
    return Run(
        wanted=[each for result in results for each in result["wanted"]],
        failed=[each for result in results for each in result["failed"]],
        stores=[by_id(result["tasks"]) for result in results],
        tasks=by_id(send("GET")["tasks"]),
        rows=rows,
        warnings="".join(tab.log.read_text() for tab in tabs),
    )


def by_id(tasks: list[Any]) -> dict[int, Any]:
    assert len({task["id"] for task in tasks}) == len(tasks)
    return {task["id"]: task for task in tasks}


def test_two_tabs_end_with_the_same_tasks_and_each_change_is_done_once(
    program: Workshop, server: Server
) -> None:
    seed = os.environ.get("OFFLINE_SEED") or str(SystemRandom().randrange(10**6))
    print(f"OFFLINE_SEED={seed}")  # noqa: T201  repeats the actions and what is lost
    run = run_two_tabs(program, server, "tabs", seed)

    assert run.problems() == []
    assert run.warnings == ""
    assert len(run.wanted) == len(TABS) * ACTIONS
    assert {each["kind"] for each in run.wanted} >= {"create", "addLine", "remove"}


@pytest.mark.parametrize(
    ("header", "problem"),
    [("Idempotency-Key", "is there 2 times, not 1"), ("If-Match", "is there 0 times")],
)
def test_the_same_tabs_without_a_header_break_something(
    program: Workshop, server: Server, header: str, problem: str
) -> None:
    """So the test above can fail."""
    run = run_two_tabs(
        program, server, f"without-{header}", "1", actions=60, kills=0, without=header
    )

    assert any(problem in each for each in run.problems()), run.problems()


HOUR = 720
"""Polls, one every 5 s."""
MINUTE = 12
HOW = ("list", "list with If-None-Match", "sync")
POLLS = HOUR if IN_CI else HOUR // 10


def test_sync_moves_a_hundredth_of_the_bytes(
    program: Workshop, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 500 tasks, of which one changes every minute. Bytes on the wire, with all headers."""
    user = "polling"
    with psycopg.connect(database_url()) as connection:
        connection.execute(
            "INSERT INTO tasks_task (user_id, title) "
            "SELECT %s, 'Task number ' || n FROM generate_series(1, 500) AS n",
            [user],
        )
    received, sent = {}, {}
    for how in HOW:
        with LossyProxy(server.port) as network:
            environment = program.environment(user) | {
                "BASE": network.url,
                "DIRECT": server.url,
                "HOW": how,
                "POLLS": str(POLLS),
                "CHANGE_EVERY": str(MINUTE),
            }
            log = program.folder / "polling.log"
            with opened(program, "polling.ts", log, **environment) as process:
                assert process.stdout.readline() == "loaded\n", log.read_text()
                network.received = network.sent = 0
                process.communicate("\n")
                assert process.wait() == 0, log.read_text()
        received[how] = network.received * HOUR // POLLS
        sent[how] = network.sent * HOUR // POLLS

    lines = [
        f"  {how:24}{received[how] / 1e6:8.2f} MB received{sent[how] / 1e6:8.2f} MB sent"
        for how in HOW
    ]
    with capsys.disabled():
        print("\n500 tasks, polled for an hour. One changes every minute.", *lines, sep="\n")  # noqa: T201
    assert received["sync"] * 100 <= received["list"]
