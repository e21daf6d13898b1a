"""Three servers behind PL/Proxy, and the tests of the API through them.

`python -m tests.shards tests/tasks -x` runs pytest with an API that calls the operations at the
proxy. Tests that also use the tables are skipped, because a table of the proxy has no tasks.
"""

import atexit
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import django
import psycopg
import pytest
from django.conf import settings
from django.db import connection

from config.database import configure, configure_api
from tests.cluster import PASSWORD, Cluster, manage

SHARDS = 3
VERSION = 15
"""That of the proxy. Debian's PL/Proxy is for this version."""
LIBRARY = Path("/usr/lib/postgresql/15/lib/plproxy.so")
DATABASE = "test_tasks"
"""As Django names it in tests of the database `tasks`."""
URLS = "TESTS_THROUGH_A_PROXY"
"""The URLs of the shards, in a variable of a run of pytest."""
EMPTY = "DELETE FROM tasks_task; DELETE FROM tasks_change"


class Shards:
    """url: the first shard. api_url: the proxy, as the role of the API. plan: SQL for the proxy."""

    def __init__(self, proxy: Cluster, shards: list[Cluster]) -> None:
        self.proxy = proxy
        self.shards = shards
        self.urls = [url_of(shard) for shard in shards]
        self.url = self.urls[0]
        api = configure_api(configure(self.url, proxy.folder), "", proxy.folder)
        self.api_url = proxy.url_of(f"{DATABASE}_tasks_api", api["PASSWORD"], DATABASE)
        self.addresses = [f"127.0.0.1:{shard.port}" for shard in shards]
        proxy.execute(f"CREATE DATABASE {DATABASE}")
        from tasks.operations.shards import Shard  # noqa: PLC0415  needs the settings

        planned = manage(self.url, "shard_plan", *self.addresses)
        assert planned.returncode == 0, planned.stderr
        self.plan = planned.stdout
        proxy.execute(self.plan, DATABASE)
        for number in range(1, len(shards) + 1):
            self.execute(number, Shard(number, len(shards)).numbering())

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        if not LIBRARY.exists():
            message = f"This test needs PL/Proxy for PostgreSQL {VERSION}, not found here."
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        with ExitStack() as running:
            proxy, first = (running.enter_context(Cluster.running(VERSION)) for _ in range(2))
            first.execute(f"CREATE DATABASE {DATABASE}")
            migrated = manage(url_of(first), "migrate")
            assert migrated.returncode == 0, migrated.stderr
            others = [running.enter_context(first.copy()) for _ in range(SHARDS - 1)]
            yield cls(proxy, [first, *others])

    def execute(self, number: int, sql: str) -> list[Any]:
        """On one shard, from 1."""
        return self.shards[number - 1].execute(sql, DATABASE)


def url_of(shard: Cluster) -> str:
    return shard.url_of("postgres", PASSWORD, DATABASE)


def are_used() -> bool:
    """Whether this run of pytest is one through a proxy."""
    return URLS in os.environ


@cache
def _opened() -> tuple[Any, list[psycopg.Connection[Any]]]:
    """Once for all tests: the pool of the proxy, and a connection to each shard."""
    from config.server.pool import Pool  # noqa: PLC0415  needs the settings

    urls = os.environ[URLS].split()
    shards = [psycopg.connect(url, autocommit=True) for url in urls]
    for shard in shards:
        atexit.register(shard.close)
    return Pool("api", settings.API_CONNECTIONS), shards


@contextmanager
def through_the_proxy() -> Iterator[None]:
    """One test."""
    from tasks import operations  # noqa: PLC0415  needs the models

    pool, shards = _opened()
    operations.use(pool)
    with connection.execute_wrapper(_skip), patch.object(psycopg, "connect", _skip):
        yield
    for shard in shards:
        shard.execute(EMPTY)


def _skip(*_: Any, **__: Any) -> None:
    pytest.skip("This test uses the tables.")


def main(*arguments: str) -> int:
    # Otherwise the clusters would outlive this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    inherited = dict(os.environ)
    os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "DEBUG": "true"}
    django.setup()
    with Shards.running() as shards:
        variables = {
            # Django puts test_ in front of the names of databases.
            "DATABASE_URL": shards.url.removesuffix(DATABASE) + "tasks",
            "API_DATABASE_URL": shards.api_url.removesuffix(DATABASE) + "tasks",
            URLS: " ".join(shards.urls),
        }
        command = [sys.executable, "-m", "pytest", "--reuse-db", *arguments]
        return subprocess.run(command, env=inherited | variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
