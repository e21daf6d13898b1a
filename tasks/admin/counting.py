"""How many tasks there are: exact where counting is quick, and an estimate where it is not."""

import re
from dataclasses import dataclass

from django.db import OperationalError, connection, transaction

from tasks.models import TaskQuerySet

MILLISECONDS = 40
"""How long PostgreSQL may count."""
# Starting other processes or a compiler costs more than it can save in this time.
SETTINGS = """
    SELECT set_config('statement_timeout', %s, true), set_config('jit', 'off', true),
           set_config('max_parallel_workers_per_gather', '0', true)
"""
QUERY_CANCELED = "57014"


@dataclass(frozen=True)
class Number:
    value: int
    is_exact: bool = True

    def __str__(self) -> str:
        return f"{self.value:,}" if self.is_exact else f"about {self.value:,}"

    @property
    def tasks(self) -> str:
        return f"{self} task{'' if self.value == 1 else 's'}"


def counts(*selections: TaskQuerySet) -> list[Number]:
    numbers: list[Number] = []
    try:
        with transaction.atomic():
            _limit(f"{MILLISECONDS}ms")
            for tasks in selections:
                numbers.append(Number(tasks.order_by().count()))  # noqa: PERF401  kept on a timeout
            transaction.set_rollback(True)  # or the rest of the page would have these settings too
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != QUERY_CANCELED:
            raise
    return numbers + [estimate(tasks) for tasks in selections[len(numbers) :]]


def count(tasks: TaskQuerySet, *, at_least: int) -> Number:
    """at_least: what is known already, where PostgreSQL estimates less."""
    (number,) = counts(tasks)
    return number if number.is_exact else Number(max(number.value, at_least), is_exact=False)


def estimate(tasks: TaskQuerySet, *, at_least: int = 0) -> Number:
    """Two digits of what the planner expects."""
    plan = re.search(r"rows=(\d+)", tasks.order_by().explain())
    rows = plan[1] if plan else "0"
    return Number(max(int(rows[:2].ljust(len(rows), "0")), at_least), is_exact=False)


def _limit(timeout: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SETTINGS, [timeout])
