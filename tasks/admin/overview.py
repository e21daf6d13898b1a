"""The numbers of the start page: exact for a small table, and for a large one mostly estimates.

One pass over the table would take almost half a second for a million tasks, and indexes for these
numbers would make every write slower. So one pass reads at most MAX_PAGES of the table, which are
all of them up to about 120,000 tasks. For a larger table these are a sample, and what an existing
index counts in time replaces the estimates: the trash, what is due soon, and what was created in
the last days. The estimate of what was completed needs the sample only for older tasks then.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction

from tasks.admin.clock import DAY, Clock
from tasks.models import Priority

DAYS = 30
MAX_PAGES = 4000
SAMPLE_TIMEOUT = "1s"
INDEX_TIMEOUT = "150ms"
CACHED_SECONDS = 60.0
QUERY_CANCELED = "57014"

DUE = ("overdue", "today", "this week", "later", "no due date")
SOON = range(1, 3)
"""Those that the index of due dates counts."""
GOES = ("overdue", "today", "in the next 7 days", "later")
"""When a task in the trash will be deleted. It is overdue more than a day after that."""

PAGES = "SELECT pg_relation_size('public.tasks_task') / current_setting('block_size')::int"
SETTINGS = """
    SELECT set_config('statement_timeout', %s, true), set_config('jit', 'off', true)
"""
CREATED = "CASE WHEN created_at >= %(since)s THEN width_bucket(created_at, %(days)s) - 1 END"
COMPLETED = "CASE WHEN completed_at >= %(since)s THEN width_bucket(completed_at, %(days)s) - 1 END"
TRASH = "CASE WHEN deleted_at IS NOT NULL THEN width_bucket(deleted_at, %(trash)s) END"
# As `Clock.overdue` has it: a day is over at midnight in the zone of the browser.
DUE_CASE = """
    CASE WHEN complete OR deleted_at IS NOT NULL THEN NULL
         WHEN due_day IS NULL AND due_at IS NULL THEN 4
         WHEN due_day < %(today)s OR due_at < %(now)s THEN 0
         WHEN due_day = %(today)s OR due_at < %(tomorrow)s THEN 1
         WHEN due_day <= %(sunday)s OR due_at < %(monday)s THEN 2
         ELSE 3 END
"""
EVERYTHING = f"""
    SELECT deleted_at IS NULL, complete, priority, {DUE_CASE}, {TRASH}, {CREATED}, {COMPLETED},
        count(*)
    FROM public.tasks_task TABLESAMPLE SYSTEM (%(percent)s) REPEATABLE (1)
    GROUP BY 1, 2, 3, 4, 5, 6, 7
"""  # noqa: S608  of constants
RECENT = f"""
    SELECT {CREATED}, {COMPLETED}, count(*) FROM public.tasks_task
    WHERE created_at >= %(since)s GROUP BY 1, 2
"""  # noqa: S608
TRASHED = f"""
    SELECT {TRASH}, count(*) FROM public.tasks_task WHERE deleted_at IS NOT NULL GROUP BY 1
"""  # noqa: S608
# The index of due dates has days as their beginning in UTC, up to a day from that in any zone.
DUE_SOON = f"""
    SELECT {DUE_CASE}, count(*) FROM public.tasks_task
    WHERE coalesce(due_at, timezone('UTC', due_day::timestamp))
        BETWEEN %(yesterday)s AND %(tuesday)s GROUP BY 1
