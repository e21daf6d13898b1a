"""Runs the production server, and with --demo prepares all that a first try of the project needs.

System checks run first: they report all errors of the configuration, and nothing starts.
After SIGTERM and Ctrl-C, running requests finish; SIGTERM drains first (`config/server`).
"""

import os
import sys
from typing import Any

import structlog
from django.conf import settings
from django.contrib.admin import site
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
from config.http import bookmarks, rate_limits
from config.http.api import api
from config.http.openapi import operation_ids
from config.operator import demo
from config.operator.diagnosis import database
from config.server import exporter
from config.server.master import Master
from config.server.system import allow_open_files, check_port, unbuffered
from tasks.operations.shards import Shard

MAX_THREADS = 512
MAX_SOCKETS = 8192
"""Per worker. A client that is idle, or slow to send its headers, uses a socket but no thread."""
BETTER_AUTH_CONNECTIONS = 2
"""Per worker, to BETTER_AUTH_DATABASE_URL. A page of the admin uses one for some milliseconds."""

WEAK_KEYS = {"security.W009": "SECRET_KEY", "security.W025": "SECRET_KEY_FALLBACKS"}
"""The keys that sign the sessions of staff. Django's check of them only warns."""

log = structlog.get_logger()


class Command(BaseCommand):
    help = "Runs the production server."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--demo",
            action="store_true",
            help="migrate, create a staff account and a demo user, and print how to use them",
        )

    def check(self, *_: Any, **__: Any) -> None:
        """Runs all checks, including the server's. Only `check --deploy` reports the other
        deployment checks of Django."""
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
        check_port(settings.HOST, settings.PORT)
        if settings.METRICS_PORT:
            exporter.start(
                settings.METRICS_HOST,
                settings.METRICS_PORT,
                settings.WEB_CONCURRENCY,
                operation_ids(api.get_openapi_schema()),
            )
        try:
            start_embedded_database()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if demo:
            self.prepare()
        allow_open_files(MAX_SOCKETS + MAX_THREADS)
        if shard := database.shard():
            site.site_header = f"{site.site_header}, {shard}"
        log_start(shard)
        # For the workers only: the pool has a thread, and there must be none when they are forked.
        owner = settings.DATABASES["default"]
        owner |= pooled(owner, settings.ADMIN_CONNECTIONS)
        if better_auth := settings.DATABASES.get("better_auth"):
            better_auth |= pooled(better_auth, BETTER_AUTH_CONNECTIONS)
        Master(
            load=load_application,
            address=settings.HOST,
            port=settings.PORT,
            interface=Interfaces.WSGI,
            http=HTTPModes.http1,
            websockets=False,
            workers=settings.WEB_CONCURRENCY,
            blocking_threads=MAX_THREADS,
            backpressure=MAX_SOCKETS,
            http1_settings=HTTP1Settings(header_read_timeout=10_000),
            # It warns at every stop, because it checks a worker's end before the system reports it.
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
        """Not in a thread, because a worker that is forked now could inherit a lock it holds."""
        while not demo.answers(settings.HOST, settings.PORT):
            if master.main_loop_interrupt.wait(0.05):
                return
        self.stdout.write(demo.announcement(settings.HOST, settings.PORT))
        self.stdout.flush()


def load_application() -> Any:
    """Called in a worker, where Django may open what must not exist in the master."""
    from config.staff import refusals  # noqa: PLC0415
    from config.wsgi import application  # noqa: PLC0415

    refusals.record()
    return bookmarks.with_bookmarks(rate_limits.with_fields(application))


def weak(name: str) -> checks.Error:
    return checks.Error(
        f"{name} is weak: set it to 50 random characters or more.",
        hint="openssl rand -base64 48 generates one.",
        id="config.E005",
    )


def start_embedded_database() -> None:
    """In the master, so that the workers only need to connect."""
    if data := settings.DATABASES["default"].get("EMBEDDED"):
        os.environ["DATABASE_URL"] = embedded.url(data)


def log_start(shard: Shard | None) -> None:
    """A warning if the database allows too few connections, or does not isolate users."""
    isolated = is_isolated()
    allowed = database.connections_allowed()
    needed = settings.WEB_CONCURRENCY * settings.DATABASE_CONNECTIONS
    is_enough = allowed is None or needed <= allowed
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
        **({"admin": str(shard)} if shard else {}),
    )


def sources_of_keys() -> list[str]:
    key_set = "BETTER_AUTH_JWKS" if conf.key_set() else plain(next(iter(conf.key_set_urls()), ""))
    return [source for source in (key_set, "shared secret" if conf.secret() else "") if source]


def is_isolated() -> bool:
    """False if API_DATABASE_URL has the user of DATABASE_URL, which may read all tables."""
    owner, api = (settings.DATABASES[alias] for alias in ("default", "api"))
    return bool(api["ROLE_IS_DERIVED"] or api.get("USER") != owner.get("USER"))
