"""Prepares an earlier release of this project for a comparison on the same database server."""

import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer
from tests.benchmarks.postgres import FOLDER, ROOT
from tests.benchmarks.servers import Candidate, production


def exported(ref: str, folder: Path = FOLDER) -> Candidate:
    """Exports the files of a commit. They run with the packages of this tree."""
    try:
        commit = git("rev-parse", "--verify", "--short", f"{ref}^{{commit}}").decode().strip()
        target = folder / f"base-{commit}"
        if not target.exists():
            unpack(git("archive", commit), target)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"BASE={ref}: git finds no such commit in this checkout.") from error
    title = f"this project at {commit}"
    return Candidate("base", title, Path(sys.executable), ("manage.py", "serve"), target)


def git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True)
    return done.stdout


def unpack(archive: bytes, target: Path) -> None:
    """Unpacks everything or nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(dir=target.parent) as part,
        tarfile.open(fileobj=BytesIO(archive)) as files,
    ):
        whole = Path(part, target.name)
        files.extractall(whole, filter="data")
        whole.rename(target)


def database_of(base: Candidate, database: Database, issuer: Issuer) -> Database:
    """Makes another database on the same server, with the same tasks.

    In one database, each release would replace the functions and the role of the other.
    """
    other = database.beside("base")
    other.migrate({**production(other.url), **issuer.environment}, base.folder)
    other.fill(database.tasks, database.users)
    return other
