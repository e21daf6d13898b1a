"""Now, in the time zone of the browser. `staff.js` puts its name into a cookie."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Self
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.http import HttpRequest

from tasks.models import Task

DAY = timedelta(1)


@dataclass(frozen=True)
class Clock:
    """zone: UTC if the browser has not sent the name of a time zone. now: in that zone."""

    zone: tzinfo
    now: datetime

    @classmethod
    def of(cls, request: HttpRequest) -> Self:
        try:
            zone: tzinfo = ZoneInfo(request.COOKIES.get("zone", "UTC"))
        except (KeyError, ValueError, OSError):
            zone = UTC
        return cls(zone, datetime.now(zone))

    @property
    def today(self) -> date:
        return self.now.date()

    @property
    def week(self) -> tuple[date, date]:
        """Monday and Sunday of this week."""
        monday = self.today - timedelta(self.today.weekday())
        return monday, monday + timedelta(6)

    def midnight(self, day: date) -> datetime:
        """When the day begins."""
        return datetime.combine(day, time(), self.zone)

    def is_overdue(self, task: Task) -> bool:
        """A day is overdue once it is over in this zone, a time once it has passed."""
        if task.complete:
            return False
        is_day_over = task.due_day is not None and task.due_day < self.today
        return is_day_over or (task.due_at is not None and task.due_at < self.now)

    def overdue(self) -> tuple[Q, Q]:
        """The tasks for which `is_overdue` is true, and bounds of their `DUE` for its index."""
        past = Q(due_day__lt=self.today) | Q(due_at__lt=self.now)
        # A day that is over in any zone has begun in UTC.
        return Q(complete=False) & past, Q(due__lt=self.now)

    def due_this_week(self) -> tuple[Q, Q]:
        """The tasks that are due in this week, and bounds of their `DUE` for its index."""
        monday, sunday = self.week
        since, before = self.midnight(monday), self.midnight(sunday + DAY)
        due = Q(due_day__range=self.week) | Q(due_at__gte=since, due_at__lt=before)
        # A day begins in UTC less than 24 hours before or after it begins in any zone.
        return due, Q(due__gte=since - DAY, due__lt=before + DAY)
