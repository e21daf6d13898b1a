"""The operations: their requests, and how an answer is verified."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from tests.benchmarks.database import Database, user_id
from tests.benchmarks.issuer import Issuer
from tests.benchmarks.load import Expected, Request
from tests.server import Answer, send

PEOPLE = 100
"""How many of the users ask, in turns; each has one token for as long as a server runs."""

FIELDS = {
    "id",
    "user_id",
    "title",
    "description",
    "complete",
    "priority",
    "completed_at",
    "created_at",
    "updated_at",
}
NEWER_FIELDS = {"due_date", "tags"}
"""Missing in the answers of earlier releases, and of some peers."""


@dataclass(frozen=True)
class Person:
    user_id: str
    token: str
    tasks: Sequence[int]

    @property
    def path(self) -> str:
        return f"/api/{self.user_id}/tasks"


def people(database: Database, issuer: Issuer, algorithm: str, count: int = PEOPLE) -> list[Person]:
    step = database.users // count
    return [
        Person(user_id(number), issuer.token(user_id(number), algorithm), database.tasks_of(number))
        for number in range(0, count * step, step)
    ]


class WrongAnswer(Exception):
    """A server behaves differently from the others, so a comparison would be meaningless."""


def hold(is_right: bool, request: Request, answer: Answer) -> None:  # noqa: FBT001
    if not is_right:
        raise WrongAnswer(f"{request.method} {request.path}: {answer.status} {answer.body!r}")


def _check_list(length: int, count: int, request: Request, answer: Answer) -> None:
    listed = answer.json()
    tasks = listed["tasks"]
    newest_first = sorted(tasks, key=lambda task: (task["created_at"], task["id"]), reverse=True)
    hold(
        listed.keys() - {"next_cursor"} == {"tasks", "count"}
        and (len(tasks), listed["count"]) == (length, count)
        and tasks == newest_first,
        request,
        answer,
    )
    for task in tasks:
        _hold_task(request, answer, task)


def _check_task(request: Request, answer: Answer) -> None:
    _hold_task(request, answer, answer.json())


def _hold_task(request: Request, answer: Answer, task: dict[str, Any]) -> None:
    given = json.loads(request.body) if request.body else {}
    times = [task.get(name) for name in ("created_at", "updated_at", "completed_at")]
    hold(
        task.keys() in (FIELDS, FIELDS | NEWER_FIELDS)
        and task["user_id"] == request.path.split("/")[2]
        and all(datetime.fromisoformat(time).tzinfo for time in times if time)
        and (task["completed_at"] is not None) == task["complete"]
        and given.items() <= task.items(),
        request,
        answer,
    )


@dataclass(frozen=True)
class Operation:
    """make: builds one request of a person about one of their tasks.

    check: raises WrongAnswer unless the answer is right.
    """

    name: str
    status: int
    make: Callable[[Person, int], Request]
    check: Callable[[Request, Answer], None] = _check_task
    needs_a_fresh_task: bool = False
    adds_tasks: bool = False


def _words() -> str:
    """Different words each time, so that each change is a real one."""
    return f"Call number {random.randrange(10**9):09} back"


def _body(**fields: Any) -> str:
    return json.dumps(fields)


def _list(person: Person, _task: int) -> Request:
    return Request("GET", person.path, person.token)


def _read(person: Person, task: int) -> Request:
    return Request("GET", f"{person.path}/{task}", person.token)


def _create(person: Person, _task: int) -> Request:
    body = _body(title=_words(), description="Ask about the invoice", priority="high")
    return Request("POST", person.path, person.token, body)


def _change(person: Person, task: int) -> Request:
    return Request("PATCH", f"{person.path}/{task}", person.token, _body(title=_words()))


def _replace(person: Person, task: int) -> Request:
    body = _body(
        title=_words(),
        description="Ask about the invoice",
        complete=random.random() < 1 / 2,
        priority=random.choice(["low", "medium", "high"]),
    )
    return Request("PUT", f"{person.path}/{task}", person.token, body)


def _delete(person: Person, task: int) -> Request:
    return Request("DELETE", f"{person.path}/{task}", person.token)


def whole_list(count: int) -> Operation:
    return Operation(f"list of {count:,}", 200, _list, partial(_check_list, count, count))


LIST = whole_list(20)
READ = Operation("read", 200, _read)
CREATE = Operation("create", 201, _create, adds_tasks=True)
CHANGE = Operation("change", 200, _change)
REPLACE = Operation("replace", 200, _replace)
DELETE = Operation("delete", 204, _delete, needs_a_fresh_task=True, adds_tasks=True)
OPERATIONS = (LIST, READ, CREATE, CHANGE, REPLACE, DELETE)


def paged_list(length: int, count: int) -> Operation:
    def make(person: Person, _task: int) -> Request:
        return Request("GET", f"{person.path}?limit={length}", person.token)

    return Operation(f"page of {length}", 200, make, partial(_check_list, length, count))


def plan(
    operation: Operation, asking: list[Person], count: int, database: Database
) -> list[Request]:
    """`count` requests of the people in turns, each about an existing task."""
    turns = [asking[turn % len(asking)] for turn in range(count)]
    fresh: Iterator[int] = iter(())
    if operation.needs_a_fresh_task:
        fresh = iter(database.add([person.user_id for person in turns]))
    return [
        operation.make(person, next(fresh, 0) or random.choice(person.tasks)) for person in turns
    ]


def verify(url: str, operation: Operation, request: Request) -> Expected:
    """Sends a request and verifies its answer. Returns what similar answers must look like."""
    answer = ask(url, request)
    hold(answer.status == operation.status, request, answer)
    if operation is DELETE:
        gone = ask(url, Request("GET", request.path, request.token))
        hold(answer.body == b"" and gone.status == 404, request, answer)
        return Expected(answer.status, 0, 0)
    operation.check(request, answer)
    if request.method not in ("GET", "POST"):
        now = ask(url, Request("GET", request.path, request.token))
        hold(now.json() == answer.json(), request, now)
    if "Idempotency-Key" in request.headers:
        again = ask(url, request)
        is_replayed = again.headers["Idempotent-Replayed"] == "true"
        hold(is_replayed and again.json() == answer.json(), request, again)
    # Titles vary in length, and a time may be null.
    return Expected(answer.status, len(answer.body) * 2 // 3, len(answer.body) * 3 // 2)


def verify_locks(url: str, good: Person, other: Person) -> None:
    """Verifies that the server refuses bad and foreign tokens."""
    answer = send("GET", url + good.path)
    hold(answer.status in (401, 403), _list(good, 0), answer)
    for token, statuses in {
        other.token: (403,),
        good.token[:-4] + ("AAAA" if good.token[-4:] != "AAAA" else "BBBB"): (401,),
    }.items():
        request = Request("GET", good.path, token)
        answer = ask(url, request)
        hold(answer.status in statuses, request, answer)
    request = _read(good, other.tasks[0])
    answer = ask(url, request)
    hold(answer.status == 404, request, answer)


def ask(url: str, request: Request) -> Answer:
    return send(
        request.method,
        url + request.path,
        request.body.encode() or None,
        {
            "Authorization": f"Bearer {request.token}",
            **({"Content-Type": "application/json"} if request.body else {}),
            **request.headers,
        },
    )
