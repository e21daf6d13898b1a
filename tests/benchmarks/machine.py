"""The machine and the versions of a measurement."""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from tests.benchmarks.database import Database
from tests.benchmarks.installation import GO_PACKAGES, LOCK
from tests.benchmarks.load import WRK
from tests.benchmarks.postgres import ROOT
from tests.benchmarks.servers import FASTIFY, NEWER_PYTHON, THREADS, WORKERS

OURS = ("django", "django-ninja", "granian", "psycopg", "pyjwt", "orjson")
SETTINGS = ("shared_buffers", "fsync", "synchronous_commit", "data_checksums", "max_connections")
THEIRS = ("fastapi", "sqlmodel", "sqlalchemy", "uvicorn", "djangorestframework", "django-bolt")


def facts(database: Database) -> dict[str, str]:
    locked = dict(re.findall(r"^(\S+)==([^\s;]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    versions = {name: importlib.metadata.version(name) for name in OURS}
    versions |= {name: locked[name] for name in THEIRS}
    python = platform.python_version()
    versions |= json.loads((FASTIFY / "package.json").read_text(encoding="utf-8"))["dependencies"]
    if NEWER_PYTHON.exists():
        python += f" (django-bolt: {_output(str(NEWER_PYTHON), '-V').removeprefix('Python ')})"
    memory = psutil.virtual_memory().total / 2**30
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _output("git", "describe", "--always", "--dirty"),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "python": python,
        "node": _output("node", "--version").removeprefix("v"),
        "go": ", ".join(filter(None, [_output("go", "version"), *_debian(*GO_PACKAGES.values())])),
        "postgresql": f"{database.version}, default settings, without autovacuum",
        "settings": ", ".join(map(" ".join, database.settings(*SETTINGS).items())),
        "data": f"{database.tasks:,} tasks of {database.users:,} users at first",
        "servers": f"{WORKERS} workers (Go: cores); threads {THREADS}, FastAPI 40, ours by default",
        "load": "wrk on the same machine" if WRK else "a Python client on the same machine",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def _debian(*packages: str) -> list[str]:
    """Name and version of Debian's packages that are installed."""
    form = "${Package} ${Version}\\n"
    return _output("dpkg-query", "--show", f"--showformat={form}", *packages).splitlines()


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return f"{found[1].strip() if found else platform.processor()} ({platform.machine()})"


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()
