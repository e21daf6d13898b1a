"""Installs the packages of the peers into separate environments, from lock files.

The server in Go is built with the compiler and the packages of Debian.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.servers import (
    ENVIRONMENT,
    FASTIFY,
    GO,
    GO_SERVER,
    HERE,
    NEWER_PYTHON,
    PEERS,
    PYTHON,
    Candidate,
)

LOCK = HERE / "requirements.txt"
NEWER = ("3.14", "3.13", "3.12")
GO_PATH = Path("/usr/share/gocode")
GO_PACKAGES = {
    "github.com/jackc/pgx/v4": "golang-github-jackc-pgx-v4-dev",
    "github.com/golang-jwt/jwt": "golang-github-golang-jwt-jwt-dev",
}
"""Debian's names by import path."""


def install() -> None:
    """Installs and builds what is missing or outdated. Reports the peers that are left out."""
    _install(PYTHON, Path(sys.executable))
    for peer in PEERS:
        if missing := absent(peer):
            print(f"{peer.title} is left out: it needs {missing}.")
        elif peer.program == NEWER_PYTHON:
            _install(NEWER_PYTHON, newer_python() or NEWER_PYTHON)
        elif peer.folder == FASTIFY:
            _install_npm(FASTIFY)
        elif peer.folder == GO:
            _build_go()


def absent(peer: Candidate) -> str:
    """What a peer needs that only the machine can have. Empty if it is here."""
    missing: list[str] = []
    if peer.program == NEWER_PYTHON and not newer_python():
        missing = ["Python 3.12 or later"]
    elif peer.folder == FASTIFY:
        missing = [name for name in ("node", "npm") if not shutil.which(name)]
    elif peer.folder == GO:
        here = {"golang-go": shutil.which("go")} | {
            package: (GO_PATH / "src" / path).exists() for path, package in GO_PACKAGES.items()
        }
        missing = [f"Debian's {package}" for package, found in here.items() if not found]
    return " and ".join(missing)


def _install_npm(folder: Path) -> None:
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    print(f"Installing the locked packages of {folder.name} ...", flush=True)
    npm = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    subprocess.run(npm, cwd=folder, check=True)


def _build_go() -> None:
    cache = GO_SERVER.parent / "cache"
    if not cache.exists():
        print("Building the server in Go ...", flush=True)
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": str(GO_PATH),
        "GOCACHE": str(cache),
    }
    subprocess.run(["go", "build", "-o", GO_SERVER], cwd=GO, env=environment, check=True)


def _install(python: Path, maker: Path) -> None:
    installed = python.parents[1] / "installed.txt"
    lock = LOCK.read_text(encoding="utf-8")
    if installed.exists() and installed.read_text(encoding="utf-8") == lock:
        return
    folder = python.parents[1].relative_to(ENVIRONMENT.parent)
    print(f"Installing the locked packages of the peers into {folder} ...", flush=True)
    subprocess.run([maker, "-m", "venv", python.parents[1]], check=True)
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run([*pip, "-r", LOCK], check=True)
    installed.write_text(lock, encoding="utf-8")


def newer_python() -> Path | None:
    """The newest Python of the list that runs. A shim of pyenv may exist without its version."""
    pyenv = Path.home() / ".pyenv" / "versions"
    for version in NEWER:
        for command in (f"python{version}", *pyenv.glob(f"{version}.*/bin/python")):
            if path := _executable(str(command)):
                return path
    return None


def _executable(command: str) -> Path | None:
    asked = [command, "-c", "import sys; print(sys.executable)"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return Path(done.stdout.strip())


if __name__ == "__main__":
    install()
