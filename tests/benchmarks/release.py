"""An earlier release of this project, to be compared with this one on the same server."""

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
    """The files of a commit, beside those of this tree; it runs with the packages of this tree."""
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
    """All of it, or nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(dir=target.parent) as part,
        tarfile.open(fileobj=BytesIO(archive)) as files,
    ):
        whole = Path(part, target.name)
        files.extractall(whole, filter="data")
        whole.rename(target)


def database_of(base: Candidate, database: Database, issuer: Issuer) -> Database:
    """Another database of the same server, with the same tasks.

    Each release has functions and a role of its own, and removes those of the other.
    """
    other = database.beside("base")
    other.migrate({**production(other.url), **issuer.environment}, base.folder)
    other.fill(database.tasks, database.users)
    return other
