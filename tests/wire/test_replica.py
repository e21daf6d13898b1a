"""Reads that a streaming replica answers: what a client sees, and what it does not notice.

All tests use one pair of servers and one service, which must work as before after each failure.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.db import connection

from config.database import configure, configure_replica
from config.database.base import DatabaseWrapper
from config.operator.diagnosis.replica import diagnose_replica
from config.server.replica import LOG_END, MAX_LAG, bookmark_of
from tests.cluster import Cluster, manage, version_of_the_tests
from tests.commands import wait_until
from tests.load import MAX_SECONDS
from tests.outage import frozen
from tests.people import SECRET, token_of
from tests.server import Answer, Server, database_url, free_port, send
from tests.wire.daemons import PgBouncer

READS = int(os.environ.get("REPLICA_READS", "150"))
"""How many reads of the property test the replica must have answered."""


class Pair:
    """A primary, its replica and a server with both."""

    def __init__(
        self, running: ExitStack, log: Path, clusters: tuple[Cluster, Cluster], urls: list[str]
    ) -> None:
        self.primary, self.replica = clusters
        self.metrics = free_port()
        self.server = running.enter_context(
            Server(
                log,
                BETTER_AUTH_SECRET=SECRET,
                DATABASE_URL=urls[0],
                DATABASE_REPLICA_URL=urls[1],
                METRICS_PORT=str(self.metrics),
            )
        )

    def answered_by(self, name: str) -> float:
        lines = send("GET", f"http://127.0.0.1:{self.metrics}/metrics").body.decode().splitlines()
        wanted = f'tasks_replica_reads_total{{answered_by="{name}"}}'
        return sum(float(line.split()[-1]) for line in lines if line.startswith(wanted))

    def is_used(self) -> bool:
        answer: str = self.server.request("GET", "/health/ready").json()["replica"]
        return answer == "used"

    def wait_until_used(self) -> None:
        """By the checks, and with an open connection."""
        wait_until(self.is_used)
        before = self.answered_by("replica")
        dave = Client(self, "dave")
        wait_until(lambda: bool(dave.list()) or self.answered_by("replica") > before)

    @contextmanager
    def paused(self) -> Iterator[None]:
        self.replica.execute("SELECT pg_wal_replay_pause()")
        try:
            yield
        finally:
            self.replica.execute("SELECT pg_wal_replay_resume()")

    def events(self) -> list[str]:
        lines = map(json.loads, self.server.log.read_text().splitlines())
        return [
            line["event"] + line.get("reason", "")
            for line in lines
            if line["event"].startswith("replica")
        ]


class Client:
    """Follows the rule: sends the greatest bookmark of its writes with each read."""

    def __init__(self, pair: Pair, user: str) -> None:
        self.server = pair.server
        self.path = f"/api/{user}/tasks"
        self.token = token_of(user)
        self.bookmark = "*"

    def write(self, method: str, path: str = "", body: Any = None) -> Answer:
        answer = self.server.request(method, self.path + path, body, token=self.token)
        self.bookmark = max(self.bookmark, answer.headers["Bookmark"] or "")
        return answer

    def create(self, title: str) -> int:
        created: int = self.write("POST", body={"title": title}).json()["id"]
        return created

    def read(self, path: str = "", bookmark: str = "") -> Answer:
        headers = {"Bookmark": bookmark or self.bookmark}
        return self.server.request("GET", self.path + path, token=self.token, headers=headers)

    def list(self, bookmark: str = "") -> dict[int, str]:
        answer = self.read(bookmark=bookmark)
        assert answer.status == 200, answer.body
        return {task["id"]: task["title"] for task in answer.json()["tasks"]}


@pytest.fixture(scope="module")
def clusters() -> Iterator[tuple[Cluster, Cluster]]:
    with Cluster.running(version_of_the_tests()) as primary:
        migrated = manage(primary.url, "migrate")
        assert migrated.returncode == 0, migrated.stderr
        with primary.replica() as replica:
            yield primary, replica


@pytest.fixture(scope="module")
def running_pair(
    clusters: tuple[Cluster, Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    with ExitStack() as running:
        log = tmp_path_factory.mktemp("server") / "log"
        yield Pair(running, log, clusters, [cluster.url for cluster in clusters])


@pytest.fixture
def pair(running_pair: Pair) -> Pair:
    running_pair.wait_until_used()
    return running_pair


@pytest.fixture
def alice(pair: Pair, request: pytest.FixtureRequest) -> Client:
    return Client(pair, f"alice-{request.node.name}")


def test_a_replica_answers_what_a_client_allows(pair: Pair, alice: Client) -> None:
    """Behind by seconds, it is asked, but never answers without the client's own writes."""
    with pair.paused():
        task = alice.create("Buy milk")

        assert alice.list(bookmark="*") == {}
        assert alice.read(f"/{task}", bookmark="*").status == 404
        assert alice.list() == {task: "Buy milk"}
        assert alice.read(f"/{task}").status == 200
        plain = alice.server.request("GET", alice.path, token=alice.token)
        assert plain.json()["count"] == 1

    before = pair.answered_by("replica")
    wait_until(lambda: alice.list() == {} or pair.answered_by("replica") > before)
    assert alice.list() == {task: "Buy milk"}


