"""Runs the production server, and with --demo all that a first look at the project needs.

System checks come first: a bad configuration is told whole, and nothing starts.
SIGTERM and Ctrl-C let the requests under way finish; SIGTERM drains before (`config/server`).
"""

import errno
import io
import os
import resource
import socket
import sys
from typing import Any, TextIO

import structlog
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    SystemCheckError,
)
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from authjwt import conf
from authjwt.wording import plain
from config import VERSION
from config.database import embedded, pooled
from config.http.api import api
from config.http.openapi import operation_ids
from config.operator import demo
from config.operator.diagnosis import database
from config.server import exporter
from config.server.master import Master

MAX_THREADS = 512
SOCKETS = 8192
"""Of each worker, at most: a client that is idle, or slow to send its headers, holds no thread."""

WEAK_KEYS = {"security.W009": "SECRET_KEY", "security.W025": "SECRET_KEY_FALLBACKS"}
"""They sign the sessions of staff. Django looks at them for deployments only, and then warns."""

log = structlog.get_logger()


class Command(BaseCommand):
    help = "Runs the production server."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--demo",
            action="store_true",
            help="migrate, make a staff account and a demo user, and print how to use them",
        )

    def check(self, *_: Any, **__: Any) -> None:
        """All checks at once, with those of the server; what Django says of deployments, it says
        in `check --deploy`."""
        errors: list[checks.CheckMessage] = []
        for message in checks.run_checks(include_deployment_checks=True):
            if message.id in WEAK_KEYS:
                errors += [] if settings.DEBUG else [weak(WEAK_KEYS[message.id])]
            elif message.is_serious() and not message.is_silenced():
                errors.append(message)
            elif not message.is_silenced() and not str(message.id).startswith("security."):
                self.stderr.write(str(message), self.style.WARNING)
        if errors:
            lines = "\n".join(sorted(map(str, errors)))
            raise SystemCheckError(f"The server cannot start with this configuration:\n\n{lines}")

    def handle(self, *, demo: bool, **_: Any) -> None:
        sys.stdout, sys.stderr = unbuffered(sys.stdout), unbuffered(sys.stderr)
        refuse_a_taken_port(settings.HOST, settings.PORT)
        if settings.METRICS_PORT:
            exporter.start(
                settings.METRICS_HOST,
                settings.METRICS_PORT,
                settings.WEB_CONCURRENCY,
                operation_ids(api.get_openapi_schema()),
            )
        try:
            pass_on_the_database()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if demo:
            self.prepare()
        allow_files(SOCKETS + MAX_THREADS)
        log_start()
        # Of the workers alone: the pool has a thread, and none may be here when they are forked.
        owner = settings.DATABASES["default"]
        owner |= pooled(owner, settings.ADMIN_CONNECTIONS)
        Master(
            load=load_application,
            address=settings.HOST,
            port=settings.PORT,
            interface=Interfaces.WSGI,
            http=HTTPModes.http1,
            websockets=False,
            workers=settings.WEB_CONCURRENCY,
            blocking_threads=MAX_THREADS,
            backpressure=SOCKETS,
            http1_settings=HTTP1Settings(header_read_timeout=10_000),
            # Its warnings come at every stop: it looks for a worker's end before the system tells.
            log_level=LogLevels.error,
            log_dictconfig=settings.LOGGING,
            respawn_failed_workers=True,
            workers_kill_timeout=30,
            drain_seconds=settings.DRAIN_SECONDS,
            when_started=self.announce if demo else None,
        ).run()

    def prepare(self) -> None:
        demo.prepare()

    def announce(self, master: Master) -> None:
        """Without a thread: a worker that is forked beside one may inherit a lock that it holds."""
        while not demo.answers(settings.HOST, settings.PORT):
            if master.main_loop_interrupt.wait(0.05):
                return
        self.stdout.write(demo.announcement(settings.HOST, settings.PORT))
        self.stdout.flush()


def load_application() -> Any:
    """In a worker, where Django may open what the master must not have."""
    from config.wsgi import application  # noqa: PLC0415

    return application


def unbuffered(stream: TextIO) -> TextIO:
    """What a full disk has not taken would stay in the buffer, and no worker starts before that is
    written: `multiprocessing` flushes both streams."""
    file = io.FileIO(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(file, "utf-8", "backslashreplace", write_through=True)


def allow_files(number: int) -> None:
    """Each socket is an open file, and the soft limit of a system is often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def weak(name: str) -> checks.Error:
    return checks.Error(
        f"{name} is weak: set it to 50 random characters or more.",
        hint="openssl rand -base64 48 makes a good one.",
        id="config.E005",
    )


def refuse_a_taken_port(host: str, port: int) -> None:
    """Asks the system, since the server shares its port with whoever is willing to."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise CommandError(f"HOST {host} is not an address of this machine.") from error
            raise CommandError(
                f"Port {port} cannot be used ({error.strerror}): set PORT to another one."
            ) from error


def pass_on_the_database() -> None:
    """Starts the embedded server here, so that workers only connect to it."""
    if data := settings.DATABASES["default"].get("EMBEDDED"):
        os.environ["DATABASE_URL"] = embedded.url(data)


def log_start() -> None:
    """A warning where the database opens too few connections, or keeps no users apart."""
    isolated = is_isolated()
    allowed = database.connections_allowed()
    wanted = settings.WEB_CONCURRENCY * settings.DATABASE_CONNECTIONS
    is_enough = allowed is None or wanted <= allowed
    (log.info if isolated and is_enough else log.warning)(
        "start",
        version=VERSION,
        host=settings.HOST,
        port=settings.PORT,
        workers=settings.WEB_CONCURRENCY,
        connections_per_worker=settings.DATABASE_CONNECTIONS,
        connections_allowed=allowed,
        keys=sources_of_keys(),
        isolation_by_the_database="on" if isolated else "off",
    )


def sources_of_keys() -> list[str]:
    key_set = "BETTER_AUTH_JWKS" if conf.key_set() else plain(conf.key_set_url())
    return [source for source in (key_set, "shared secret" if conf.secret() else "") if source]


def is_isolated() -> bool:
    """Not where API_DATABASE_URL has the user of DATABASE_URL, which may read all tables."""
    owner, api = (settings.DATABASES[alias] for alias in ("default", "api"))
    return bool(api["ROLE_IS_DERIVED"] or api.get("USER") != owner.get("USER"))
