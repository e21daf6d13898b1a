"""The load that staff, and attackers on their passwords, may cause without users noticing."""

import os
import re
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, IncompleteRead
from itertools import count
from statistics import quantiles
from threading import Event, Thread
from time import monotonic
from typing import Any

import psycopg
import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.db.models import Sum
from django.test import Client

from tasks.limits import LOCK_TIMEOUT
from tests.commands import execute, wait_until
from tests.outage import children
from tests.people import SECRET, token_of
from tests.server import Answer, Server, database_url

Serve = Callable[..., Server]

EXPORT = "/admin/tasks/task/export.jsonl"
TASKS = 6000
"""Of more than 1 kB each: together more than sockets buffer for a client that does not read."""
FILL = """
    INSERT INTO tasks_task (user_id, title, description)
    SELECT 'alice', 'x', repeat('x', 1000) FROM generate_series(1, %s)
"""
STALLED = 16
WORKERS = 2
MAX_CONCURRENT = 2
"""Passwords that a worker checks at the same time."""
LIMIT = 5
"""Failures after which a name is locked."""
SECONDS = 4.0 if os.environ.get("CI") else 2.0


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve(BETTER_AUTH_SECRET=SECRET, TRUSTED_PROXIES="1")


@pytest.fixture
def staff(server: Server, settings: Any) -> dict[str, str]:
    """Headers of a user of the staff who is signed in."""
    settings.SECRET_KEY = server.environment["SECRET_KEY"]  # signs the session
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="unused"))
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    return {"Cookie": f"__Host-session={session}", "X-Forwarded-Proto": "https"}


@pytest.fixture
def _tasks(transactional_db: None) -> None:
    execute(FILL, TASKS)


def ask_api(server: Server) -> tuple[int, float]:
    """The status and the seconds of a request that waits for no other."""
    start = monotonic()
    status = server.request("GET", "/api/bob/tasks", token=token_of("bob")).status
    return status, monotonic() - start


@contextmanager
def stalled_export(server: Server, staff: dict[str, str]) -> Iterator[None]:
    """A client that reads only the beginning of its file."""
    lines = [f"GET {EXPORT} HTTP/1.1", "Host: 127.0.0.1", *(": ".join(it) for it in staff.items())]
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect(("127.0.0.1", server.port))
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        yield


@contextmanager
def page_that_waits_for_a_lock(server: Server, staff: dict[str, str]) -> Iterator[list[Answer]]:
    answers: list[Answer] = []
    page = Thread(
        target=lambda: answers.append(server.request("GET", "/admin/", headers=staff)), daemon=True
    )
    with psycopg.connect(database_url()) as other:
        other.execute("LOCK TABLE django_admin_log IN ACCESS EXCLUSIVE MODE")
        page.start()
        wait_until(lambda: backends("wait_event_type = 'Lock'") == 1)
        yield answers
    page.join()


def backends(condition: str) -> int:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        f"AND pid <> pg_backend_pid() AND {condition}"
    )
    with psycopg.connect(database_url()) as other:
        found = other.execute(query).fetchone()
        assert found
        return int(found[0])


@pytest.mark.usefixtures("_tasks")
def test_stalled_downloads_hold_no_connection_and_no_slot(
    server: Server, staff: dict[str, str]
) -> None:
    with ExitStack() as stack:
        for _ in range(STALLED):
            stack.enter_context(stalled_export(server, staff))
        assert backends("application_name = 'tasks' AND state = 'idle in transaction'") == 0
        answers = [ask_api(server) for _ in range(50)]

        assert {status for status, _ in answers} == {200}
        assert server.request("GET", "/admin/", headers=staff).status == 200
        done = server.request("GET", EXPORT, headers=staff)
        assert (done.status, done.body.count(b"\n")) == (200, TASKS)


@pytest.mark.usefixtures("_tasks")
def test_the_api_does_not_notice_stalled_downloads_and_a_page_that_waits(
    server: Server, staff: dict[str, str]
) -> None:
    """Compares the 95th percentile with that of quiet runs in between."""
    quiet, loaded = list[tuple[int, float]](), list[tuple[int, float]]()
    for _ in range(2):
        quiet += [ask_api(server) for _ in range(100)]
        with ExitStack() as stack:
            for _ in range(STALLED):
                stack.enter_context(stalled_export(server, staff))
            stack.enter_context(page_that_waits_for_a_lock(server, staff))
            loaded += [ask_api(server) for _ in range(100)]

    assert {status for status, _ in quiet + loaded} == {200}
    slowest, slowest_quiet = (
        quantiles([seconds for _, seconds in each], n=20)[-1] for each in (loaded, quiet)
    )
    assert slowest < max(0.25, 5 * slowest_quiet)


def test_a_page_that_waits_for_a_lock_is_ended_by_postgresql(
    server: Server, staff: dict[str, str]
) -> None:
    with page_that_waits_for_a_lock(server, staff) as answers:
        start = monotonic()
        wait_until(lambda: bool(answers))
        assert float(LOCK_TIMEOUT.removesuffix("s")) - 1 < monotonic() - start < 8
        assert backends("application_name = 'tasks' AND state <> 'idle'") == 0

    (answer,) = answers
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "Somebody else is changing this" in answer.body.decode()


