"""Measures the ways to learn whether anything has changed, beside a peer that only knows lists.

And a create with an `Idempotency-Key`, beside one without.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import urlencode
from uuid import uuid4

from tests.benchmarks import report
from tests.benchmarks.comparison import WARM_UP, Bench, Sample, Scene, bench, sample, turns
from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer
from tests.benchmarks.lists import PEER
from tests.benchmarks.load import Request
from tests.benchmarks.operations import (
    CREATE,
    READ,
    Operation,
    Person,
    ask,
    hold,
    people,
    verify_locks,
    whole_list,
)
from tests.benchmarks.servers import OURS, Candidate
from tests.benchmarks.stored import Stored
from tests.server import Answer

SCENE = Scene("EdDSA", connections=32, distance=0, requests=800)
USERS = 20
SIZES = (500, 1000)
"""How many tasks the users have who poll. Only those with fewer ask for the whole list."""

SECONDS = 5
"""From one poll of a client to the next."""
MAX_RATIO = 1.5
"""The goal for the CPU of a sync without changes, as a multiple of a read."""


def _create_with_key(person: Person, task: int) -> Request:
    return replace(CREATE.make(person, task), headers={"Idempotency-Key": str(uuid4())})


CREATE_WITH_KEY = replace(CREATE, name="create with a key", make=_create_with_key)
NOT_POLLED = (READ, CREATE, CREATE_WITH_KEY)


def filled(database: Database, sizes: tuple[int, int] = SIZES, users: int = USERS) -> Stored:
    return Stored(database, dict.fromkeys(sizes, users))


def measure(
    stored: Stored,
    issuer: Issuer,
    candidates: Sequence[Candidate] = (OURS, PEER),
    scene: Scene = SCENE,
    *,
    rounds: int,
    share: float = 1,
    warm_up: int = WARM_UP,
) -> Iterator[Sample]:
    for turn in turns(rounds):
        for candidate in candidates:
            with bench(candidate, stored.database, issuer) as running:
                asked = list(_asked(running, stored, issuer, scene.token))
                for operation, asking in asked:
                    running.run(operation, asking, scene.connections, warm_up)
                for operation, asking in asked:
                    run = running.run(operation, asking, scene.connections, scene.count(share))
                    yield sample(turn, running, scene, operation.name, run)


def _asked(
    running: Bench, stored: Stored, issuer: Issuer, token: str
) -> Iterator[tuple[Operation, list[Person]]]:
    """What the server is asked, and by whom. The peer can only be asked for the list."""
    url = running.server.url
    usual = people(stored.database, issuer, token)
    verify_locks(url, usual[0], usual[1])
    few, many = (_users(stored, size, issuer, token) for size in stored.users)
    yield whole_list(len(few[0].tasks)), few
    if running.server.candidate != OURS:
        return
    yield not_modified(url, few), few
    yield empty_sync(url, few), few
    yield empty_sync(url, many), many
    for operation in NOT_POLLED:
        yield operation, usual


def _users(stored: Stored, size: int, issuer: Issuer, token: str) -> list[Person]:
    return [
        Person(user, issuer.token(user, token), [row.id for row in stored.rows[user]])
        for user in stored.users[size]
    ]


def not_modified(url: str, asking: Sequence[Person]) -> Operation:
    """The list again, with the ETag that it had."""

    def request(person: Person) -> Request:
        first = Request("GET", person.path, person.token)
        answer = ask(url, first)
        hold(answer.status == 200 and "ETag" in answer.headers, first, answer)
        return replace(first, headers={"If-None-Match": answer.headers["ETag"]})

    requests = {person.user_id: request(person) for person in asking}
    return Operation(
        f"304 of a list of {len(asking[0].tasks):,}",
        304,
        lambda person, _: requests[person.user_id],
        _check_not_modified,
    )


def _check_not_modified(request: Request, answer: Answer) -> None:
    is_same = answer.headers["ETag"] == request.headers["If-None-Match"]
    hold(is_same and answer.body == b"", request, answer)


def empty_sync(url: str, asking: Sequence[Person]) -> Operation:
    """What has changed since all tasks were returned: nothing."""
    count = len(asking[0].tasks)

    def request(person: Person) -> Request:
        first = Request("GET", f"{person.path}?sync=*", person.token)
        answer = ask(url, first)
        hold(answer.status == 200, first, answer)
        known = answer.json()
        hold(len(known["tasks"]) == known["count"] == count, first, answer)
        return replace(first, path=f"{person.path}?{urlencode({'sync': known['sync']})}")

    requests = {person.user_id: request(person) for person in asking}
    return Operation(
        f"sync of {count:,}, empty",
        200,
        lambda person, _: requests[person.user_id],
        partial(_check_empty_sync, count),
    )


def _check_empty_sync(count: int, request: Request, answer: Answer) -> None:
    changes = answer.json()
    empty = {"tasks": [], "deleted": [], "count": count, "more": False}
    hold(changes == {**empty, "sync": changes.get("sync")}, request, answer)


class Table:
    """The figures as medians of the rounds, in Markdown."""

    def __init__(self, samples: Sequence[report.Sample], titles: Mapping[str, str]) -> None:
        self._titles = titles
        self._runs = {
            (operation, server): runs
            for (*_, operation), by_server in report.cells(samples).items()
            for server, runs in by_server.items()
        }

    def __str__(self) -> str:
        polled = f"MB per hour, every {SECONDS} s"
        rows = [["request", "CPU, µs", "times a read", "bytes per answer", polled]]
        for (operation, server), runs in self._runs.items():
            size = report.spread(run["answer_bytes"] for run in runs).median
            is_polled = operation not in [each.name for each in NOT_POLLED]
            rows.append(
                [
                    f"{self._titles[server]}: {operation}",
                    report.median(map(report.cpu, runs)),
                    f"{self._ratio(operation, server):.2f}",
                    f"{size:,.0f}",
                    report.number(size * 3600 / SECONDS / 1e6) if is_polled else "",
                ]
            )
        return report.markdown(rows)

    def missed(self) -> list[str]:
        """The goals that our figures miss."""
        return [
            f"{operation}: {ratio:.2f} times a read, more than {MAX_RATIO}"
            for operation, server in self._runs
            if operation.startswith("sync")
            and (ratio := self._ratio(operation, server)) > MAX_RATIO
        ]

    def _ratio(self, operation: str, server: str) -> float:
        reads = self._runs[READ.name, OURS.name]
        return report.ratios(self._runs[operation, server], reads).median
