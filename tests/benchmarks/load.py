"""Sends planned requests over persistent connections, each as soon as the last answer has arrived.

With wrk if it is installed. The fallback in Python uses more CPU than some of the servers, so its
throughput and latencies mean less; CPU per request is that of the server alone in both cases.
"""

import json
import math
import multiprocessing
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import BinaryIO

MAX_SECONDS = 20
"""A run ends after this time, however many of its requests are left."""

WRK = shutil.which("wrk")

CONTENT_LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Request:
    """headers: those beside the token, and those that describe the body."""

    method: str
    path: str
    token: str
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Expected:
    """What every answer of a run must be. Sizes are bytes of the body."""

    status: int
    min_size: int
    max_size: int


@dataclass(frozen=True)
class Result:
    """p50, p95, p99: milliseconds. wrong: answers that were not as expected, or missing.

    received: bytes of all answers, their headers included.
    """

    answered: int
    received: int
    seconds: float
    wrong: int
    p50: float
    p95: float
    p99: float


def send(port: int, requests: Sequence[Request], expected: Expected, connections: int) -> Result:
    """Sends each request once, and returns after the last answer."""
    return (wrk if WRK else python)(port, requests, expected, connections)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The percentile by the nearest-rank method."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def wrk(port: int, requests: Sequence[Request], expected: Expected, connections: int) -> Result:
    script = Path(__file__).with_suffix(".lua")
    with tempfile.NamedTemporaryFile("w", suffix=".plan") as plan:
        for request in requests:
            headers = (part for header in request.headers.items() for part in header)
            fields = (request.method, request.path, request.token, request.body, *headers)
            plan.write("\t".join((*fields, "\n")))
        plan.flush()
        done = subprocess.run(
            [
                *(str(WRK), "-t1", f"-c{connections}", f"-d{MAX_SECONDS}s", "--timeout", "10s"),
                *("-s", script, f"http://127.0.0.1:{port}", "--", plan.name),
                *map(str, (expected.status, expected.min_size, expected.max_size)),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    return Result(**json.loads(done.stderr))


def python(port: int, requests: Sequence[Request], expected: Expected, connections: int) -> Result:
    processes = min(2, connections)
    shares = [list(requests)[start::processes] for start in range(processes)]
    given = [(port, share, expected, connections // processes, MAX_SECONDS) for share in shares]
    # Spawned, since a fork would copy locks of the threads of this process but not the threads.
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        results = pool.starmap(_process, given)
    seconds = max(end for _, end, _, _ in results) - min(begin for begin, _, _, _ in results)
    sent = sum(count for _, _, count, _ in results)
    answers = list(chain.from_iterable(right for _, _, _, right in results))
    latencies = sorted(latency for latency, _ in answers)
    percentiles = (percentile(latencies or [math.nan], percent) * 1000 for percent in (50, 95, 99))
    received = sum(size for _, size in answers)
    return Result(len(answers), received, seconds, sent - len(answers), *percentiles)


def _process(
    port: int, requests: list[Request], expected: Expected, connections: int, max_seconds: float
) -> tuple[float, float, int, list[tuple[float, int]]]:
    """Returns begin and end, how many requests were sent, and the right answers."""
    begin = time.monotonic()
    queue = iter(requests)
    right: list[tuple[float, int]] = []
    threads = [
        threading.Thread(
            target=_connection, args=(port, queue, expected, begin + max_seconds, right)
        )
        for _ in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = len(requests) - len(list(queue))
    return begin, time.monotonic(), sent, right


def _connection(
    port: int,
    queue: Iterator[Request],
    expected: Expected,
    deadline: float,
    right: list[tuple[float, int]],
) -> None:
    """Adds seconds and received bytes of each answer that is as expected."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with wire.makefile("rb") as answers:
            while time.monotonic() < deadline and (request := next(queue, None)):
                start = time.perf_counter()
                wire.sendall(_wire_format(request))
                head = _head(answers)
                status, length = int(head.split()[1]), CONTENT_LENGTH.search(head)
                size = len(answers.read(int(length[1]))) if length else 0
                if status == expected.status and expected.min_size <= size <= expected.max_size:
                    right.append((time.perf_counter() - start, len(head) + size))


def _head(answers: BinaryIO) -> bytes:
    """The status and the headers of an answer, with the empty line at the end."""
    head = b""
    while line := answers.readline():
        head += line
        if line == b"\r\n":
            break
    return head


def _wire_format(request: Request) -> bytes:
    lines = [
        f"{request.method} {request.path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {request.token}",
        *(f"{name}: {value}" for name, value in request.headers.items()),
    ]
    if request.body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(request.body.encode())}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + request.body).encode()
