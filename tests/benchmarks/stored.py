"""Realistic tasks of users who have many, and what a list of them must answer."""

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any

import psycopg

from tests.benchmarks.database import Database, user_id
from tests.benchmarks.servers import OURS, Candidate

PAGE = 50


@dataclass(frozen=True)
class Question:
    """One kind of list. page: 2 follows the cursor, or the offset where there is no cursor."""

    name: str
    params: Mapping[str, str] = field(default_factory=dict, hash=False)
    page: int = 1


TODAY = datetime.combine(datetime.now(UTC), time(), UTC)

FLAGS = {"complete": "false", "priority": "high"}
TAG = {"tag": "work"}
DUE = {
    f"due_{end}": f"{TODAY + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
    for end, days in (("after", -180), ("before", 30))
}
WORDS = {"q": "report friday"}
SORT = {"sort": "-priority,due_date"}
QUESTIONS = (
    Question("no filter"),
    Question("complete, priority", FLAGS),
    Question("tag", TAG),
    Question("due from, to", DUE),
    Question("two words", WORDS),
    Question("sort=-priority,due_date", SORT),
    Question("sort=title", {"sort": "title"}),
    Question("all filters, sorted", {**FLAGS, **TAG, **DUE, **WORDS, **SORT}),
    Question("second page", page=2),
    Question("second page, sorted", SORT, page=2),
)

VERBS = ("Call", "Send", "Write", "Check", "Buy", "Book", "Fix", "Plan")
THINGS = (
    *("the report", "the invoice", "tickets", "the slides"),
    *("the backup", "milk", "the meeting", "the release"),
)
ENDINGS = ("", " for Anna", " with Tom", " before Friday", " at the office", " again")
ELSEWHERE = (
    *("Übungsblatt korrigieren", "Straße kehren", "Café für Zoë reservieren", "Ärztin anrufen"),
    *("Écrire à Chloé", "Позвонить маме", "Купить билеты", "書類を送る", "İzmir biletini al"),
)
SENTENCES = (
    "Ask Anna about the invoice, and send her the report before Friday.",
    "The figures of last month are still missing.",
    "It must be done before the meeting at the office.",
    "Tom has the tickets. He arrives on Friday evening.",
    "Zuerst die Unterlagen prüfen, dann den Bericht über Köln schreiben.",
    "See the notes of the last release.",
)
TAGS = {"work": 8, "home": 5, "errands": 3, "Büro": 2, "Garten": 1, "travel": 1, "finance": 1}
PRIORITIES = {"low": 3, "medium": 4, "high": 3}
COLUMNS = (
    *("id", "user_id", "title", "description", "complete", "priority", "due_day", "due_at"),
    *("tags", "completed_at", "created_at", "updated_at"),
)


@dataclass(frozen=True)
class Row:
    """A task, as it is stored and as its user should get it."""

    id: int
    user_id: str
    title: str
    description: str | None
    complete: bool
    priority: str
    due: date | datetime | None
    tags: list[str]
    created_at: datetime

    def columns(self) -> Sequence[object]:
        is_time = isinstance(self.due, datetime)
        return (
            *(self.id, self.user_id, self.title, self.description, self.complete, self.priority),
            *((None, self.due) if is_time else (self.due, None)),
            *(self.tags, self.created_at if self.complete else None),
            *(self.created_at, self.created_at),
        )

    def content(self) -> Sequence[object]:
        return (
            *(self.id, self.user_id, self.title, self.description, self.complete, self.priority),
            *(self.due, self.tags, self.created_at),
        )

    def due_time(self) -> datetime | None:
        """A day counts as its beginning in UTC."""
        if self.due is None or isinstance(self.due, datetime):
            return self.due
        return datetime.combine(self.due, time(), UTC)


def content(task: Mapping[str, Any]) -> Sequence[object]:
    """Of a task as a server sent it, what `Row.content` has."""
    due = task["due_date"]
    return (
        *(task[name] for name in COLUMNS[:6]),
        due and (date if len(due) == 10 else datetime).fromisoformat(due),
        *(task["tags"], datetime.fromisoformat(task["created_at"])),
    )


