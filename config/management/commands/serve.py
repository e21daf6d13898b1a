"""Runs the production server, and with --demo all that a first look at the project needs.

System checks come first: a bad configuration is told whole, and nothing starts.
SIGTERM and Ctrl-C let the requests under way finish.
"""

import os
import resource
import socket
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from config import demo
from config.database import embedded, pooled
from config.server import exporter

MAX_THREADS = 512
SOCKETS = 8192
"""Of each worker, at most: a client that is idle, or slow to send its headers, holds no thread."""


class Command(BaseCommand):
    help = "Runs the production server."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--demo",
            action="store_true",
            help="migrate, make a staff account and a demo user, and print how to use them",
        )

    def handle(self, *, demo: bool, **_: Any) -> None:
        refuse_a_weak_key()
        host = "127.0.0.1" if settings.DEBUG else "0.0.0.0"  # noqa: S104  a container's proxy
        refuse_a_taken_port(host, settings.PORT)
        if settings.METRICS_PORT:
            exporter.start(settings.METRICS_HOST, settings.METRICS_PORT, settings.WEB_CONCURRENCY)
        try:
            pass_on_the_database()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if demo:
            self.prepare()
        self.tell_of_isolation()
        allow_files(SOCKETS + MAX_THREADS)
        owner = settings.DATABASES["default"]
        owner |= pooled(owner, settings.ADMIN_CONNECTIONS)
        Server(
            "config.wsgi:application",
            address=host,
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
        ).serve()

    def tell_of_isolation(self) -> None:
        users = [settings.DATABASES[alias].get("USER") for alias in ("default", "api")]
        if users[0] == users[1] and not settings.DATABASES["api"]["ROLE_IS_DERIVED"]:
            self.stderr.write(
                "Isolation by the database is off: API_DATABASE_URL has the user of DATABASE_URL.",
                self.style.WARNING,
            )

    def prepare(self) -> None:
        demo.prepare()
        demo.announce_when_ready(self.stdout.write, settings.PORT)


def allow_files(number: int) -> None:
    """Each socket is an open file, and the soft limit of a system is often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def refuse_a_weak_key() -> None:
    """It signs the sessions of staff. Django looks at it for deployments only, and then warns."""
    found = checks.run_checks(tags=[checks.Tags.security], include_deployment_checks=True)
    if not settings.DEBUG and any(message.id == "security.W009" for message in found):
        raise CommandError(
            "SECRET_KEY is weak: set it to 50 random characters or more. "
            "openssl rand -base64 48 makes a good one."
        )


def refuse_a_taken_port(host: str, port: int) -> None:
    """Asks the system, since the server shares its port with whoever is willing to."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} cannot be used ({error.strerror}): set PORT to another one."
            ) from error


def pass_on_the_database() -> None:
    """Starts the embedded server here, so that workers only connect to it."""
    if data := settings.DATABASES["default"].get("EMBEDDED"):
        os.environ["DATABASE_URL"] = embedded.url(data)
