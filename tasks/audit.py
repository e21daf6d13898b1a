"""What staff did and saw: the history of changes, together with views of pages and sign-ins.

Both are read newest first, from a position in an index, so a later page costs no more than the
first. A view is one small row. It has no text of a task, and no name or e-mail address.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any

from django.contrib.admin.models import LogEntry
from django.db.models import F, Func, Q, QuerySet, TextField

from authjwt import wording
from tasks import history
from tasks.history import Line
from tasks.models import MAX_ID, PageView

MAX_COUNTED = 5000
VIEWS = tuple(page for page in PageView.Page if page != PageView.Page.SIGN_IN)
ACTION = Func(
    F("change_message"), F("action_flag"), function="task_action", output_field=TextField()
)


@dataclass(frozen=True)
class Filters:
    """since, before: times. action: of the history, a page, or `view` for all pages."""

    staff_id: int | None = None
    since: datetime | None = None
    before: datetime | None = None
    action: str = ""
    user_id: str = ""


@dataclass(frozen=True, order=True)
class Position:
    """Of a record. Records at the same time are ordered by kind, then by id."""

    at: datetime
    is_change: bool
    pk: int

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{'c' if self.is_change else 'v'}~{self.pk}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Raises ValueError or OverflowError."""
        at, kind, pk = text.split("~")
        if kind not in ("c", "v") or not 0 <= int(pk) <= MAX_ID:
            raise ValueError(text)
        return cls(datetime.fromisoformat(at).astimezone(UTC), kind == "c", int(pk))


@dataclass(frozen=True)
class Record:
    """Either a change or a view."""

    position: Position
    line: Line | None = None
    view: PageView | None = None

    @property
    def staff_id(self) -> int:
        return self.line.entry.user_id if self.line else self.view.staff_id  # type: ignore[union-attr]

    @property
    def user_id(self) -> str:
        return self.line.owner if self.line else self.view.user_id  # type: ignore[union-attr]


def viewed(
    staff_id: int,
    page: PageView.Page,
    *,
    user_id: str = "",
    task_id: int | None = None,
    filters: Mapping[str, str] | None = None,
) -> None:
    PageView.objects.create(
        staff_id=staff_id, page=page, user_id=user_id, task_id=task_id, filters=filters or {}
    )


def records(filters: Filters, after: Position | None, limit: int) -> list[Record]:
    """Newest first, beginning after a position."""
    changes = _read(_changes(filters), "action_time", after, limit, is_change=True)
    views = _read(_views(filters), "at", after, limit, is_change=False)
    newest = merge(
        (Record(Position(line.entry.action_time, True, line.entry.pk), line=line)  # noqa: FBT003
         for line in history.lines(changes)),
        (Record(Position(view.at, False, view.pk), view=view) for view in views),  # noqa: FBT003
        key=lambda record: record.position,
        reverse=True,
    )  # fmt: skip
    return list(islice(newest, limit))


def count(filters: Filters) -> str:
    """How many records there are. Beyond MAX_COUNTED it is an estimate, and the text says so."""
    total, is_exact = 0, True
    for rows in (_changes(filters).order_by(), _views(filters).order_by()):
        number = rows[: MAX_COUNTED + 1].count()
        if number > MAX_COUNTED:
            (plan,) = json.loads(rows.explain(format="json"))
            number, is_exact = plan["Plan"]["Plan Rows"], False
        total += number
    if is_exact:
        return wording.count(total, "record")
    if total <= MAX_COUNTED:
        return f"More than {MAX_COUNTED} records"
    return f"About {float(f'{total:.2g}'):,.0f} records (an estimate)"


def _changes(filters: Filters) -> QuerySet[LogEntry]:
    if filters.action == "view" or filters.action in PageView.Page:
        return LogEntry.objects.none()
    entries = history.of_owner(filters.user_id) if filters.user_id else LogEntry.objects.all()
    if filters.action:
        entries = entries.alias(task_action=ACTION).filter(task_action=filters.action)
    if filters.staff_id is not None:
        entries = entries.filter(user_id=filters.staff_id)
    entries = entries.filter(_between(filters, "action_time"))
    if filters.user_id:
        # Sorts the entries of this user. Otherwise PostgreSQL may read all entries in their order.
        return entries.order_by((F("action_time") + timedelta(0)).desc(), "-id")
    return entries.order_by("-action_time", "-id")


def _views(filters: Filters) -> QuerySet[PageView]:
    views = PageView.objects.order_by("-at", "-id")
    if filters.action == "view":
        views = views.filter(page__in=VIEWS)
    elif filters.action:
        views = views.filter(page=filters.action)
    if filters.user_id:
        views = views.filter(user_id=filters.user_id)
    if filters.staff_id is not None:
        views = views.filter(staff_id=filters.staff_id)
    return views.filter(_between(filters, "at"))


def _between(filters: Filters, column: str) -> Q:
    between = Q()
    if filters.since:
        between &= Q(**{f"{column}__gte": filters.since})
    if filters.before:
        between &= Q(**{f"{column}__lt": filters.before})
    return between


def _read(
    rows: QuerySet[Any], column: str, after: Position | None, limit: int, *, is_change: bool
) -> Iterable[Any]:
    if after:
        # Views come after the changes of the same time.
        pk = after.pk if is_change == after.is_change else 0 if is_change else MAX_ID
        older = Q(**{f"{column}__lt": after.at}) | Q(**{column: after.at, "pk__lt": pk})
        rows = rows.filter(older, **{f"{column}__lte": after.at})
    return rows[:limit]
