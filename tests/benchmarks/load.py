"""Sends planned requests over persistent connections, each as soon as the last answer has arrived.

With wrk if it is installed. The fallback in Python uses more CPU than some of the servers, so its
throughput and latencies mean less; CPU per request is that of the server alone in both cases.
"""

import json
import math
import multiprocessing
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

MAX_SECONDS = 20
"""A run ends after this time, however many of its requests are left."""

WRK = shutil.which("wrk")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    token: str
    body: str = ""


@dataclass(frozen=True)
class Expected:
    """What every answer of a run must be. Sizes are bytes of the body."""

    status: int
    min_size: int
    max_size: int


@dataclass(frozen=True)
class Result:
    """p50, p95, p99: milliseconds. wrong: answers that were not as expected, or missing."""

    answered: int
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
            plan.write(f"{request.method}\t{request.path}\t{request.token}\t{request.body}\n")
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
    given = [(port, share, expected, connections // processes) for share in shares]
    # Spawned, since a fork would copy locks of the threads of this process but not the threads.
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        results = pool.starmap(_process, given)
    seconds = max(end for _, end, _ in results) - min(begin for begin, _, _ in results)
    latencies = sorted(chain.from_iterable(taken for _, _, taken in results))
    percentiles = (percentile(latencies or [math.nan], percent) * 1000 for percent in (50, 95, 99))
    return Result(len(latencies), seconds, len(requests) - len(latencies), *percentiles)


def _process(
    port: int, requests: list[Request], expected: Expected, connections: int
) -> tuple[float, float, list[float]]:
    queue = iter(requests)
    latencies: list[float] = []
    threads = [
        threading.Thread(target=_connection, args=(port, queue, expected, latencies))
        for _ in range(connections)
    ]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return begin, time.monotonic(), latencies


def _connection(
    port: int, queue: Iterator[Request], expected: Expected, latencies: list[float]
) -> None:
    deadline = time.monotonic() + MAX_SECONDS
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with wire.makefile("rb") as answers:
            while time.monotonic() < deadline and (request := next(queue, None)):
                start = time.perf_counter()
                wire.sendall(_wire_format(request))
                status = int(answers.readline().split()[1])
                size = len(answers.read(_content_length(answers)))
                if status == expected.status and expected.min_size <= size <= expected.max_size:
                    latencies.append(time.perf_counter() - start)


def _content_length(answers: BinaryIO) -> int:
    length = 0
    while (line := answers.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return length


def _wire_format(request: Request) -> bytes:
    lines = [
        f"{request.method} {request.path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {request.token}",
    ]
    if request.body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(request.body.encode())}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + request.body).encode()