@pytest.mark.usefixtures("_tasks")
def test_an_export_whose_connection_is_killed_is_no_file(
    server: Server, staff: dict[str, str]
) -> None:
    """Each batch may use another connection, so all connections are killed until one is hit."""
    over = Event()
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'tasks' "
        "AND state <> 'idle' AND query LIKE '%LIMIT 2000%' AND pid <> pg_backend_pid()"
    )

    def kill_backends() -> None:
        with psycopg.connect(database_url(), autocommit=True) as other:
            while not over.is_set():
                other.execute(kill)

    killer = Thread(target=kill_backends)
    killer.start()
    try:
        answer = server.request("GET", EXPORT, headers=staff)
    finally:
        over.set()
        killer.join()

    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "The database cannot be reached" in answer.body.decode()
    assert "Content-Disposition" not in answer.headers
    assert server.request("GET", EXPORT, headers=staff).body.count(b"\n") == TASKS


@pytest.mark.usefixtures("_tasks")
def test_of_many_concurrent_exports_some_complete_and_the_others_are_refused(
    server: Server, staff: dict[str, str]
) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = [
            each.result()
            for each in [
                pool.submit(server.request, "GET", EXPORT, headers=staff) for _ in range(8)
            ]
        ]

    done = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 503]
    assert len(done) >= MAX_CONCURRENT
    assert refused
    assert len(done) + len(refused) == len(answers)
    assert {answer.body.count(b"\n") for answer in done} == {TASKS}
    assert {answer.headers["Retry-After"] for answer in refused} == {"30"}


@pytest.mark.usefixtures("_tasks")
def test_a_download_that_is_cut_off_is_no_complete_file(
    server: Server, staff: dict[str, str]
) -> None:
    wire = HTTPConnection("127.0.0.1", server.port, timeout=30)
    wire.request("GET", EXPORT, headers=staff)
    response = wire.getresponse()
    assert response.getheader("Content-Length")
    assert response.getheader("Transfer-Encoding") is None
    response.read(1000)
    for worker in children(server.process.pid):
        os.kill(worker, signal.SIGKILL)
    with pytest.raises((IncompleteRead, ConnectionError)):
        response.read()
    wire.close()


class Guesser:
    """Tries wrong passwords, from one address or from a new one each time."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = f"https://127.0.0.1:{server.port}/admin/login/"
        page = server.request("GET", "/admin/login/", headers={"X-Forwarded-Proto": "https"})
        cookie = re.search(r"__Host-csrf=\w+", str(page.headers["Set-Cookie"]))
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.body.decode())
        assert cookie
        assert token
        self.cookie, self.token = cookie[0], token[1]

    def guess(self, name: str, password: str, address: str) -> Answer:
        return self.server.request(
            "POST",
            "/admin/login/",
            f"csrfmiddlewaretoken={self.token}&username={name}&password={password}".encode(),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Cookie": self.cookie,
                "Referer": self.url,
                "X-Forwarded-Proto": "https",
                "X-Forwarded-For": address,
            },
        )


@contextmanager
def flood(server: Server, address: Callable[[int], str]) -> Iterator[list[Answer]]:
    """20 threads that try wrong passwords for one name, while the block runs."""
    guesser, over, numbers = Guesser(server), Event(), count()
    answers: list[Answer] = []

    def guess() -> None:
        while not over.is_set():
            number = next(numbers)
            answers.append(guesser.guess("root", f"wrong{number}", address(number)))

    with ThreadPoolExecutor(20) as pool:
        threads = [pool.submit(guess) for _ in range(20)]
        try:
            yield answers
        finally:
            over.set()
    for thread in threads:
        thread.result()


def ask_for(seconds: float, server: Server) -> list[tuple[int, float]]:
    end = monotonic() + seconds
    answers = []
    while monotonic() < end:
        answers.append(ask_api(server))
    return answers


def checked_passwords() -> int:
    failures = AccessAttempt.objects.aggregate(failures=Sum("failures_since_start"))["failures"]
    return int(failures or 0)


@pytest.mark.parametrize("workers", [1, WORKERS])
def test_a_name_is_locked_at_its_limit_however_many_guess_at_the_same_time(
    serve: Serve, workers: int
) -> None:
    """Four failures, plus those that are being checked then: at most two per worker."""
    server = serve(BETTER_AUTH_SECRET=SECRET, WEB_CONCURRENCY=str(workers))
    User.objects.create_superuser("root", password="correct")
    with flood(server, lambda _: "192.0.2.1") as answers:
        api = ask_for(SECONDS, server)

    statuses = Counter(answer.status for answer in answers)
    assert {status for status, _ in api} == {200}
    assert LIMIT <= checked_passwords() <= LIMIT - 1 + MAX_CONCURRENT * workers
    assert statuses[200] == LIMIT - 1
    assert statuses.keys() <= {200, 429, 503}
    assert Guesser(server).guess("root", "correct", "192.0.2.1").status == 429


def test_a_flood_of_passwords_fails_no_request_of_the_api_and_each_failure_counts(
    server: Server,
) -> None:
    """Each from a new address, so that no lock engages and passwords are hashed all the time."""
    User.objects.create_superuser("root", password="correct")
    with flood(server, lambda number: f"198.51.{number // 250}.{number % 250}") as answers:
        api = ask_for(SECONDS, server)

    statuses = Counter(answer.status for answer in answers)
    assert {status for status, _ in api} == {200}
    assert statuses.keys() <= {200, 503}
    assert checked_passwords() == statuses[200] > 0
    refused = [answer for answer in answers if answer.status == 503]
    assert {answer.headers["Retry-After"] for answer in refused} == {"10"}
    assert all("Too many sign-ins at the same time" in answer.body.decode() for answer in refused)
    assert Guesser(server).guess("root", "correct", "203.0.113.1").status == 302
