"""Metrics in the memory that processes share."""

import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from typing import Any

import pytest

from config.http.api import api
from config.http.openapi import operation_ids
from config.server import metrics
from config.server.exporter import collect, text
from config.server.memory import CELLS, NAME_BYTES, Region, Slot

fork = get_context("fork")


@pytest.fixture
def region() -> Iterator[Region]:
    yield metrics.share(1, operation_ids(api.get_openapi_schema()))
    metrics.state.region = metrics.state.recorder = None


@pytest.fixture
def worker(region: Region) -> Callable[[Callable[[], None]], Any]:
    """Forks a worker that calls a function and then waits until it is killed."""

    def start(record: Callable[[], None]) -> Any:
        recorded = fork.Event()

        def run() -> None:
            metrics.attach()
            record()
            recorded.set()
            signal.pause()

        process = fork.Process(target=run, daemon=True)
        process.start()
        assert recorded.wait(10)
        return process

    return start


def kill(process: Any) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def test_without_shared_memory_nothing_is_counted() -> None:
    metrics.attach()
    metrics.request("readTask", 200, "", 0.1)
    metrics.waited("connection", 0.1)
    metrics.refused("expired")
    metrics.connections(1, 0)
    metrics.keys_fetched()

    assert metrics.state.recorder is None


def test_the_counters_of_a_dead_worker_stay_but_not_its_gauges(region: Region, worker: Any) -> None:
    def record() -> None:
        metrics.request("readTask", 200, "", 0.1)
        metrics.waited("connection", 0.5)
        metrics.refused("expired")
        metrics.connections(3, 2)

    counters = {
        ("tasks_requests_total", "readTask", "200", ""): 1.0,
        ("tasks_request_duration_seconds", "readTask", "0.1"): 1.0,
        ("tasks_request_duration_seconds_sum", "readTask"): 0.1,
        ("tasks_waited_seconds_total", "connection"): 0.5,
        ("tasks_tokens_refused_total", "expired"): 1.0,
        ("tasks_workers_started_total",): 1.0,
    }
    gauges = ("tasks_workers",), ("tasks_database_connections_in_use",)

    process = worker(record)
    samples = collect(region)
    assert counters.items() <= samples.items()
    assert [samples[gauge] for gauge in gauges] == [1, 3]

    kill(process)
    samples = collect(region)
    assert counters.items() <= samples.items()
    assert [samples[gauge] for gauge in gauges] == [0, 0]
    assert samples[("tasks_database_requests_waiting",)] == 0

    names = region.slots[0].names()
    successor = worker(lambda: metrics.request("readTask", 200, "", 0.1))
    samples = collect(region)
    assert samples[("tasks_requests_total", "readTask", "200", "")] == 2
    assert samples[("tasks_database_connections_in_use",)] == 0
    assert region.slots[0].names() == names
    kill(successor)


def test_a_worker_and_its_successor_count_at_the_same_time(region: Region, worker: Any) -> None:
    processes = [worker(lambda: metrics.request("readTask", 200, "", 0.1)) for _ in range(3)]

    samples = collect(region)
    assert samples[("tasks_workers",)] == 3
    assert samples[("tasks_requests_total", "readTask", "200", "")] == 3
    for process in processes:
        kill(process)


def test_a_worker_without_a_slot_is_not_counted(region: Region, worker: Any) -> None:
    slots = len(region.slots)
    processes = [worker(lambda: metrics.request("readTask", 200, "", 0)) for _ in range(slots + 1)]

    assert collect(region)[("tasks_requests_total", "readTask", "200", "")] == slots
    for process in processes:
        kill(process)


def test_buckets_include_those_below_them(region: Region, worker: Any) -> None:
    def record() -> None:
        for seconds in (0.001, 0.0011, 0.3, 99.0):
            metrics.request("readTask", 200, "", seconds)

    process = worker(record)
    lines = [line for line in text(region).splitlines() if "duration_seconds_" in line]

    def line(name: str) -> str:
        (found,) = (line for line in lines if name in line)
        return found.rpartition(" ")[2]

    expected = {"0.001": 1, "0.0025": 2, "0.25": 2, "0.5": 3, "5.0": 3, "+Inf": 4}
    assert {le: float(line(f'le="{le}"')) for le in expected} == expected
    assert line("_count") == "4.0"
    assert float(line("_sum")) == pytest.approx(99.3021)
    kill(process)


def test_too_many_samples_and_names_that_are_too_long_do_no_harm(region: Region) -> None:
    slot: Slot = region.slots[0]
    assert slot.add(b"x" * (NAME_BYTES + 1)) == 1
    cells = [slot.add(b"sample %d" % n) for n in range(CELLS + 5)]

    assert cells[: CELLS - 2] == list(range(2, CELLS))
    assert cells[CELLS - 2 :] == [1] * 7
    assert len(list(slot.read())) == CELLS - 2
    assert region.slots[1].names() == []
