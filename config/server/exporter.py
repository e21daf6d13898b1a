"""Answers GET /metrics in the text format of Prometheus, for all workers together.

It is a process of its own, forked before there is any thread: a thread of the master could hold a
lock while a dead worker is replaced, and the new worker would wait for that lock for ever.
"""

import multiprocessing
import os
import signal
import socketserver
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socket import AF_INET, AF_INET6
from typing import Any

from django.core.management.base import CommandError

from config.server import metrics
from config.server.metrics import BUCKETS, Region

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TIMEOUT = 10.0
MAX_SCRAPERS = 100
"""Seconds for a scraper that neither sends nor reads, and how many of them there may be at once."""

Figures = Mapping[tuple[str, ...], float]

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
    (WORKERS, "gauge", "Workers that are alive.", ()),
    (metrics.STARTED, "counter", "Workers that were started.", ()),
)


def text(region: Region) -> str:
    figures = collect(region)
    return "".join(f"{line}\n" for family in FAMILIES for line in _family(*family, figures=figures))


def collect(region: Region) -> Figures:
    """Counters of all slots are added up; of the gauges only those of workers that are alive."""
    figures: dict[tuple[str, ...], float] = defaultdict(float)
    gauges: dict[str, list[float]] = {name: [] for name in metrics.GAUGES}
    workers = 0
    for number, slot in enumerate(region.slots):
        taken = region.is_taken(number)
        workers += taken
        for key, value in slot.read():
            if key[0] not in gauges:
                figures[key] += value
            elif taken:
                gauges[key[0]].append(value)
    figures[(WORKERS,)] = workers
    for name in (metrics.IN_USE, metrics.WAITING):
        figures[(name,)] = sum(gauges[name])
    figures[(metrics.KEYS_FAILURES,)] = max(gauges[metrics.KEYS_FAILURES], default=0)
    if fetched := [moment for moment in gauges[metrics.KEYS_FETCHED] if moment]:
        figures[(KEYS_AGE,)] = time.monotonic() - min(fetched)
    return figures


def _family(
    name: str, kind: str, about: str, labels: tuple[str, ...], *, figures: Figures
) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
    if kind == "histogram":
        for operation in sorted({key[1] for key in figures if key[0] == name}):
            yield from _histogram(name, operation, figures)
        return
    for key in sorted(key for key in figures if key[0] == name):
        named = ",".join(f'{label}="{value}"' for label, value in zip(labels, key[1:], strict=True))
        yield f"{name}{{{named}}} {figures[key]}" if labels else f"{name} {figures[key]}"


def _histogram(name: str, operation: str, figures: Figures) -> Iterator[str]:
    """A worker counts a request in one bucket; here each bucket includes those below it."""
    total = 0.0
    for bound in BUCKETS:
        total += figures.get((name, operation, str(bound)), 0.0)
        le = "+Inf" if bound == BUCKETS[-1] else bound
        yield f'{name}_bucket{{operation="{operation}",le="{le}"}} {total}'
    yield f'{name}_sum{{operation="{operation}"}} {figures.get((f"{name}_sum", operation), 0.0)}'
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
        # Ctrl-C reaches all processes of a terminal: the master ends this one when it has ended.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.serve_forever()

    def service_actions(self) -> None:
        """Called twice a second: without its master it ends."""
        if os.getppid() != self._master:
            sys.exit()

    def process_request(self, request: Any, client_address: Any) -> None:
        if threading.active_count() > MAX_SCRAPERS:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a scraper that is gone
            super().handle_error(request, client_address)


def start(host: str, port: int, workers: int, operations: metrics.Operations) -> None:
    """Takes the port, and starts the process. `multiprocessing` ends it when the master ends."""
    try:
        server = Exporter(host, port, metrics.share(workers, operations))
    except OSError as error:
        raise CommandError(
            f"Metrics cannot be served on port {port} of {host} ({error.strerror}): "
            "set METRICS_PORT to a free port, and METRICS_HOST to an address of this machine."
        ) from error
    # A worker that is spawned, as on macOS and from Python 3.14 on, would not share the memory.
    multiprocessing.set_start_method("fork", force=True)
    multiprocessing.Process(target=server.run, name="metrics", daemon=True).start()
    server.server_close()
