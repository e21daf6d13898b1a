"""Runs management commands: in the process of the tests, or in separate processes."""

import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.processes import INHERITED, ROOT
from tests.server import database_url

TIMEOUT = 20.0
PIPED: dict[str, Any] = {
    "stdin": subprocess.DEVNULL,
    "stdout": subprocess.PIPE,
    "stderr": subprocess.PIPE,
}
SECRET_KEY = "a-key-of-fifty-characters-or-more-for-the-tests-only-0123456789"
FILL = """
    INSERT INTO tasks_task (user_id, title, deleted_at)
    SELECT 'alice', 'Task ' || n, now() - interval '40 days' FROM generate_series(1, %s) AS n
"""
SLOW = """
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$;
    CREATE TRIGGER slow AFTER UPDATE OR DELETE ON tasks_task EXECUTE FUNCTION slow();
"""


@dataclass(frozen=True)
class Run:
    """The exit status and the output of a command."""

    status: int
    out: str
    err: str = ""

    def json(self) -> Any:
        """The summary, without its duration."""
        summary = json.loads(self.out)
        assert summary.pop("seconds") >= 0
        return summary


def run(command: Any, *arguments: str) -> Run:
    """In this process, but with the exit status that a separate process would have."""
    out, err = StringIO(), StringIO()
    try:
        call_command(command, *arguments, stdout=out, stderr=err)
    except CommandError as error:
        return Run(error.returncode, out.getvalue(), f"{err.getvalue()}{error}")
    except SystemExit as end:
        return Run(int(end.code or 0), out.getvalue(), err.getvalue())
    return Run(0, out.getvalue(), err.getvalue())


def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        **(PIPED | options),
        cwd=ROOT,
        env={
            **INHERITED,
            "PYTHONFAULTHANDLER": "1",
            "SECRET_KEY": SECRET_KEY,
            "ALLOWED_HOSTS": "localhost",
            "BETTER_AUTH_SECRET": SECRET_KEY,
            "DATABASE_URL": database_url(),
        },
    )


def ended(process: subprocess.Popen[bytes]) -> Run:
    with process:
        try:
            out, err = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # faulthandler prints where it hangs
            pytest.fail(process.communicate()[1].decode())
        finally:
            process.kill()
    return Run(process.returncode, out.decode(), err.decode())


class Terminal:
    """A command on a terminal, with a person at it."""

    def __init__(self, *arguments: str) -> None:
        self.screen, side = pty.openpty()
        termios.tcsetwinsize(side, (24, 80))
        self.process = start(*arguments, stdin=side, stdout=side, stderr=side)
        os.close(side)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def read_until(self, text: str) -> None:
        while text not in self.shown:
            self.shown += os.read(self.screen, 65536).decode()

    def ended(self) -> Run:
        # Reading fails when the last process has closed the terminal.
        with suppress(OSError):
            while data := os.read(self.screen, 65536):
                self.shown += data.decode()
        os.close(self.screen)
        return Run(self.process.wait(TIMEOUT), self.shown)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def execute(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)


@contextmanager
def slow_batches() -> Iterator[None]:
    """Each batch takes 0.3 s, so that a test has time to interfere."""
    execute(SLOW)
    try:
        yield
    finally:
        execute("DROP FUNCTION slow CASCADE")