def test_a_bookmark_names_the_log_after_the_commit(pair: Pair, alice: Client) -> None:
    """The commit is in the log too. Nobody else writes, but the server itself does at times."""

    def log_end() -> str:
        ((file, position),) = pair.primary.execute(LOG_END.decode())
        return bookmark_of([file.encode(), position.encode()])

    assert any(alice.create("x") and alice.bookmark == log_end() for _ in range(5))


def test_a_write_has_a_bookmark_even_if_it_found_nothing_to_do(
    alice: Client,
) -> None:
    task = alice.create("x")
    seen = [alice.bookmark]
    for method, body, status in (
        ("PATCH", {"title": "y"}, 200),
        ("PUT", {"title": "z", "complete": True}, 200),
        ("DELETE", None, 204),
        ("DELETE", None, 404),
    ):
        answer = alice.write(method, f"/{task}", body)
        assert answer.status == status
        seen.append(answer.headers["Bookmark"])

    assert seen == sorted(seen)
    assert alice.read(f"/{task}").headers["Bookmark"] is None
    assert alice.write("POST", body={"title": ""}).headers["Bookmark"] is None


@pytest.mark.parametrize(
    "bookmark", ["FFFFFFFFFFFFFFFFFFFFFFFF", "7FFFFFFF0000000000000000", "0000000000000000FFFFFFFF"]
)
def test_a_bookmark_of_the_future_is_answered_by_the_primary(
    pair: Pair, alice: Client, bookmark: str
) -> None:
    with pair.paused():
        task = alice.create("x")

        assert alice.list(bookmark) == {task: "x"}


def test_sync_is_always_answered_by_the_primary(pair: Pair, alice: Client) -> None:
    with pair.paused():
        alice.create("x")

        assert alice.read("?sync=*", bookmark="*").json()["count"] == 1


@pytest.fixture(params=["directly", "through poolers"])
def any_pair(
    request: pytest.FixtureRequest, clusters: tuple[Cluster, Cluster], tmp_path: Path
) -> Iterator[Pair]:
    if request.param == "directly":
        yield request.getfixturevalue("pair")
        return
    with ExitStack() as running:
        poolers = [running.enter_context(PgBouncer(cluster)) for cluster in clusters]
        poolers[0].migrate()
        pair = Pair(running, tmp_path / "log", clusters, [pooler.url for pooler in poolers])
        pair.wait_until_used()
        yield pair


def test_a_client_that_follows_the_rule_never_misses_its_own_write(any_pair: Pair) -> None:
    """Eight clients write and read, while the replica stops and continues at random."""
    pair, over = any_pair, Event()
    reads = {name: pair.answered_by(name) for name in ("replica", "primary")}

    def follow(number: int) -> int:
        client = Client(pair, f"follower-{number}-{pair.metrics}")
        model, checked = dict[int, str](), 0
        dice = random.Random(number)
        while not over.is_set():
            if len(model) < 3 or dice.random() < 0.3:
                model[client.create(f"{checked}")] = f"{checked}"
            else:
                task = dice.choice(list(model))
                if dice.random() < 0.4:
                    client.write("DELETE", f"/{task}")
                    del model[task]
                else:
                    client.write("PATCH", f"/{task}", {"title": f"changed {checked}"})
                    model[task] = f"changed {checked}"
            for _ in range(dice.randint(1, 3)):
                assert client.list() == model
            checked += 1
        return checked

    def disturb() -> None:
        dice = random.Random(0)
        while not over.is_set():
            with pair.paused():
                over.wait(dice.uniform(0, 0.3))
            over.wait(dice.uniform(0, 0.3))

    with ThreadPoolExecutor(9) as threads:
        followers = [threads.submit(follow, number) for number in range(8)]
        threads.submit(disturb)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not any(each.done() for each in followers):
            if all(pair.answered_by(name) - reads[name] >= READS for name in reads):
                break
            time.sleep(0.05)
        over.set()
        assert all(follower.result() for follower in followers)

    assert all(pair.answered_by(name) - reads[name] >= READS for name in reads)


