"""The servers of the comparison, each run as its documentation says, with two workers."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil  # type: ignore[import-untyped]

from tests.benchmarks.postgres import FOLDER, ROOT
from tests.server import free_port, send

HERE = Path(__file__).parent
LOGS = FOLDER
ENVIRONMENT = ROOT / ".venv-bench"
PYTHON = ENVIRONMENT / "bin" / "python"
NEWER_PYTHON = ENVIRONMENT / "newer" / "bin" / "python"
"""Of the peer that needs Python 3.12 or later; absent where there is none."""
FASTIFY = HERE / "peers" / "fastify"
GO = HERE / "peers" / "go"
GO_SERVER = ENVIRONMENT / "go" / "server"

WORKERS = 2
THREADS = 4
START_UP = 60.0

GRANIAN = (
    *("-m", "granian", "--interface", "wsgi", "--no-ws", "--host", "127.0.0.1", "--port", "{port}"),
    *("--workers", str(WORKERS), "--blocking-threads", str(THREADS), "--log-level", "error"),
)
UVICORN = (
    *("-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--workers", str(WORKERS)),
    *("--no-access-log", "--log-level", "error"),
)
RUNBOLT = (
    *("-m", "django", "runbolt", "--host", "127.0.0.1", "--port", "{port}"),
    *("--processes", str(WORKERS), "--no-admin"),
)


@dataclass(frozen=True)
class Candidate:
    """program: a path, or a name on the PATH. packages: exists once they are installed."""

    name: str
    title: str
    program: Path | str
    arguments: tuple[str, ...]
    folder: Path = HERE
    packages: Path = HERE

    @property
    def is_installed(self) -> bool:
        return shutil.which(self.program) is not None and self.packages.exists()


OURS = Candidate("ours", "this project", Path(sys.executable), ("manage.py", "serve"), ROOT)
PEERS = (
    Candidate("floor", "no framework", PYTHON, (*GRANIAN, "peers.floor.app:application")),
    Candidate("bolt", "django-bolt", NEWER_PYTHON, RUNBOLT),
    Candidate(
        "ninja", "django-ninja, its tutorial", PYTHON, (*GRANIAN, "peers.ninja.app:application")
    ),
    Candidate("drf", "Django REST framework", PYTHON, (*GRANIAN, "peers.drf.app:application")),
    Candidate(
        "fastapi_sqlmodel",
        "FastAPI + SQLModel",
        PYTHON,
        (*UVICORN, "peers.fastapi_sqlmodel.app:app"),
    ),
    Candidate("fastify", "Fastify + pg", "node", ("server.js",), FASTIFY, FASTIFY / "node_modules"),
    Candidate("go", "Go + pgx", GO_SERVER, (), GO),
)


def production(database_url: str, port: int = 8000) -> dict[str, str]:
    """Environment variables of all servers, except those of the issuer."""
    return {
        "PATH": os.environ["PATH"],
        "SECRET_KEY": "a-key-of-fifty-characters-or-more-for-benchmarks-only-0123456789",
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": database_url,
        "WEB_CONCURRENCY": str(WORKERS),
        "DRAIN_SECONDS": "0",
        "PORT": str(port),
    }


class Server:
    """A running candidate. `url` is its address."""

    def __init__(self, candidate: Candidate, database_url: str, issuer: Mapping[str, str]) -> None:
        self.candidate = candidate
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = LOGS / f"{candidate.name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        arguments = [argument.format(port=self.port) for argument in candidate.arguments]
        environment = {
            **production(database_url, self.port),
            **issuer,
            "PYTHONPATH": str(candidate.folder),
        }
        if candidate.folder == HERE:
            environment["DJANGO_SETTINGS_MODULE"] = f"peers.{candidate.name}.settings"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [candidate.program, *arguments],
                cwd=candidate.folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is not None:
            return
        running = tree(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        # A worker that outlives its parent would disturb the next run.
        _, left = psutil.wait_procs(running, timeout=15)
        for process in left:
            process.kill()
        self.process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_UP
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.candidate.title} did not start: see {self.log}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            # Any answer will do: the routes of the candidates differ.
            send("GET", self.url + "/api/nobody/tasks")
        except OSError:
            return False
        return True


def tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its descendants so far, including those that have ended."""
    while True:
        processes = tree(pid)
        with suppress(psutil.NoSuchProcess):
            used = sum(map(_cpu_seconds, processes))
            # The time of a process that ends during the walk could count twice, or not at all.
            if tree(pid) == processes:
                return used


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    own = times.user + times.system
    if sys.platform == "linux":
        # In nanoseconds, by the clock id of clock_getcpuclockid(3). An ended process has none.
        with suppress(OSError):
            own = time.clock_gettime(~process.pid << 3 | 2)
    return float(own + times.children_user + times.children_system)


def memory(pid: int) -> int:
    """Resident bytes. Shared memory counts once per process."""
    return sum(process.memory_info().rss for process in tree(pid))
