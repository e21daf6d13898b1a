"""How many tokens were refused, for the start page: the workers count, and the database adds up.

A worker writes its counts at most once a minute, in a thread of its own, and only if a token was
refused. They consist of an hour, a reason from a fixed list and a number: nothing about users.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock, Thread
from time import sleep
from typing import Any

from django.db import DatabaseError, InterfaceError, connection
from django.db.models import F, Sum

from authjwt.bearer import refusals
from authjwt.exceptions import Reason
from config.server.logs import summary
from tasks.limits import limited
from tasks.models import RefusedTokens

log = logging.getLogger(__name__)

INTERVAL = 60.0
KEPT = timedelta(days=8)
WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)
MIN_SPIKE = 100
SPIKE_FACTOR = 10

ADD = """
    INSERT INTO public.tasks_refusedtokens AS stored (hour, reason, number)
    SELECT date_trunc('hour', now()), reason, number
    FROM unnest(%s::text[], %s::bigint[]) AS counted (reason, number) ORDER BY reason
    ON CONFLICT (hour, reason) DO UPDATE SET number = stored.number + excluded.number
"""


class Recorder:
    """Counts in the memory of a worker. The thread ends after a minute without a refusal."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[Reason] = Counter()
        self._is_writing = False

    def count(self, reason: Reason) -> None:
        with self._lock:
            self._counts[reason] += 1
            if self._is_writing:
                return
            self._is_writing = True
        Thread(target=self._write, name="refusals", daemon=True).start()

    def _write(self) -> None:
        while counts := self._taken():
            try:
                store(counts)
            except (DatabaseError, InterfaceError) as error:
                log.warning("the counts of refused tokens were not stored: %s", summary(error))
                with self._lock:
                    self._counts += counts
            finally:
                connection.close()
            sleep(INTERVAL)

    def _taken(self) -> Counter[Reason]:
        with self._lock:
            counts, self._counts = self._counts, Counter()
            self._is_writing = bool(counts)
        return counts


def record() -> None:
    """Called once by each worker."""
    refusals.on_refusal.append(Recorder().count)


def store(counts: Counter[Reason]) -> None:
    """Adds them to those of the current hour, and removes old ones."""
    with limited(), connection.cursor() as cursor:
        cursor.execute(ADD, [list(counts), list(counts.values())])
        RefusedTokens.objects.filter(hour__lt=datetime.now(UTC) - KEPT).delete()


@dataclass(frozen=True)
class Refused:
    """by_reason: of the last day, the most frequent first. recent: since the last full hour began.

    usual: how many there were on average in as many hours of the week before.
    """

    since: datetime
    by_reason: list[tuple[str, int]]
    recent: int
    usual: float

    @property
    def total(self) -> int:
        return sum(number for _, number in self.by_reason)

    @property
    def is_spike(self) -> bool:
        return self.recent >= MIN_SPIKE and self.recent > SPIKE_FACTOR * self.usual


def refused() -> Refused:
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    since, recent = this_hour - 23 * HOUR, this_hour - HOUR
    stored = RefusedTokens.objects
    by_reason = (
        stored.filter(hour__gte=since)
        .values_list("reason")
        .annotate(total=Sum("number"))
        .order_by("-total", "reason")
    )
    before = stored.filter(hour__gte=recent - WEEK, hour__lt=recent)
    return Refused(
        since,
        list(by_reason),
        _total(stored.filter(hour__gte=recent)),
        _total(before) / (WEEK / (2 * HOUR)),
    )


def _total(rows: Any) -> int:
    return rows.aggregate(total=Sum(F("number"), default=0))["total"]  # type: ignore[no-any-return]
