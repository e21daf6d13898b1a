"""Many threads and few connections: which requests wait for one, and for how long."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from time import perf_counter, sleep
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from django.db import DatabaseError, OperationalError, connections

from authjwt import keys
from config.management.commands.serve import MAX_THREADS
from config.server import bodies, pool
from config.server.connection import AnswerLost, Connection, ConnectionFailed
from config.server.pool import ANSWER_TIMEOUT, CONNECTION_TIMEOUT, Pool
from tasks.operations.role import TIMEOUTS
from tests.commands import execute, wait_until
from tests.load import MAX_SECONDS
from tests.server import database_url

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "api"])

SLEEP = b"SELECT pg_sleep($1)"
BACKEND = b"SELECT pg_backend_pid()"


@pytest.fixture
def make() -> Iterator[Callable[[int], Pool]]:
    made = []

    def make(size: int) -> Pool:
        made.append(Pool("api", size))
        return made[-1]

    yield make
    for each in made:
        each.close()


def seconds(text: str) -> float:
    return float(text.removesuffix("ms")) / 1000 if text.endswith("ms") else float(text[:-1])


def test_the_timeouts_fit_into_one_another() -> None:
    statement, lock = (seconds(TIMEOUTS[f"{name}_timeout"]) for name in ("statement", "lock"))

    assert lock < statement < ANSWER_TIMEOUT
    assert CONNECTION_TIMEOUT + ANSWER_TIMEOUT < MAX_SECONDS


def test_threads_remain_when_as_many_requests_wait_as_may() -> None:
    waiting = bodies.MAX_BODIES + pool.MAX_WAITING + keys.MAX_WAITING

    assert MAX_THREADS - waiting >= 64


def test_a_connection_is_released_and_used_again(make: Callable[[int], Pool]) -> None:
    pool = make(4)

    assert len({pool.call(BACKEND, [])[0] for _ in range(5)}) == 1
    assert pool.in_use == 0


def test_the_last_one_used_is_used_next(make: Callable[[int], Pool]) -> None:
    pool = make(2)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: pool.call(SLEEP, [b"0.1"]), range(2)))

    assert len({pool.call(BACKEND, [])[0] for _ in range(5)}) == 1


def test_there_are_never_more_connections_than_its_size(make: Callable[[int], Pool]) -> None:
    pool = make(3)
    with ThreadPoolExecutor(30) as threads:
        backends = set(threads.map(lambda _: pool.call(BACKEND, [])[0], range(300)))

    assert 1 <= len(backends) <= 3


def test_a_request_waits_until_one_is_free(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(pool.call, SLEEP, [b"0.3"])
        wait_until(lambda: pool.in_use == 1)
        start = perf_counter()
        assert pool.call(b"SELECT 1", []) == [b"1"]
        assert perf_counter() - start > 0.1
        slow.result()


def test_a_request_that_waits_too_long_fails_because_all_are_in_use(
    make: Callable[[int], Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make(1)
    pool.call(b"SELECT 1", [])
    monkeypatch.setattr("config.server.pool.CONNECTION_TIMEOUT", 0.2)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(pool.call, SLEEP, [b"0.6"])
        wait_until(lambda: pool.in_use == 1)
        with pytest.raises(ConnectionFailed) as caught:
            pool.call(b"SELECT 1", [])

    assert caught.value.cause == "no_connection"
    assert pool.waiting == 0


def test_when_many_requests_wait_the_next_one_is_refused_immediately(
    make: Callable[[int], Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.server.pool.MAX_WAITING", 1)
    pool = make(1)
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(pool.call, SLEEP, [b"1"])]
        wait_until(lambda: pool.in_use == 1)
        calls.append(threads.submit(pool.call, SLEEP, [b"0"]))
        wait_until(lambda: pool.waiting == 1)
        start = perf_counter()
        with pytest.raises(ConnectionFailed):
            pool.call(b"SELECT 1", [])
        assert perf_counter() - start < 0.8
        assert [call.result() for call in calls] == [[b""], [b""]]


def test_a_statement_that_fails_gives_its_connection_back(make: Callable[[int], Pool]) -> None:
    pool = make(1)
    for _ in range(3):
        with pytest.raises(DatabaseError):
            pool.call(b"SELECT 1 / 0", [])

    assert pool.call(b"SELECT 1", []) == [b"1"]


def test_a_broken_connection_is_replaced(
    make: Callable[[int], Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make(1)
    before = pool.call(BACKEND, [])
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "_next_result", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pool.call(b"SELECT 1", [])

    assert pool.call(BACKEND, []) != before


def test_a_connection_that_was_closed_while_idle_fails_no_request(
    make: Callable[[int], Pool],
) -> None:
    pool = make(1)
    (before,) = pool.call(BACKEND, [])
    assert before
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [int(before)])

    assert pool.call(BACKEND, []) != [before]


def test_idle_connections_are_closed(
    make: Callable[[int], Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.server.pool.MAX_IDLE", 0.2)
    pool = make(2)
    pool.call(BACKEND, [])

    wait_until(lambda: pool.open == 0)
    assert pool.call(b"SELECT 1", []) == [b"1"]


def test_if_the_server_refuses_further_connections_requests_wait_for_the_open_ones(
    make: Callable[[int], Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make(8)
    pool.call(b"SELECT 1", [])
    attempts = []

    def attempt(*args: Any) -> Connection:
        attempts.append(args)
        return Connection(*args)

    monkeypatch.setattr("config.server.pool.Connection", attempt)
    monkeypatch.setattr("config.server.pool.RETRY_AFTER", 60)
    role = connections["api"].get_connection_params()["user"]
    execute(f"ALTER ROLE {role} CONNECTION LIMIT 1")
    try:
        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(lambda _: pool.call(SLEEP, [b"0.01"]), range(64)))
    finally:
        execute(f"ALTER ROLE {role} CONNECTION LIMIT -1")

    assert answers == [[b""]] * 64
    # Only those that had begun when the first was refused. The next attempt is later.
    assert len(attempts) < pool.size


def test_without_any_connection_requests_fail_immediately_with_the_cause(
    make: Callable[[int], Pool],
) -> None:
    pool = make(2)
    role = connections["api"].get_connection_params()["user"]
    execute(f"ALTER ROLE {role} CONNECTION LIMIT 0")
    try:
        start = perf_counter()
        with pytest.raises(ConnectionFailed) as caught:
            pool.call(b"SELECT 1", [])
        assert perf_counter() - start < 2
    finally:
        execute(f"ALTER ROLE {role} CONNECTION LIMIT -1")

    assert caught.value.cause == "too_many"
    assert pool.call(b"SELECT 1", []) == [b"1"]


def test_the_error_of_the_first_attempt_is_the_result_of_all_waiting_requests(
    make: Callable[[int], Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make(8)
    attempts = []

    def attempt(*args: Any) -> Connection:
        attempts.append(args)
        wait_until(lambda: pool.waiting == 8)
        raise ConnectionFailed("refused", "Connection refused")

    monkeypatch.setattr(pool, "_pause", 60)
    monkeypatch.setattr("config.server.pool.Connection", attempt)
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(pool.call, b"SELECT 1", []) for _ in range(8)]

    assert [getattr(call.exception(), "cause", None) for call in calls] == ["refused"] * 8
    assert len(attempts) == 1


def test_the_first_open_connection_serves_requests_that_wait_for_slower_ones(
    make: Callable[[int], Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make(5)
    starts = []

    def attempt(*args: Any) -> Connection:
        starts.append(perf_counter())
        if len(starts) < 3:
            sleep(CONNECTION_TIMEOUT)
            raise ConnectionFailed("timeout", "connecting took too long")
        return Connection(*args)

    monkeypatch.setattr("config.server.pool.Connection", attempt)
    start = perf_counter()
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: pool.call(b"SELECT 1", []), range(10)))

    assert answers == [[b"1"]] * 10
    assert perf_counter() - start < 0.8 * CONNECTION_TIMEOUT
    assert starts[1] - starts[0] > 0.9 * CONNECTION_TIMEOUT / 5


def test_a_closed_pool_closes_a_connection_in_use_when_it_is_released(
    make: Callable[[int], Pool],
) -> None:
    pool = make(1)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(pool.call, SLEEP, [b"0.3"])
        wait_until(lambda: pool.in_use == 1)
        pool.close()
        assert call.result() == [b""]

    assert pool.open == 0


def test_without_a_thread_to_connect_the_request_fails_with_that_error(
    make: Callable[[int], Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make(2)
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", Mock(side_effect=RuntimeError("can't start new thread")))
        with pytest.raises(ConnectionFailed, match="can't start new thread"):
            pool.call(b"SELECT 1", [])

    assert pool.waiting == 0
    assert pool.call(b"SELECT 1", []) == [b"1"]


def test_a_lost_answer_is_not_a_failed_connection(
    make: Callable[[int], Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.server.pool.ANSWER_TIMEOUT", 0.2)
    with pytest.raises(AnswerLost):
        make(1).call(SLEEP, [b"1"])
    assert issubclass(AnswerLost, OperationalError)
