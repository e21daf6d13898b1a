"""Clients that write continuously, and record what each answer promised."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from threading import Event, Lock, Thread
from typing import Any, Self
from urllib.parse import quote, urlsplit

from tests.people import token_of

MAX_SECONDS = 5.0
"""For any answer, whatever has failed."""
TIMEOUT = 10.0
REPEAT_TIMEOUT = 20.0
PAUSE = 0.01
"""Seconds from an answer to the next request of the same client."""
ABSENT, NEW, CHANGED = "absent", "new", "changed"


@dataclass(frozen=True)
class Reply:
    """The result of a request. Without an answer, status is 0. A proxy's error has no body."""

    sent: float
    seconds: float
    status: int
    body: Any
    retry_after: str | None
    error: str = ""
    method: str = ""
    has_key: bool = False
    is_replayed: bool = False

    @property
    def is_uncertain(self) -> bool:
        """Whether the write may have been done nevertheless."""
        return not self.succeeded and (
            self.body is None or self.body["detail"].startswith("It is not known")
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
        self.wire = HTTPConnection(urlsplit(load.url).netloc, timeout=TIMEOUT)

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
        self.load.record(title, becomes, reply)
        self.load.over.wait(PAUSE)
        return reply

    def ask(self, method: str, path: str, body: Any, **headers: str) -> Reply:
        sent = time.monotonic()
        headers |= {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            data = None if body is None else json.dumps(body)
            self.wire.request(method, path, data, headers)
            response = self.wire.getresponse()
            answer = response.read()
        except (OSError, HTTPException) as error:
            self.wire.close()
            return Reply(sent, time.monotonic() - sent, 0, None, None, type(error).__name__, method)
        seconds = time.monotonic() - sent
        is_json = response.headers.get_content_type() == "application/json"
        return Reply(
            sent,
            seconds,
            response.status,
            json.loads(answer) if is_json else None,
            response.headers["Retry-After"],
            method=method,
            has_key="Idempotency-Key" in headers,
            is_replayed=response.headers["Idempotent-Replayed"] == "true",
        )


class RepeatingClient(Client):
    """Creates with a key, and sends each request again until it has succeeded."""

    def write(self, method: str, path: str, body: Any, title: str, becomes: str) -> Reply:
        key = {"Idempotency-Key": quote(title)} if method == "POST" else {}
        deadline = time.monotonic() + REPEAT_TIMEOUT
        is_first = True
        while True:
            reply = self.ask(method, f"/api/alice/tasks{path}", body, **key)
            if method == "DELETE" and reply.status == 404 and not is_first:
                reply = replace(reply, status=204)  # a request before this one has done it
            self.load.record(title, becomes, reply)
            self.load.over.wait(PAUSE)
            if reply.succeeded or time.monotonic() > deadline:
                return reply
            is_first = False


class Load:
    """Runs clients during its block, and checks their answers.

    uncertain: whether a write may have been done that was not acknowledged. That is only possible
    if a connection is lost between a commit and its answer, and then the error says so.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        clients: int = 8,
        uncertain: bool,
        kind: type[Client] = Client,
    ) -> None:
        self.url = url
        self.name = name
        self.uncertain = uncertain
        self.over = Event()
        self.news = Event()
        self.lock = Lock()
        self.replies: list[Reply] = []
        self.possible: dict[str, set[str]] = {}
        self.ids: dict[str, int] = {}
        self.clients = [kind(self, f"{name} {number}") for number in range(clients)]

    def __enter__(self) -> Self:
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for client in self.clients:
            client.join()

    def record(self, title: str, becomes: str, reply: Reply) -> None:
        with self.lock:
            self.replies.append(reply)
            before = self.possible.get(title, {ABSENT})
            if reply.succeeded:
                self.possible[title] = {becomes}
            else:
                uncertain = self.uncertain and reply.is_uncertain
                self.possible[title] = before | ({becomes} if uncertain else set())
            if becomes == NEW and reply.succeeded:
                self.ids[title] = reply.body["id"]
        self.news.set()

    def wait_for(self, count: int, *, succeeded: bool, after: float = 0.0) -> None:
        """Until so many requests that were sent after this time have succeeded, or failed."""
        deadline = time.monotonic() + TIMEOUT
        while sum(r.succeeded is succeeded and r.sent >= after for r in self.so_far()) < count:
            assert time.monotonic() < deadline, self.summary()
            self.news.clear()
            self.news.wait(0.1)

    def so_far(self) -> list[Reply]:
        with self.lock:
            return list(self.replies)

    def first_success_after(self, start: float) -> float:
        """Seconds from `start` to the next successful answer."""
        return min(
            reply.sent + reply.seconds - start
            for reply in self.replies
            if reply.succeeded and reply.sent + reply.seconds > start
        )

    @property
    def slowest(self) -> float:
        return max(reply.seconds for reply in self.replies)

    @property
    def unanswered(self) -> list[Reply]:
        return [reply for reply in self.replies if reply.status == 0]

    @property
    def replayed(self) -> list[Reply]:
        return [reply for reply in self.replies if reply.is_replayed]

    @property
    def refused(self) -> list[Reply]:
        return [reply for reply in self.replies if reply.status and not reply.succeeded]

    def summary(self) -> str:
        replies = self.so_far()
        succeeded = sum(reply.succeeded for reply in replies)
        unanswered = sum(reply.status == 0 for reply in replies)
        slowest = max((reply.seconds for reply in replies), default=0.0)
        return (
            f"{succeeded} done, {len(replies) - succeeded - unanswered} refused, "
            f"{unanswered} without an answer, slowest {slowest:.2f} s"
        )

    def check_answers(self) -> None:
        """All requests were answered in time, and every refusal is an error of the API."""
        assert self.unanswered == []
        assert self.slowest < MAX_SECONDS
        for reply in self.refused:
            assert (reply.status, reply.body["error_code"]) == (503, "DATABASE_ERROR")
            assert reply.body.keys() == {"detail", "error_code", "timestamp", "request_id"}
            is_unsafe = reply.method == "POST" and reply.is_uncertain and not reply.has_key
            assert reply.retry_after == (None if is_unsafe else "2")
            assert self.uncertain or not reply.is_uncertain

    def check_everything_is_done(self, rows: Sequence[tuple[int, str, str | None]]) -> None:
        """Every request of repeating clients has succeeded, and has been done exactly once."""
        assert [title for title, states in self.possible.items() if len(states) > 1] == []
        assert {reply.status for reply in self.refused} <= {502, 503}
        self.check_rows(rows)

    def check_rows(self, rows: Sequence[tuple[int, str, str | None]]) -> None:
        """The rows of the table are what the answers promised, without duplicates."""
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
