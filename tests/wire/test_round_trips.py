"""What an operation costs on the way to PostgreSQL: how often it waits, and what it sends.

Beside a database that is 20 ms away all else that a request does is small change.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
STATEMENTS = {name: name for name in OPERATIONS} | {"replace": "change"}

START_UP = ("<SSLRequest><StartupMessage>", 2)
"""What every connection sends first, and its waits. TLS and passwords have waits of their own."""
NEW = ("PBDES", 1)
PREPARED = ("BDES", 1)
"""Parse, Bind, Describe, Execute, Sync: the letters of PostgreSQL's protocol, section 54.7."""
ROUNDS = 4


@pytest.fixture
def proxy(transactional_db: None) -> Iterator[Proxy]:
    with Proxy() as listening:
        yield listening


def start(proxy: Proxy, folder: Path, options: str = "") -> Server:
    url = f"{proxy.url}{options}"
    return Server(folder / "log", DATABASE_URL=url, BETTER_AUTH_SECRET=SECRET)


def ask(proxy: Proxy, server: Server, request: Request) -> tuple[list[Message], Any]:
    """What one request made the server say to PostgreSQL and hear from it, and the answer."""
    method, path, body, status = request
    before = len(proxy.messages)
    answer = server.request(method, path, body, token=token_of("alice"))
    assert answer.status == status
    return proxy.messages[before:], answer.json() if answer.body else None


def measure(
    proxy: Proxy, server: Server, rounds: int
) -> Iterator[tuple[str, int, bool, tuple[str, int]]]:
    """Each operation in turn: its name, how often its connection has run its statement before,
    whether the connection is a new one, and what was sent with how many waits."""
    ran = Counter[tuple[int, str]]()
    known = set[int]()
    task: dict[str, int] = {}
    for _ in range(rounds):
        for name in ("create", "list", "read", "replace", "change", "delete"):
            method, path, body, status = OPERATIONS[name]
            said, answer = ask(proxy, server, (method, path.format(**task), body, status))
            if name == "create":
                task = answer
            (connection,) = {message.connection for message in said}
            key = connection, STATEMENTS[name]
            yield name, ran[key], connection not in known, (sent(said), waits(said))
            ran[key] += 1
            known.add(connection)


def with_start_up(cost: tuple[str, int], *, new: bool) -> tuple[str, int]:
    return (START_UP[0] + cost[0], START_UP[1] + cost[1]) if new else cost


def test_every_operation_waits_once(proxy: Proxy, tmp_path: Path) -> None:
    """The first time that a connection runs a statement it also prepares it, in one go."""
    steady = set()
    with start(proxy, tmp_path) as server:
        for name, times, new, cost in measure(proxy, server, rounds=ROUNDS):
            expected = PREPARED if times else NEW
            assert cost == with_start_up(expected, new=new), (name, times)
            if expected is PREPARED:
                steady.add(name)

    assert steady == OPERATIONS.keys()


def test_behind_a_pooler_every_operation_waits_once_from_the_first(
    proxy: Proxy, tmp_path: Path
) -> None:
    with start(proxy, tmp_path, "?pgbouncer=true") as server:
        for name, times, new, cost in measure(proxy, server, rounds=3):
            assert cost == with_start_up(NEW, new=new), (name, times)


CHANGES: list[dict[str, Any]] = [
    {"title": "Buy bread"},
    {"description": "rye"},
    {"description": None},
    {"complete": True, "priority": "low"},
    FULL,
]


def test_other_values_are_not_prepared_again(proxy: Proxy, tmp_path: Path) -> None:
    """Whatever is left out or null, and however large an id or an offset is."""
    with start(proxy, tmp_path) as server:
        for _ in measure(proxy, server, rounds=ROUNDS):
            pass
        _, task = ask(proxy, server, OPERATIONS["create"])
        others: list[Request] = [
            *(("PATCH", f"{TASKS}/{task['id']}", body, 200) for body in CHANGES),
            *(("GET", f"{TASKS}/{number}", None, 404) for number in (70_000, 2**40)),
            *(("DELETE", f"{TASKS}/{number}", None, 404) for number in (70_000, 2**40)),
            *(("GET", f"{TASKS}?offset={number}", None, 200) for number in (70_000, 2**40)),
            ("GET", f"{TASKS}?complete=true", None, 200),
            ("POST", TASKS, FULL, 201),
        ]
        parsed = Counter[int]()
        for other in others * 2:
            ask(proxy, server, other)
        for message in proxy.messages:
            if message.kind == "P":
                parsed[message.connection] += 1

    assert max(parsed.values()) <= len(set(STATEMENTS.values()))


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
def test_what_is_refused_waits_no_longer(
    proxy: Proxy, tmp_path: Path, asked: Request, expected: int
) -> None:
    with start(proxy, tmp_path) as server:
        said, _ = ask(proxy, server, asked)

    assert waits(said) == expected + (START_UP[1] if expected else 0)
