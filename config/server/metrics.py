"""What the service counts, in memory that its processes share (`memory.py`).

Each worker writes to a separate slot, and the exporter adds the slots up. The counters of a dead
worker stay in its slot, and the next worker that takes the slot continues from there, so that no
counter decreases.

Without METRICS_PORT there is no shared memory, and every function here returns immediately.
"""

import logging
import math
import re
import threading
from bisect import bisect_left
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, get_args

from django.conf import settings
from django.http import HttpRequest

from authjwt.bearer import verifier
from authjwt.exceptions import REASONS
from config.server.memory import Region, Slot
from config.server.stats import WaitedFor, stats

log = logging.getLogger(__name__)

REQUESTS = "tasks_requests_total"
DURATION = "tasks_request_duration_seconds"
DURATION_SUM = f"{DURATION}_sum"
IN_USE = "tasks_database_connections_in_use"
WAITING = "tasks_database_requests_waiting"
WAITED = "tasks_waited_seconds_total"
REFUSED = "tasks_tokens_refused_total"
KEYS_FETCHED = "tasks_keys_fetched"
KEYS_FAILURES = "tasks_keys_fetch_failures"
STARTED = "tasks_workers_started_total"
REPLICA_READS = "tasks_replica_reads_total"
REPLICA_PROBLEMS = "tasks_replica_problems"
REPLICA_LAG = "tasks_replica_lag_seconds"
GAUGES = (IN_USE, WAITING, KEYS_FETCHED, KEYS_FAILURES, REPLICA_PROBLEMS, REPLICA_LAG)

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, math.inf)
WAITED_FOR = get_args(WaitedFor)

Operations = Mapping[tuple[str, str], str]
"""The operation ids of the OpenAPI document, by path and method."""
Key = tuple[str | int | float, ...]
"""The name of a metric and the values of its labels."""


class Recorder:
    """Writes the numbers of this worker, with a lock, because its threads share them."""

    def __init__(self, slot: Slot) -> None:
        self.values = slot.values
        self.lock = threading.Lock()
        self._slot = slot
        self._named = {name: cell for cell, name in enumerate(slot.names(), start=2)}
        self._cells: dict[Key, int] = {}
        # Metrics that exist from the start can be queried before their first event.
        self.gauges = {name: self.cell((name,)) for name in GAUGES}
        for cell in self.gauges.values():
            self.values[cell] = 0.0
        for reason in REASONS:
            self.cell((REFUSED, reason))
        for waited_for in WAITED_FOR:
            self.cell((WAITED, waited_for))
        self.values[self.cell((STARTED,))] += 1

    def cell(self, key: Key) -> int:
        cell = self._cells.get(key)
        if cell is None:
            name = "\t".join(map(str, key)).encode()
            if name not in self._named:
                self._named[name] = self._slot.add(name)
            cell = self._cells[key] = self._named[name]
        return cell

    def add(self, key: Key, amount: float = 1.0) -> None:
        with self.lock:
            self.values[self.cell(key)] += amount

    def request(self, operation: str, status: int, error_code: str, seconds: float) -> None:
        values, cell = self.values, self.cell
        with self.lock:
            values[cell((REQUESTS, operation, status, error_code))] += 1
            values[cell((DURATION, operation, BUCKETS[bisect_left(BUCKETS, seconds)]))] += 1
            values[cell((DURATION_SUM, operation))] += seconds

    def set(self, gauge: str, value: float) -> None:
        self.values[self.gauges[gauge]] = value


class State:
    operations: Operations = {}  # noqa: RUF012  replaced as a whole
    region: Region | None = None
    recorder: Recorder | None = None


state = State()


def share(workers: int, operations: Operations) -> Region:
    """Called once, before the workers are forked."""
    state.operations = operations
    state.region = Region(workers)
    return state.region


def attach() -> None:
    """Called once by each worker, when it loads the application."""
    if state.region is None or state.recorder:
        return
    if slot := state.region.take():
        state.recorder = Recorder(slot)
    else:
        log.warning("no slot for the metrics of this worker: it is not counted")


def request(operation: str, status: int, error_code: str, seconds: float) -> None:
    """Counts an answer, `seconds` after the request arrived."""
    if recorder := state.recorder:
        recorder.request(operation, status, error_code, seconds)


def waited(waited_for: WaitedFor, seconds: float) -> None:
    if recorder := state.recorder:
        recorder.add((WAITED, waited_for), seconds)


def refused(reason: str) -> None:
    """Counts a refused token. The reason is one of `authjwt.exceptions.REASONS`."""
    if recorder := state.recorder:
        recorder.add((REFUSED, reason))


def connections(in_use: int, waiting: int) -> None:
    """Sets how many connections of this worker are in use, and how many requests wait for one."""
    if recorder := state.recorder:
        recorder.set(IN_USE, in_use)
        recorder.set(WAITING, waiting)


def replica_read(answered_by: Literal["replica", "primary"]) -> None:
    """Counts a read that the replica was allowed to answer."""
    if recorder := state.recorder:
        recorder.add((REPLICA_READS, answered_by))


def replica_problem(has_problem: bool) -> None:  # noqa: FBT001  it is the value of the gauge
    """Sets whether this worker sends the replica no reads."""
    if recorder := state.recorder:
        recorder.set(REPLICA_PROBLEMS, has_problem)


def replica_lag(seconds: float) -> None:
    """Sets how far the replica is behind; infinite if that is longer than anybody has watched."""
    if recorder := state.recorder:
        recorder.set(REPLICA_LAG, seconds)


def keys_fetched() -> None:
    """Sets when this worker last fetched its keys, and how many fetches have failed since then."""
    if (recorder := state.recorder) and (keys := verifier().keys):
        recorder.set(KEYS_FETCHED, keys.fetched_at or 0.0)
        recorder.set(KEYS_FAILURES, keys.failures)


def answered(request: HttpRequest, status: int, seconds: float) -> None:
    """Counts everything about a request that Django answered."""
    if not (recorder := state.recorder):
        return
    match = request.resolver_match
    name = operation(match.route, request.method or "") if match else OTHER
    recorder.request(name, status, getattr(request, "error_code", ""), seconds)
    for waited_for, waited_seconds in stats.waits.items():
        waited(waited_for, waited_seconds)
    if reason := getattr(request, "explanation", {}).get("reason"):
        refused(reason)
    keys_fetched()


OTHER = "other"
CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")


@lru_cache(maxsize=256)  # bounded, because a client may make up methods
def operation(route: str, method: str) -> str:
    """The operation id of OpenAPI for tasks, otherwise `admin`, `health` or `other`."""
    if f"/{route}/".startswith(settings.ADMIN_URL):
        return "admin"
    if f"/{route}/".startswith("/health/"):
        return "health"
    path = "/" + CONVERTER.sub(r"{\1}", route)
    return state.operations.get((path, "GET" if method == "HEAD" else method), OTHER)
