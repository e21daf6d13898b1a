"""The round trips of an operation to PostgreSQL: how often it waits, and what it sends.

With a database that is 20 ms away, everything else that a request does hardly matters.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.people import SECRET, token_of
from tests.server import Server
from tests.wire.proxy import Message, Proxy, sent, waits

TASKS = "/api/alice/tasks"
TASK = f"{TASKS}/{{id}}"
FULL: dict[str, Any] = {
    "title": "Buy bread",
    "complete": True,
    "description": "rye",
    "priority": "high",
}

Request = tuple[str, str, Any, int]
"""Method, path, body, and the status of the answer."""

OPERATIONS: dict[str, Request] = {
    "list": ("GET", f"{TASKS}?limit=1", None, 200),
    "create": ("POST", TASKS, {"title": "Buy milk"}, 201),
    "read": ("GET", TASK, None, 200),
    "replace": ("PUT", TASK, FULL, 200),
    "change": ("PATCH", TASK, {"complete": False}, 200),
    "delete": ("DELETE", TASK, None, 204),
}
START_UP = ("<SSLRequest><StartupMessage>", 2)
"""What every connection sends first, and how often it waits. TLS would add round trips."""
WITH_PASSWORD = (f"{START_UP[0]}pp", START_UP[1] + 2)
"""SCRAM takes two round trips."""
STATEMENT = ("PBDES", 1)
"""Parse, Bind, Describe, Execute, Sync: the letters of PostgreSQL's protocol, section 54.7."""
ROUNDS = 4


@pytest.fixture
def proxy(transactional_db: None) -> Iterator[Proxy]:
    with Proxy() as listening:
        yield listening


def start_up() -> tuple[str, int]:
    return WITH_PASSWORD if connection.settings_dict["PASSWORD"] else START_UP


def start(proxy: Proxy, folder: Path, options: str = "") -> Server:
    url = f"{proxy.url}{options}"
    return Server(folder / "log", DATABASE_URL=url, BETTER_AUTH_SECRET=SECRET)


def ask(proxy: Proxy, server: Server, request: Request) -> tuple[list[Message], Any]:
    """The messages between the server and PostgreSQL for one request, and its answer."""
    method, path, body, status = request
    before = len(proxy.messages)
    answer = server.request(method, path, body, token=token_of("alice"))
    assert answer.status == status
    return proxy.messages[before:], answer.json() if answer.body else None


def measure(proxy: Proxy, server: Server) -> Iterator[tuple[str, bool, tuple[str, int]]]:
    """For each operation: its name, whether its connection is new, and what was sent with how many
    waits."""
    known = set[int]()
    task: dict[str, int] = {}
    for _ in range(ROUNDS):
        for name in ("create", "list", "read", "replace", "change", "delete"):
            method, path, body, status = OPERATIONS[name]
            said, answer = ask(proxy, server, (method, path.format(**task), body, status))
            if name == "create":
                task = answer
            (number,) = {message.connection for message in said}
            yield name, number not in known, (sent(said), waits(said))
            known.add(number)


@pytest.mark.parametrize("options", ["", "?pgbouncer=true"])
def test_every_operation_waits_once_from_the_first(
    proxy: Proxy, tmp_path: Path, options: str
) -> None:
    """Nothing is prepared, so nothing is left on the connection for its next user."""
    with start(proxy, tmp_path, options) as server:
        for name, new, cost in measure(proxy, server):
            before = start_up() if new else ("", 0)
            assert cost == (before[0] + STATEMENT[0], before[1] + STATEMENT[1]), name


CHANGES: list[dict[str, Any]] = [
    {"title": "Buy bread"},
    {"description": "rye"},
    {"description": None},
    {"complete": True, "priority": "low"},
    FULL,
]


def test_other_values_take_as_many_round_trips(proxy: Proxy, tmp_path: Path) -> None:
    """Whichever fields are missing or null, and however large an id or an offset is."""
    with start(proxy, tmp_path) as server:
        _, task = ask(proxy, server, OPERATIONS["create"])
        others: list[Request] = [
            *(("PATCH", f"{TASKS}/{task['id']}", body, 200) for body in CHANGES),
            *(("GET", f"{TASKS}/{number}", None, 404) for number in (70_000, 2**40)),
            *(("DELETE", f"{TASKS}/{number}", None, 404) for number in (70_000, 2**40)),
            *(("GET", f"{TASKS}?offset={number}", None, 200) for number in (70_000, 2**40)),
            ("GET", f"{TASKS}?complete=true", None, 200),
            ("POST", TASKS, FULL, 201),
        ]
        costs = set()
        for other in others:
            said, _ = ask(proxy, server, other)
            costs.add((sent(said), waits(said)))

    assert costs == {STATEMENT}


@pytest.fixture(scope="module")
def serving(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, Server]]:
    with Proxy() as proxy, start(proxy, tmp_path_factory.mktemp("server")) as server:
        yield proxy, server


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(("GET", f"{TASKS}/1", None, 404), 1, id="no such task"),
        pytest.param(("DELETE", f"{TASKS}/1", None, 404), 1, id="nothing to delete"),
        pytest.param(("GET", "/api/bob/tasks", None, 403), 0, id="a stranger"),
        pytest.param(("POST", TASKS, {"title": ""}, 422), 0, id="a blank title"),
        pytest.param(("GET", f"{TASKS}/{2**63}", None, 404), 0, id="an id out of range"),
        pytest.param(("GET", "/health", None, 200), 0, id="health"),
    ],
)
def test_a_refused_request_takes_no_more_round_trips(
    serving: tuple[Proxy, Server], transactional_db: None, asked: Request, expected: int
) -> None:
    proxy, server = serving
    known = {message.connection for message in proxy.messages}
    said, _ = ask(proxy, server, asked)

    is_new = bool({message.connection for message in said} - known)
    assert waits(said) == expected + (start_up()[1] if expected and is_new else 0)
