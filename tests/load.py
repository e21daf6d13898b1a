"""Clients that write all the time, and remember what each answer promised."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from threading import Event, Lock, Thread
from typing import Any, Self
from urllib.parse import urlsplit

from tests.people import token_of

SLOWEST = 5.0
"""Seconds that any answer may take, whatever has failed."""
GIVEN_UP = 10.0
PACE = 0.01
"""Seconds from an answer to the next request of the same client."""
ABSENT, NEW, CHANGED = "absent", "new", "changed"


@dataclass(frozen=True)
class Reply:
    """What came of a request. Without an answer, status is 0."""

    sent: float
    seconds: float
    status: int
    body: Any
    retry_after: str | None
    error: str = ""
    method: str = ""

    @property
    def is_uncertain(self) -> bool:
        """Whether the write may have been done all the same."""
        return not self.succeeded and (
            self.status == 0 or self.body["detail"].startswith("It is not known")
        )

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300


class Client(Thread):
    """Creates tasks, changes every second of them and deletes every third, on one connection."""

    def __init__(self, load: "Load", name: str) -> None:
        super().__init__(name=name)
        self.load = load
        self.token = token_of("alice")
        self.wire = HTTPConnection(urlsplit(load.url).netloc, timeout=GIVEN_UP)

    def run(self) -> None:
        number = 0
        while not self.load.over.is_set():
            number += 1
            title = f"{self.name} {number}"
            created = self.write("POST", "", {"title": title}, title, NEW)
            if created.succeeded:
                path = f"/{created.body['id']}"
                if number % 2 == 0:
                    self.write("PATCH", path, {"description": CHANGED}, title, CHANGED)
                if number % 3 == 0:
                    self.write("DELETE", path, None, title, ABSENT)
        self.wire.close()

    def write(self, method: str, path: str, body: Any, title: str, becomes: str) -> Reply:
        reply = self.ask(method, f"/api/alice/tasks{path}", body)
        self.load.note(title, becomes, reply)
        self.load.over.wait(PACE)
        return reply

    def ask(self, method: str, path: str, body: Any) -> Reply:
        sent = time.monotonic()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            data = None if body is None else json.dumps(body)
            self.wire.request(method, path, data, headers)
            response = self.wire.getresponse()
            answer = response.read()
        except (OSError, HTTPException) as error:
            self.wire.close()
            return Reply(sent, time.monotonic() - sent, 0, None, None, type(error).__name__, method)
        seconds = time.monotonic() - sent
        content = json.loads(answer) if answer else None
        retry_after = response.headers["Retry-After"]
        return Reply(sent, seconds, response.status, content, retry_after, method=method)


class Load:
    """Runs its clients for as long as its block does, and judges their answers.

    doubtful: whether a write may have been done that was not acknowledged. It may where a
    connection is lost between a commit and its answer, and only there; then its answer says so.
    """

    def __init__(self, url: str, name: str, *, clients: int = 8, doubtful: bool) -> None:
        self.url = url
        self.name = name
        self.doubtful = doubtful
        self.over = Event()
        self.news = Event()
        self.lock = Lock()
        self.replies: list[Reply] = []
        self.possible: dict[str, set[str]] = {}
        self.ids: dict[str, int] = {}
        self.clients = [Client(self, f"{name} {number}") for number in range(clients)]

    def __enter__(self) -> Self:
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for client in self.clients:
            client.join()

    def note(self, title: str, becomes: str, reply: Reply) -> None:
        with self.lock:
            self.replies.append(reply)
            before = self.possible.get(title, {ABSENT})
            if reply.succeeded:
                self.possible[title] = {becomes}
            else:
                doubtful = self.doubtful and reply.is_uncertain
                self.possible[title] = before | ({becomes} if doubtful else set())
            if becomes == NEW and reply.succeeded:
                self.ids[title] = reply.body["id"]
        self.news.set()

    def wait_for(self, wanted: int, *, succeeded: bool, after: float = 0.0) -> None:
        """Until that many requests, sent after a moment, came out like this."""
        deadline = time.monotonic() + GIVEN_UP
        while sum(r.succeeded is succeeded and r.sent >= after for r in self.so_far()) < wanted:
            assert time.monotonic() < deadline, self.summary()
            self.news.clear()
            self.news.wait(0.1)

    def so_far(self) -> list[Reply]:
        with self.lock:
            return list(self.replies)

    def first_success_after(self, moment: float) -> float:
        """Seconds from a moment to the first good answer that came after it."""
        return min(
            reply.sent + reply.seconds - moment
            for reply in self.replies
            if reply.succeeded and reply.sent + reply.seconds > moment
        )

    @property
    def slowest(self) -> float:
        return max(reply.seconds for reply in self.replies)

    @property
    def unanswered(self) -> list[Reply]:
        return [reply for reply in self.replies if reply.status == 0]

    @property
    def refused(self) -> list[Reply]:
        return [reply for reply in self.replies if reply.status and not reply.succeeded]

    def summary(self) -> str:
        replies = self.so_far()
        good = sum(reply.succeeded for reply in replies)
        silent = sum(reply.status == 0 for reply in replies)
        slowest = max((reply.seconds for reply in replies), default=0.0)
        return (
            f"{good} done, {len(replies) - good - silent} refused, {silent} without an answer, "
            f"slowest {slowest:.2f} s"
        )

    def check_answers(self) -> None:
        """Everything was answered in time, and every refusal has the form of the contract."""
        assert self.unanswered == []
        assert self.slowest < SLOWEST
        for reply in self.refused:
            assert (reply.status, reply.body["error_code"]) == (503, "DATABASE_ERROR")
            assert reply.body.keys() == {"detail", "error_code", "timestamp", "request_id"}
            blindly = reply.method == "POST" and reply.is_uncertain
            assert reply.retry_after == (None if blindly else "2")
            assert self.doubtful or not reply.is_uncertain

    def check_rows(self, rows: Sequence[tuple[int, str, str | None]]) -> None:
        """Each task is there once, or not at all, as the answers said; of all rows of the table."""
        found: dict[str, list[tuple[int, str]]] = {title: [] for title in self.possible}
        for task_id, title, description in rows:
            if title in found:
                found[title].append((task_id, description or NEW))
        for title, tasks in found.items():
            assert len(tasks) <= 1, title
            state = tasks[0][1] if tasks else ABSENT
            assert state in self.possible[title], (title, state, self.possible[title])
            if tasks and title in self.ids:
                assert tasks[0][0] == self.ids[title]