"""  # noqa: S608


@dataclass(frozen=True)
class Number:
    value: int
    is_estimate: bool = False

    def __str__(self) -> str:
        return f"about {self.digits}" if self.is_estimate else self.digits

    @property
    def digits(self) -> str:
        """Of an estimate only the first three, since more would look exact."""
        rounded = max(0, len(str(self.value)) - 3) if self.is_estimate else 0
        return f"{round(self.value, -rounded):,}"


@dataclass(frozen=True)
class Day:
    day: date
    created: Number
    completed: Number


@dataclass(frozen=True)
class Overview:
    """tasks: those that are not in the trash. priorities, due: of the open tasks.

    trash: by when they go. at: when this was counted. share: percent of the table that was read.
    """

    at: datetime
    share: float
    tasks: Number
    open: Number
    priorities: Mapping[str, Number]
    due: Mapping[str, Number]
    trash: Mapping[str, Number]
    days: Sequence[Day]

    @property
    def trashed(self) -> Number:
        return _sum(self.trash.values())

    @property
    def created(self) -> Number:
        return _sum(day.created for day in self.days)

    @property
    def completed(self) -> Number:
        return _sum(day.completed for day in self.days)


class _Cache:
    overviews: dict[tuple[str, date], tuple[float, Overview]] = {}  # noqa: RUF012  of this worker


def overview(clock: Clock) -> Overview | None:
    """None if even the sample took too long.

    That of a large table may be a minute old: another worker may have counted at another time.
    """
    key = str(clock.zone), clock.today
    until, cached = _Cache.overviews.get(key, (0.0, None))
    if cached and monotonic() < until:
        return cached
    found = count(clock)
    if found and found.share < 100:  # noqa: PLR2004  percent
        if len(_Cache.overviews) > 10:  # noqa: PLR2004  time zones of staff
            _Cache.overviews.clear()
        _Cache.overviews[key] = monotonic() + CACHED_SECONDS, found
    return found


def forget() -> None:
    _Cache.overviews.clear()


def count(clock: Clock) -> Overview | None:
    with connection.cursor() as cursor:
        cursor.execute(PAGES)
        pages = max(1, cursor.fetchone()[0])
    percent = min(100.0, 100 * MAX_PAGES / pages)
    parameters = _parameters(clock) | {"percent": percent}
    rows = _rows(EVERYTHING, parameters, SAMPLE_TIMEOUT)
    if rows is None:
        return None
    tally = Tally(100 / percent)
    tally.add_sample(rows)
    if percent < 100:  # noqa: PLR2004
        for statement, replace in (
            (RECENT, tally.replace_days),
            (TRASHED, tally.replace_trash),
            (DUE_SOON, tally.replace_due),
        ):
            exact = _rows(statement, parameters, INDEX_TIMEOUT)
            if exact is not None:
                replace(exact)
    return tally.overview(clock, percent)


Rows = Iterable[tuple[Any, ...]]


@dataclass
class Tally:
    """Adds up rows of the statements.

    factor: how many tasks one of the sample stands for. exact: names of what is no estimate.
    """

    factor: float
    tasks: dict[bool, float] = field(default_factory=lambda: defaultdict(float))
    priorities: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    due: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    trash: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    created: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    completed: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    completed_of_older: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    exact: set[object] = field(default_factory=set)

    def add_sample(self, rows: Rows) -> None:
        for is_alive, complete, priority, due, trash, created, completed, counted in rows:
            number = counted * self.factor
            if is_alive:
                self.tasks[complete] += number
                if not complete:
                    self.priorities[priority] += number
                    self.due[due] += number
            else:
                self.trash[trash] += number
            if created is not None:
                self.created[created] += number
            if completed is not None:
                self.completed[completed] += number
                if created is None:
                    self.completed_of_older[completed] += number

    def replace_days(self, rows: Rows) -> None:
        """Completed is exact for tasks of these days, and an estimate for the older ones."""
        self.created = defaultdict(float)
        self.completed = self.completed_of_older
        for created, completed, number in rows:
            self.created[created] += number
            if completed is not None:
                self.completed[completed] += number
        self.exact.add("created")

    def replace_trash(self, rows: Rows) -> None:
        self.trash = defaultdict(float)
        for goes, number in rows:
            self.trash[goes] += number
        self.exact.add("trash")

    def replace_due(self, rows: Rows) -> None:
        self.exact |= set(SOON)
        for due in SOON:
            self.due[due] = 0
        for due, number in rows:
            if due in SOON:
                self.due[due] = number

    def overview(self, clock: Clock, percent: float) -> Overview:
        def number(value: float, name: object = "") -> Number:
            return Number(round(value), is_estimate=self.factor > 1 and name not in self.exact)

        first = clock.today - (DAYS - 1) * DAY
        return Overview(
            at=clock.now,
            share=percent,
            tasks=number(sum(self.tasks.values())),
            open=number(self.tasks[False]),
            priorities={name: number(self.priorities[name]) for name in reversed(Priority.values)},
            due={name: number(self.due[n], n) for n, name in enumerate(DUE)},
            trash={name: number(self.trash[n], "trash") for n, name in enumerate(GOES)},
            days=[
                Day(
                    first + n * DAY,
                    number(self.created[n], "created"),
                    number(self.completed[n]),
                )
                for n in range(DAYS)
            ],
        )


def _parameters(clock: Clock) -> dict[str, Any]:
    """The times between which tasks are counted, all from the clock of the browser."""
    today = clock.today
    days = [clock.midnight(today - n * DAY) for n in reversed(range(DAYS))]
    _, sunday = clock.week
    monday = clock.midnight(sunday + DAY)
    retention = timedelta(days=settings.TASKS_RETENTION_DAYS)
    return {
        "since": days[0],
        "days": days,
        "now": clock.now,
        "today": today,
        "tomorrow": clock.midnight(today + DAY),
        "sunday": sunday,
        "monday": monday,
        "yesterday": clock.midnight(today) - DAY,
        "tuesday": monday + DAY,
        "trash": [
            clock.now - retention - DAY,
            clock.midnight(today + DAY) - retention,
            clock.midnight(today + 8 * DAY) - retention,
        ],
    }


def _rows(statement: str, parameters: Mapping[str, Any], timeout: str) -> list[Any] | None:
    """None if it takes longer. The page continues, since only a savepoint is rolled back."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(SETTINGS, [timeout])
            cursor.execute(statement, parameters)
            rows: list[Any] = cursor.fetchall()
            transaction.set_rollback(True)  # or the rest of the page would have these settings too
            return rows
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == QUERY_CANCELED:
            return None
        raise


def _sum(numbers: Iterable[Number]) -> Number:
    found = list(numbers)
    return Number(
        sum(number.value for number in found), any(number.is_estimate for number in found)
    )