def _row(made: random.Random, number: int, user: str, created_at: datetime) -> Row:
    title = (
        made.choice(ELSEWHERE)
        if made.random() < 1 / 3
        else f"{made.choice(VERBS)} {made.choice(THINGS)}"
    ) + made.choice(ENDINGS)
    if made.random() < 1 / 2:
        title += f" {made.randrange(10_000)}"
    sentences = made.sample(SENTENCES, made.randint(1, 3))
    due: date | datetime | None = None
    if made.random() < 2 / 3:
        due = created_at.replace(microsecond=0) + timedelta(hours=made.randrange(24 * 90))
        due = due if made.random() < 1 / 2 else due.date()
    names = made.choices(list(TAGS), list(TAGS.values()), k=made.randint(1, 3))
    return Row(
        number,
        user,
        title,
        description=" ".join(sentences) if made.random() < 1 / 2 else None,
        complete=made.random() < 1 / 2,
        priority=made.choices(list(PRIORITIES), list(PRIORITIES.values()))[0],
        due=due,
        tags=sorted(set(names)) if made.random() < 1 / 2 else [],
        created_at=created_at,
    )


@dataclass(frozen=True)
class Page:
    """What a list must answer."""

    rows: Sequence[Row]
    count: int


class Stored:
    """The tasks in the database. sizes: how many users there are, by their number of tasks."""

    def __init__(self, database: Database, sizes: Mapping[int, int]) -> None:
        self.database = database
        self.users: dict[int, list[str]] = {}
        number = database.users  # the first that has no tasks yet
        for tasks, users in sizes.items():
            self.users[tasks] = [user_id(number + place) for place in range(users)]
            number += users
        # As in production, the tasks of a user are spread over the table and differ in age.
        made = random.Random(1)
        owners = [user for tasks, users in self.users.items() for user in users * tasks]
        made.shuffle(owners)
        age = timedelta(days=365) / len(owners)
        rows = [
            _row(made, database.last_id + place, user, TODAY - age * (len(owners) - place))
            for place, user in enumerate(owners, 1)
        ]
        self.rows: dict[str, list[Row]] = {}
        for row in rows:
            self.rows.setdefault(row.user_id, []).append(row)
        database.copy(COLUMNS, [row.columns() for row in rows])
        with psycopg.connect(database.url) as connection:
            # How the peer sorts titles depends on the collation of the database.
            ranks = connection.execute(
                "SELECT id, rank() OVER (ORDER BY lower(title)) FROM tasks_task WHERE id >= %s",
                [rows[0].id],
            )
            self._title_ranks: dict[int, int] = dict(ranks.fetchall())
        self.page = cache(self._page)

    def found(self, tasks: int, question: Question) -> float:
        """How many tasks match, as the median of the users with so many tasks."""
        return statistics.median(
            self.page(OURS, user, question).count for user in self.users[tasks]
        )

    def _page(self, candidate: Candidate, user: str, question: Question) -> Page:
        values: dict[str, Callable[[Row], Any]] = {
            "created_at": lambda row: row.created_at,
            "due_date": Row.due_time,
            "priority": lambda row: list(PRIORITIES).index(row.priority),
            "title": lambda row: (
                row.title.casefold() if candidate == OURS else self._title_ranks[row.id]
            ),
        }
        rows = [row for row in self.rows[user] if matches(row, question.params)]
        keys = question.params.get("sort", "-created_at").split(",")
        rows.sort(key=lambda row: row.id, reverse=keys[-1].startswith("-"))
        for key in reversed(keys):
            value = values[key.removeprefix("-")]
            known = [row for row in rows if value(row) is not None]
            known.sort(key=value, reverse=key.startswith("-"))
            rows = known + [row for row in rows if value(row) is None]
        return Page(rows[PAGE * (question.page - 1) : PAGE * question.page], len(rows))


def matches(row: Row, params: Mapping[str, str]) -> bool:
    text = f"{row.title}\n{row.description or ''}".casefold()
    due = row.due_time()
    if "due_after" in params:
        after, before = (datetime.fromisoformat(params[name]) for name in DUE)
        if due is None or not after <= due < before:
            return False
    return (
        params.get("complete") in (None, str(row.complete).lower())
        and params.get("priority") in (None, row.priority)
        and ("tag" not in params or params["tag"] in row.tags)
        and all(word in text for word in params.get("q", "").split())
    )
