import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.people import SECRET
from tests.server import Server
from tests.typed_clients.workshop import HERE, Workshop

LOCKS = HERE / "requirements.txt", HERE / "package-lock.json"
ENVIRONMENT = HERE / ".venv"
BIN = ENVIRONMENT / "bin"
INSTALLED = ENVIRONMENT / "installed.txt"


@pytest.fixture(scope="session")
def tools() -> str:
    """Installs the locked generators, compilers and linters. Returns the PATH that they are on.

    Node is among them, because the generators need a newer one than many systems have. All of
    it is 600 MB, so a machine without npm is spared it, except in CI.
    """
    if not shutil.which("npm") and not os.environ.get("CI"):
        pytest.skip("The typed clients are tried in CI, and where npm is found.")
    locked = "".join(lock.read_text(encoding="utf-8") for lock in LOCKS)
    with LOCKS[0].open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the processes of a parallel run install it once
        if not INSTALLED.exists() or INSTALLED.read_text(encoding="utf-8") != locked:
            subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
            pip = (BIN / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            subprocess.run([*pip, "-r", LOCKS[0]], check=True)
            npm = (BIN / "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
            subprocess.run(npm, cwd=HERE, check=True)
            INSTALLED.write_text(locked, encoding="utf-8")
    return f"{BIN}:{HERE / 'node_modules' / '.bin'}:/usr/bin:/bin"


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all clients, because each has its own user."""
    log = tmp_path_factory.mktemp("server") / "log"
    with Server(log, BETTER_AUTH_SECRET=SECRET) as server:
        yield server


@pytest.fixture
def workshop(tmp_path: Path, server: Server, tools: str) -> Workshop:
    return Workshop(tmp_path, server, tools)
