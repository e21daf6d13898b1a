"""Creates demo data: users with few tasks or many, old tasks, complete tasks, some in the trash.

The same seed and numbers create the same users with the same tasks, with ages that count from the
last midnight (UTC). A user who has tasks already is skipped, and all tasks of a user are written in
one transaction. So another run adds what is missing, and nothing twice.
"""

import secrets
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, chain, islice, pairwise
from random import Random
from string import ascii_letters, digits
from typing import Any, NamedTuple

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import reset_queries

from tasks.management.maintenance import BATCH, MaintenanceCommand
from tasks.models import Priority, Task

MAX_NUMBER = 100_000_000
# The alphabet and length of Better Auth's ids.
ALPHABET = ascii_letters + digits
ID_LENGTH = 32

THINGS = {
    "Buy": ("milk", "bread", "stamps", "a birthday present", "new running shoes", "coffee beans"),
    "Call": ("the dentist", "mum", "the landlord", "the bank", "Zoë about Saturday"),
    "Book": ("train tickets", "a table for four", "the hotel in Kraków", "a haircut"),
    "Clean": ("the kitchen", "the bicycle", "the gutters", "out the inbox"),
    "Pay": ("the rent", "the electricity bill", "back Jürgen", "the parking fine"),
    "Prepare": ("the quarterly report", "slides for Monday", "the interview", "packed lunches"),
    "Read": ("the new contract", "chapter 7", "the release notes", "a book to the kids"),
    "Repair": ("the tap", "the garden gate", "the slow query", "the flaky test"),
    "Review": ("the pull request", "the budget", "last week's numbers", "the insurance"),
    "Send": ("the invoice", "photos to grandma", "the signed form", "a postcard from 東京"),
}
WHEN = ("", "", "", " today", " before Friday", " this week", " again", " (urgent)", " 🎉")
NOTES = (
    "Ask first whether it is still needed.",
    "The number is on the fridge.",
    "Two of them, the big ones.\nKeep the receipt.",
    "See the mail of last Tuesday.",
    "Takes an hour at most.",
    "Waiting for an answer since the 3rd.",
    "",
)
TAGS = ("home", "work", "Family", "errands", "5 minutes", "waiting", "Café", "旅行")
COMPLETE, DESCRIBED, EDITED, TRASHED = 0.4, 0.3, 0.3, 0.05
DUE, DUE_AT_A_TIME, TAGGED = 0.5, 0.2, 0.4


class Person(NamedTuple):
    user_id: str
    random: Random
    tasks: int


def positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MAX_NUMBER):
        raise ArgumentTypeError(f"must be a whole number from 1 to {MAX_NUMBER}")
    return int(text)


class Command(MaintenanceCommand):
    help = "Creates realistic demo data, for development."
    verb = "created"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--users", metavar="N", type=positive, default=10, help="number of users (default: 10)"
        )
        parser.add_argument(
            "--tasks",
            metavar="N",
            type=positive,
            default=1000,
            help="number of tasks of all users (default: 1000)",
        )
        parser.add_argument(
            "--seed", metavar="S", help="any text; the same text creates the same data again"
        )
        parser.add_argument(
            "--outside-development",
            action="store_true",
            help="run although DEBUG is off, among the tasks of real users",
        )
        super().add_arguments(parser)

    def run(
        self, *, users: int, tasks: int, seed: str | None, outside_development: bool, **_: Any
    ) -> None:
        if not settings.DEBUG and not outside_development:
            raise CommandError(
                "This is not a development machine (DEBUG is off). "
                "If you mean it, add --outside-development."
            )
        if seed is None:
            seed = secrets.token_hex(4)
            self.stderr.write(f"--seed {seed} creates the same data again.", str)
        self.done.update(user=0, task=0)
        with self.alone(), self.progress(users + tasks):
            for group in groups(people(users, tasks, seed)):
                self._make(without_tasks(group))

    def _make(self, group: list[Person]) -> None:
        if self.dry_run:
            self.done.update(user=len(group), task=sum(person.tasks for person in group))
            return
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        tasks = chain.from_iterable(tasks_of(person, midnight) for person in group)
        with self.batch():
            self.add("user", len(group))
            while piece := list(islice(tasks, BATCH)):
                self.add("task", len(Task.objects.bulk_create(piece)))
                reset_queries()  # with DEBUG Django keeps the last 9000


def people(users: int, tasks: int, seed: str) -> Iterator[Person]:
    """The users who get tasks. A few of them get most of the tasks, as in real life."""
    shares = Random(f"{seed} shares")  # noqa: S311  demo data
    sums = list(accumulate(shares.paretovariate(1.5) for _ in range(users)))
    bounds = chain([0], (round(tasks * share / sums[-1]) for share in sums))
    for number, (first, end) in enumerate(pairwise(bounds)):
        random = Random(f"{seed} {number}")  # noqa: S311  demo data
        user_id = "".join(random.choices(ALPHABET, k=ID_LENGTH))
        if first < end:
            yield Person(user_id, random, end - first)


def groups(everybody: Iterable[Person]) -> Iterator[list[Person]]:
    """Groups of people, each with enough tasks for a batch."""
    group: list[Person] = []
    tasks = 0
    for person in everybody:
        group.append(person)
        tasks += person.tasks
        if tasks >= BATCH:
            yield group
            group, tasks = [], 0
    yield group


def without_tasks(group: list[Person]) -> list[Person]:
    rows = Task.objects.filter(user_id__in=[person.user_id for person in group])
    # Two queries, since living and trashed tasks are in different indexes.
    busy = {*rows.alive().values_list("user_id", flat=True).distinct()}
    busy |= {*rows.trashed().values_list("user_id", flat=True).distinct()}
    return [person for person in group if person.user_id not in busy]


def tasks_of(person: Person, midnight: datetime) -> Iterator[Task]:
    return (task_of(person.user_id, person.random, midnight) for _ in range(person.tasks))


def task_of(user_id: str, random: Random, midnight: datetime) -> Task:
    what = random.choice([*THINGS])
    age = timedelta(days=min(random.expovariate(1 / 60), 1000))
    created = midnight - age
    changed = created + age * random.random()
    complete = random.random() < COMPLETE
    trashed = random.random() < TRASHED
    task = Task(
        user_id=user_id,
        title=f"{what} {random.choice(THINGS[what])}{random.choice(WHEN)}",
        description=random.choice(NOTES) if random.random() < DESCRIBED else None,
        complete=complete,
        priority=random.choices(Priority.values, (3, 5, 2))[0],
        tags=random.sample(TAGS, random.choice((1, 1, 2, 3))) if random.random() < TAGGED else [],
        completed_at=changed if complete else None,
        created_at=created,
        updated_at=changed if complete or random.random() < EDITED else created,
        deleted_at=midnight - (midnight - changed) * random.random() ** 3 if trashed else None,
    )
    if random.random() < DUE:
        task.due_date = due_date(random, changed)
    return task


def due_date(random: Random, changed: datetime) -> date | datetime:
    """A day, or sometimes a time, on average two weeks after the last change."""
    due = changed + timedelta(days=random.expovariate(1 / 14))
    if random.random() < DUE_AT_A_TIME:
        minute = random.choice((0, 15, 30, 45))
        return due.replace(hour=random.randrange(7, 19), minute=minute, second=0, microsecond=0)
    return due.date()
