"""What the service counts, in memory that its processes share.

`serve` makes the memory before it forks the workers. Each worker writes to a slot of its own, and
the exporter adds the slots up. What a dead worker counted stays in its slot, and the worker that
takes the slot next goes on from there, so no counter goes backwards.

Without METRICS_PORT there is no memory, and every function here returns at once.
"""

import fcntl
import logging
import math
import mmap
import os
import re
import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import lru_cache
from tempfile import TemporaryFile
from typing import get_args

from django.http import HttpRequest

from authjwt.bearer import verifier
from authjwt.exceptions import REASONS
from config.server.account import Awaited, account

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
GAUGES = (IN_USE, WAITING, KEYS_FETCHED, KEYS_FAILURES)

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, math.inf)
WAITED_FOR = get_args(Awaited)

CELLS = 1024
NAME = 120
VALUES = CELLS * 8
SLOT = VALUES + CELLS * NAME
"""Figures of a worker, bytes of a name, bytes of all figures, and of a whole slot. Ten operations
with all their statuses and buckets are 300 figures; memory that is not used is never allocated."""

Operations = Mapping[tuple[str, str], str]
"""The operation ids of OpenAPI by path and method."""
Key = tuple[str | int | float, ...]
"""The name of a metric and the values of its labels."""


class Slot:
    """Figures of one worker at a time: cell 0 says how many are named, cell 1 is for the rest."""

    def __init__(self, memory: memoryview) -> None:
        self.values = memory[:VALUES].cast("d")
        self._names = memory[VALUES:]

    def names(self) -> list[bytes]:
        used = int(self.values[0])
        return [bytes(self._names[n * NAME : (n + 1) * NAME]).rstrip(b"\0") for n in range(used)]

    def read(self) -> Iterator[tuple[tuple[str, ...], float]]:
        for cell, name in enumerate(self.names(), start=2):
            yield tuple(name.decode().split("\t")), self.values[cell]

    def add(self, name: bytes) -> int:
        """The cell of a new name. It is written first and counted then: nobody reads half of it."""
        used = int(self.values[0])
        if used + 2 == CELLS or len(name) > NAME:
            return 1
        self._names[used * NAME : used * NAME + len(name)] = name
        self.values[0] = used + 1
        return used + 2


class Region:
    """The slots. A worker holds the lock of its slot; the system takes it back at its death.

    There are enough of them for workers that are replaced before they end.
    """

    def __init__(self, workers: int) -> None:
        slots = 2 * workers + 2
        memory = memoryview(mmap.mmap(-1, slots * SLOT))
        self.slots = [Slot(memory[n * SLOT : (n + 1) * SLOT]) for n in range(slots)]
        with TemporaryFile() as file:
            self._locks = os.dup(file.fileno())

    def take(self) -> Slot | None:
        return next((slot for n, slot in enumerate(self.slots) if self._lock(n)), None)

    def is_taken(self, number: int) -> bool:
        """Asked by another process than the one that took it."""
        if self._lock(number):
            fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, number)
            return False
        return True

    def _lock(self, number: int) -> bool:
        try:
            fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            return False
        return True


class Recorder:
    """Writes the figures of this worker. Its threads share the lock: an addition is two steps."""

    def __init__(self, slot: Slot) -> None:
        self.values = slot.values
        self.lock = threading.Lock()
        self._slot = slot
        self._named = {name: cell for cell, name in enumerate(slot.names(), start=2)}
        self._cells: dict[Key, int] = {}
        # What is there from the start can be asked for before it has happened.
        self.gauges = {name: self.cell((name,)) for name in GAUGES}
        for cell in self.gauges.values():
            self.values[cell] = 0.0
        for reason in REASONS:
            self.cell((REFUSED, reason))
        for what_for in WAITED_FOR:
            self.cell((WAITED, what_for))
        self.values[self.cell((STARTED,))] += 1

    def cell(self, key: Key) -> int:
        found = self._cells.get(key)
        if found is None:
            name = "\t".join(map(str, key)).encode()
            if name not in self._named:
                self._named[name] = self._slot.add(name)
            found = self._cells[key] = self._named[name]
        return found

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
    """Called by each worker when it loads the application."""
    if state.region is None or state.recorder:
        return
    if slot := state.region.take():
        state.recorder = Recorder(slot)
    else:
        log.warning("no slot for the metrics of this worker: it is not counted")


def request(operation: str, status: int, error_code: str, seconds: float) -> None:
    """Counts an answer; `seconds` are from the arrival of the request."""
    if recorder := state.recorder:
        recorder.request(operation, status, error_code, seconds)


def waited(what_for: Awaited, seconds: float) -> None:
    if recorder := state.recorder:
        recorder.add((WAITED, what_for), seconds)


def refused(reason: str) -> None:
    """Counts a token that was refused, for a reason out of `authjwt.exceptions`."""
    if recorder := state.recorder:
        recorder.add((REFUSED, reason))


def connections(in_use: int, waiting: int) -> None:
    """How many connections of this worker are in use, and how many requests wait for one."""
    if recorder := state.recorder:
        recorder.set(IN_USE, in_use)
        recorder.set(WAITING, waiting)


def keys_fetched() -> None:
    """Tells how old the keys of this worker are, and how many fetches have failed since then."""
    if (recorder := state.recorder) and (keys := verifier().keys):
        recorder.set(KEYS_FETCHED, keys.fetched_at or 0.0)
        recorder.set(KEYS_FAILURES, keys.failures)


def answered(request: HttpRequest, status: int, seconds: float) -> None:
    """All that is counted of a request that Django answered."""
    if not (recorder := state.recorder):
        return
    match = request.resolver_match
    name = operation(match.route, request.method or "") if match else OTHER
    recorder.request(name, status, getattr(request, "error_code", ""), seconds)
    for what_for, waited_seconds in account.waits.items():
        waited(what_for, waited_seconds)
    if reason := getattr(request, "explanation", {}).get("reason"):
        refused(reason)
    keys_fetched()


OTHER = "other"
SECTIONS = ("admin", "health")
CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")


@lru_cache(maxsize=256)  # a client may make up methods
def operation(route: str, method: str) -> str:
    """The operation id of OpenAPI; `admin`, `health` or `other` for what is none of a task."""
    section = route.partition("/")[0]
    if section in SECTIONS:
        return section
    path = "/" + CONVERTER.sub(r"{\1}", route)
    return state.operations.get((path, "GET" if method == "HEAD" else method), OTHER)
