"""The example as a newcomer starts it: the commands of README, in a copy of its folder."""

import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.browser.conftest import chromium  # noqa: F401  a fixture
from tests.lossy import LossyProxy
from tests.processes import ROOT
from tests.server import START_UP, Server, free_port, send
from tests.typed_clients.conftest import tools  # noqa: F401  a fixture

SOURCE = ROOT / "examples" / "nextjs"
LOCK = SOURCE / "package-lock.json"
INSTALLED = SOURCE / "node_modules" / ".package-lock.json"
MADE = ("node_modules", ".next", ".env", "auth.db*")
COMMAND_TIMEOUT = 300
"""Seconds for a build, on a machine with much else to do."""


def commands() -> list[str]:
    """Those of README's chapter, in their order: of the service, and then of the example."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    chapter = readme.split("### The example\n")[1].split("\n### ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", chapter, re.MULTILINE | re.DOTALL)
    return "".join(blocks).splitlines()


class Example:
    """A copy of the example.

    url: where it answers. network: between its browsers and the service.
    """

    def __init__(self, folder: Path, path: str, url: str, network: LossyProxy) -> None:
        self.folder = folder
        self.url = url
        self.network = network
        self._environment = {
            "PATH": path,
            "HOME": str(folder),
            "PORT": url.rpartition(":")[2],
            # Instead of the ports of README, which may be taken.
            "BETTER_AUTH_URL": url,
            "NEXT_PUBLIC_TASKS_URL": network.url,
            "NEXT_TELEMETRY_DISABLED": "1",
            "NO_COLOR": "1",
        }

    def run(self, command: str) -> str:
        """What it writes. The test fails if the command fails."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def serve(self, command: str, running: ExitStack) -> None:
        """Starts its server, and waits for the first page."""
        log = self.folder / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # npm does not pass signals on to all of its children
            )
        running.callback(process.wait)
        running.callback(os.killpg, process.pid, signal.SIGTERM)
        deadline = time.monotonic() + 2 * START_UP
        while not self._answers():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return b"Sign in" in send("GET", self.url).body
        except OSError:
            return False


@pytest.fixture(scope="session")
def packages(tools: str) -> str:  # noqa: F811
    """Installs the locked packages of the example. Returns the PATH of Node."""
    with LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not INSTALLED.exists() or INSTALLED.stat().st_mtime < LOCK.stat().st_mtime:
            # Not `npm ci`: the lock lacks packages for platforms that not every registry has.
            install = ["npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
            environment = {**os.environ, "PATH": tools}
            subprocess.run(install, cwd=SOURCE, env=environment, check=True)
    return tools


def link(source: str, target: str) -> None:
    """Half a gigabyte of packages need no copies, unless they are on another device."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


@pytest.fixture(scope="module")
def service(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, str]]:
    """The service, started with the variables of README, and the URL of the example."""
    url = f"http://localhost:{free_port()}"
    *variables, make, run = shlex.split(commands()[0])
    assert (make, run) == ("make", "run")
    environment = dict(
        each.replace("http://localhost:3000", url).split("=", 1) for each in variables
    )
    with Server(tmp_path_factory.mktemp("service") / "log", **environment) as server:
        yield server, url


@pytest.fixture(scope="module")
def example(
    service: tuple[Server, str], packages: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Example]:
    """Not built yet, with the packages and an empty database."""
    server, url = service
    folder = tmp_path_factory.mktemp("examples") / "nextjs"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns(*MADE))
    shutil.copytree(
        SOURCE / "node_modules", folder / "node_modules", symlinks=True, copy_function=link
    )
    with LossyProxy(server.port) as network:
        yield Example(folder, packages, url, network)
    shutil.rmtree(folder)
