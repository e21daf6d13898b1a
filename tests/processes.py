"""`manage.py` in separate processes, without a second of imports for each.

A launcher imports the libraries, but nothing of the project. It forks for each process, so all else
is as in a new interpreter: arguments, variables, working directory, streams and exit.
"""

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

ROOT = Path(__file__).parent.parent
INHERITED = {
    name: value
    for name, value in os.environ.items()
    if name == "PATH" or name.startswith("COVERAGE_")
}
"""The part of the tests' environment that their processes inherit."""
LIBRARIES = (
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "cryptography.x509",
    "django.contrib.postgres.fields",
    "django.core.management.base",
    "django.core.handlers.wsgi",
    "django.core.servers.basehttp",
    "django.db.backends.postgresql.base",
    "django.db.migrations.executor",
    "django.forms",
    "django.template.loader",
    "django.views.generic",
    "granian.server.mp",
    "granian.wsgi",
    "jwt",
    "orjson",
    "psycopg.types.json",
    "pydantic",
    "sqlparse",
    "structlog",
    "tqdm",
    "whitenoise",
)
"""What `manage.py` imports that needs no settings."""

_one_at_a_time = Lock()


class Process:
    """A running `manage.py`. Its methods are those of `subprocess.Popen`.

    stdin, stdout, stderr: file descriptors.
    """

    def __init__(
        self,
        *arguments: str,
        env: Mapping[str, str],
        cwd: Path = ROOT,
        stdin: int | None = None,
        stdout: int = 1,
        stderr: int = 2,
    ) -> None:
        request = json.dumps({"arguments": arguments, "env": dict(env), "cwd": str(cwd)}).encode()
        self._exit, theirs = socket.socketpair()
        with theirs, Path(os.devnull).open() as nothing, _one_at_a_time:
            streams = [nothing.fileno() if stdin is None else stdin, stdout, stderr]
            socket.send_fds(_launcher(), [len(request).to_bytes(4)], [theirs.fileno(), *streams])
            _launcher().sendall(request)
        self.pid = int.from_bytes(self._exit.recv(8))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._exit], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("manage.py", timeout or 0)
            self.returncode = int.from_bytes(self._exit.recv(8), signed=True)
            self._exit.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def manage(
    *arguments: str,
    env: Mapping[str, str],
    cwd: Path = ROOT,
    given: str = "",
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end. given: its standard input."""
    with (
        tempfile.TemporaryFile("w+") as stdin,
        tempfile.TemporaryFile("w+") as stdout,
        tempfile.TemporaryFile("w+") as stderr,
    ):
        stdin.write(given)
        stdin.seek(0)
        streams: dict[str, Any] = {
            "stdin": stdin.fileno(),
            "stdout": stdout.fileno(),
            "stderr": stderr.fileno(),
        }
        process = Process(*arguments, env=env, cwd=cwd, **streams)
        try:
            status = process.wait(timeout)
        finally:
            process.kill()
            process.wait()
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(arguments, status, stdout.read(), stderr.read())


@cache
def _launcher() -> socket.socket:
    """The socket of this process's launcher, which ends when the socket is closed."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]},
            pass_fds=[theirs.fileno()],
            process_group=0,  # Ctrl-C is for pytest, which then ends what it has started
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def _launch(requests: socket.socket) -> dict[str, Any]:
    """Forks for each request, and returns the request in the process that it is for."""
    for name in LIBRARIES:
        import_module(name)
    gc.freeze()
    while True:
        size, descriptors, *_ = socket.recv_fds(requests, 4, 4)
        if not size:
            os._exit(0)
        request = requests.recv(int.from_bytes(size), socket.MSG_WAITALL)
        if not os.fork():
            break
        for descriptor in descriptors:
            os.close(descriptor)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    requests.close()
    parent, *streams = descriptors
    pid = os.fork()
    if pid:
        _report(socket.socket(fileno=parent), pid)
    os.close(parent)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.closerange(3, max(descriptors) + 1)
    decoded: dict[str, Any] = json.loads(request)
    return decoded


def _report(parent: socket.socket, pid: int) -> None:
    """Tells the tests the id of their process, and then its exit status."""
    parent.sendall(pid.to_bytes(8))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(BrokenPipeError):
        parent.sendall(status.to_bytes(8, signed=True))
    os._exit(0)


if __name__ == "__main__":
    REQUEST = _launch(socket.socket(fileno=int(sys.argv[1])))
    os.chdir(REQUEST["cwd"])
    os.environ.clear()
    os.environ.update(REQUEST["env"])
    if os.environ.get("COVERAGE_PROCESS_CONFIG"):
        import coverage

        coverage.process_startup()
    sys.path[0] = REQUEST["cwd"]
    sys.argv = ["manage.py", *REQUEST["arguments"]]
    runpy.run_path("manage.py", run_name="__main__")