def test_a_replica_that_is_far_behind_gets_no_reads(pair: Pair, alice: Client) -> None:
    with pair.paused():
        task = alice.create("x")
        assert alice.list("*") == {}
        start = time.monotonic()
        wait_until(lambda: alice.list("*") == {task: "x"})

        assert time.monotonic() - start > MAX_LAG - 2
        assert not pair.is_used()
        assert pair.events()[-1] == "replica gets no readsbehind"

    wait_until(pair.is_used)
    assert alice.list() == {task: "x"}


def slowest(pair: Pair, clients: list[Client], over: Event) -> float:
    """Seconds of the slowest read. All are answered with 200, and right."""

    def read(client: Client) -> float:
        task, most = client.create("x"), 0.0
        while not over.wait(0.02):
            start = time.monotonic()
            assert client.list() == {task: "x"}
            most = max(most, time.monotonic() - start)
        return most

    with ThreadPoolExecutor(len(clients)) as threads:
        return max(threads.map(read, clients))


@pytest.mark.parametrize("failure", ["killed", "frozen"])
def test_a_replica_that_fails_in_the_middle_fails_no_read(pair: Pair, failure: str) -> None:
    over = Event()
    clients = [Client(pair, f"{failure}-{number}") for number in range(4)]
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(slowest, pair, clients, over)
        before = pair.answered_by("replica")
        wait_until(lambda: pair.answered_by("replica") > before + 50)
        try:
            if failure == "killed":
                pair.replica.control("stop", "-m", "immediate")
                wait_until(lambda: not pair.is_used())
                pair.replica.control("start", "-l", pair.replica.folder / "log")
            else:
                with frozen(pair.replica):
                    wait_until(lambda: not pair.is_used())
                    before = pair.answered_by("primary")
                    wait_until(lambda: pair.answered_by("primary") > before + 50)
            wait_until(pair.is_used)
            before = pair.answered_by("replica")
            wait_until(lambda: pair.answered_by("replica") > before + 50)
        finally:
            over.set()
        seconds = reading.result()

    assert seconds < MAX_SECONDS
    reason = {"killed": ("not_reached", "no_answer"), "frozen": ("no_answer",)}[failure]
    assert pair.events()[-2] in [f"replica gets no reads{name}" for name in reason]
    assert pair.events()[-1] == "replica gets reads"


def test_reads_go_on_without_the_primary_but_writes_do_not(pair: Pair, alice: Client) -> None:
    task = alice.create("x")
    wait_until(pair.is_used)
    with frozen(pair.primary):
        wait_until(lambda: alice.read().status == 200)
        assert alice.list() == {task: "x"}


def test_the_doctor_knows_the_replica(pair: Pair) -> None:
    url = pair.replica.url
    run = manage(pair.primary.url, "doctor", "--json", DATABASE_REPLICA_URL=url)
    (found,) = (each for each in json.loads(run.stdout)["checks"] if each["name"] == "replica")

    assert (found["status"], found["detail"][:14]) == ("ok", "has everything")


@pytest.mark.django_db
def test_the_doctor_says_what_is_wrong_with_a_replica(pair: Pair) -> None:
    gone = pair.replica.url.replace(str(pair.replica.port), str(free_port()))
    not_a_replica = "is not a streaming replica of the server of DATABASE_URL"

    assert diagnosis(pair.primary.url, pair.primary.url) == ("wrong", not_a_replica)
    assert diagnosis(database_url(), pair.replica.url) == ("wrong", not_a_replica)
    assert "refused" in diagnosis(pair.primary.url, gone)[1]
    assert "password" in diagnosis(pair.primary.url, pair.replica.url_of("x", "y", "postgres"))[1]
    assert diagnosis(gone, pair.replica.url)[0] == "not reached"
    with pair.paused():
        Client(pair, "erin").create("x")
        assert diagnosis(pair.primary.url, pair.replica.url)[0] == "warning"


def diagnosis(url: str, replica_url: str) -> tuple[str, str]:
    defaults = connection.settings_dict | {"EMBEDDED": None}
    primary = DatabaseWrapper(defaults | configure(url, Path()))
    replica = DatabaseWrapper(defaults | configure_replica(replica_url, is_derived=True))
    with closing(primary), closing(replica):
        check = diagnose_replica(primary, replica)
    return check.status, check.detail
