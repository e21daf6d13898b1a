"""Installs the packages of the peers into separate environments, from one lock file."""

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.servers import ENVIRONMENT, HERE, NEWER_PYTHON, PYTHON

LOCK = HERE / "requirements.txt"
NEWER = ("3.14", "3.13", "3.12")


def install() -> None:
    """Creates the environments that are missing or outdated. Reports what cannot be installed."""
    _install(PYTHON, Path(sys.executable))
    if newer := newer_python():
        _install(NEWER_PYTHON, newer)
    else:
        print("There is no Python 3.12 or later here, which django-bolt needs: it is skipped.")


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
