"""Answers GET /metrics in the text format of Prometheus, for all workers together.

It is a separate process, forked before any thread starts. A thread of the master could hold a lock
while a worker is forked to replace a dead one, and the new worker would wait for that lock forever.
"""

import multiprocessing
import os
import signal
import socketserver
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socket import AF_INET, AF_INET6
from time import monotonic
from typing import Any

from django.core.management.base import CommandError

from config.server import metrics
from config.server.memory import Region
from config.server.metrics import BUCKETS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TIMEOUT = 10.0
"""Seconds after which a scraper that neither sends nor reads is disconnected."""
MAX_SCRAPERS = 100

Samples = Mapping[tuple[str, ...], float]
"""Values by the name of the metric and the values of its labels."""

KEYS_AGE = "tasks_keys_age_seconds"
WORKERS = "tasks_workers"
FAMILIES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        metrics.REQUESTS,
        "counter",
        "Requests that were answered.",
        ("operation", "status", "error_code"),
    ),
    (metrics.DURATION, "histogram", "Seconds from the arrival of a request.", ("operation",)),
    (metrics.IN_USE, "gauge", "Connections to the database that the API uses.", ()),
    (metrics.WAITING, "gauge", "Requests that wait for a connection to the database.", ()),
    (metrics.WAITED, "counter", "Seconds that requests waited.", ("waited_for",)),
    (metrics.REFUSED, "counter", "Tokens that were refused.", ("reason",)),
    (KEYS_AGE, "gauge", "Seconds since a worker last fetched the verification keys.", ()),
    (metrics.KEYS_FAILURES, "gauge", "Fetches of the keys that failed in a row.", ()),
    (
        metrics.REPLICA_READS,
        "counter",
        "Reads that the replica was allowed to answer.",
        ("answered_by",),
    ),
    (metrics.REPLICA_PROBLEMS, "gauge", "Workers that send the replica no reads.", ()),
    (metrics.REPLICA_LAG, "gauge", "Seconds that the replica was behind at the last check.", ()),
    (WORKERS, "gauge", "Workers that are alive.", ()),
    (metrics.STARTED, "counter", "Workers that were started.", ()),
)


def text(region: Region) -> str:
    samples = collect(region)
    return "".join(f"{line}\n" for family in FAMILIES for line in _family(*family, samples=samples))


def collect(region: Region) -> Samples:
    """Adds up the counters of all slots, and combines the gauges of the workers that are alive."""
    samples: dict[tuple[str, ...], float] = defaultdict(float)
    gauges: dict[str, list[float]] = {name: [] for name in metrics.GAUGES}
    workers = 0
    for number, slot in enumerate(region.slots):
        taken = region.is_taken(number)
        workers += taken
        for key, value in slot.read():
            if key[0] not in gauges:
                samples[key] += value
            elif taken:
                gauges[key[0]].append(value)
    samples[(WORKERS,)] = workers
    for name in (metrics.IN_USE, metrics.WAITING, metrics.REPLICA_PROBLEMS):
        samples[(name,)] = sum(gauges[name])
    for name in (metrics.KEYS_FAILURES, metrics.REPLICA_LAG):
        samples[(name,)] = max(gauges[name], default=0)
    if fetched := [time for time in gauges[metrics.KEYS_FETCHED] if time]:
        samples[(KEYS_AGE,)] = monotonic() - min(fetched)
    return samples


def _family(
    name: str, kind: str, description: str, labels: tuple[str, ...], *, samples: Samples
) -> Iterator[str]:
    yield f"# HELP {name} {description}"
    yield f"# TYPE {name} {kind}"
    if kind == "histogram":
        for operation in sorted({key[1] for key in samples if key[0] == name}):
            yield from _histogram(name, operation, samples)
        return
    for key in sorted(key for key in samples if key[0] == name):
        pairs = ",".join(f'{label}="{value}"' for label, value in zip(labels, key[1:], strict=True))
        yield f"{name}{{{pairs}}} {samples[key]}" if labels else f"{name} {samples[key]}"


def _histogram(name: str, operation: str, samples: Samples) -> Iterator[str]:
    """A worker counts a request in one bucket, but Prometheus needs cumulative buckets."""
    total = 0.0
    for bound in BUCKETS:
        total += samples.get((name, operation, str(bound)), 0.0)
        le = "+Inf" if bound == BUCKETS[-1] else bound
        yield f'{name}_bucket{{operation="{operation}",le="{le}"}} {total}'
    yield f'{name}_sum{{operation="{operation}"}} {samples.get((f"{name}_sum", operation), 0.0)}'
    yield f'{name}_count{{operation="{operation}"}} {total}'


class Handler(BaseHTTPRequestHandler):
    timeout = TIMEOUT
    server: "Exporter"

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        content = text(self.server.region).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        if code == HTTPStatus.NOT_IMPLEMENTED:  # any other method
            code, message = HTTPStatus.NOT_FOUND, None
        super().send_error(code, message, explain)

    def version_string(self) -> str:
        return "tasks"

    def log_message(self, *_: Any) -> None:
        pass


class Exporter(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, region: Region) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self.region = region
        self._master = os.getpid()
        super().__init__((host, port), Handler)

    def run(self) -> None:
        # Ctrl-C reaches all processes of a terminal, but the master ends this one, as the last.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.serve_forever()

    def service_actions(self) -> None:
        """Called twice a second. Ends this process if its master has died."""
        if os.getppid() != self._master:
            sys.exit()

    def process_request(self, request: Any, client_address: Any) -> None:
        if threading.active_count() > MAX_SCRAPERS:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # the scraper has disconnected
            super().handle_error(request, client_address)


def start(host: str, port: int, workers: int, operations: metrics.Operations) -> None:
    """Binds the port, and starts the process, which `multiprocessing` ends with the master."""
    try:
        server = Exporter(host, port, metrics.share(workers, operations))
    except OSError as error:
        raise CommandError(
            f"Metrics cannot be served on port {port} of {host} ({error.strerror}): "
            "set METRICS_PORT to a free port, and METRICS_HOST to an address of this machine."
        ) from error
    # Spawned workers, the default on macOS and since Python 3.14, would not share the memory.
    multiprocessing.set_start_method("fork", force=True)
    multiprocessing.Process(target=server.run, name="metrics", daemon=True).start()
    server.server_close()
