"""Filters of the task list: the trash, users, due dates, a tag, and ranges of days."""

from datetime import date, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.core.exceptions import BadRequest
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest
from pydantic import TypeAdapter, ValidationError

from tasks import orphans
from tasks.admin import people
from tasks.admin.clock import Clock
from tasks.models import DUE
from tasks.people import NoPeople
from tasks.schemas import Tag, sentence

TAG: TypeAdapter[str] = TypeAdapter(Tag)
MAX_GONE = 5000


class ClosedFilter(admin.SimpleListFilter):
    """Refuses other values than its choices. Django ignores them, and an action would be on all."""

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        names = [name for name, _ in self.lookup_choices]
        if self.value() not in (None, *names):
            raise BadRequest(f"The filter {self.parameter_name} must be one of {', '.join(names)}.")


class StatusFilter(admin.BooleanFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "status"

    def choices(self, changelist: ChangeList) -> Any:
        for choice, text in zip(super().choices(changelist), ("Any", "Done", "Open"), strict=False):
            yield {**choice, "display": text}


class TrashFilter(ClosedFilter):
    title = "trash"
    parameter_name = "trash"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("in", "In the trash"), ("all", "All")]

    def choices(self, changelist: ChangeList) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "Not in the trash"}, *others]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "all":
            # With a user, both halves have an index. Without one, reading the table is quicker.
            return queryset.anywhere() if "user_id__exact" in request.GET else queryset
        return queryset.trashed() if self.value() == "in" else queryset.alive()


class OwnerFilter(ClosedFilter):
    title = "user"
    parameter_name = "owner"

    def has_output(self) -> bool:
        """Hidden if there are no users to compare with."""
        return self.value() is not None or not people.problem()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("gone", "Unknown to Better Auth")]

    def choices(self, changelist: ChangeList) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "Any"}, *others]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() is None:
            return queryset
        try:
            gone = orphans.recently_gone()
        except NoPeople as problem:
            raise BadRequest(f"{problem} So this filter cannot be used.") from None
        if len(gone) > MAX_GONE:
            raise BadRequest(
                "Too many users with tasks are unknown to Better Auth for this filter: "
                f"{len(gone)}. Ask the operator whether its table of users is the right one."
            )
        return queryset.filter(user_id__in=gone)


class DueFilter(ClosedFilter):
    """Days and times are compared in the time zone of the browser."""

    title = "due date"
    parameter_name = "due"
    template = "admin/tasks/task/due.html"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self.clock = Clock.of(request)
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        monday, sunday = self.clock.week
        return [
            ("overdue", f"Overdue on {self.clock.today}"),
            ("week", f"Due this week, {monday} to {sunday}"),
            ("none", "No due date"),
        ]

    def choices(self, changelist: ChangeList) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "Any"}, *others]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value is None:
            return queryset
        if value == "none":
            return queryset.filter(due_day=None, due_at=None)
        matching, bounds = (
            self.clock.overdue() if value == "overdue" else self.clock.due_this_week()
        )
        if not request.GET.get(SEARCH_VAR):
            # With a search, the index would cost more than it saves.
            queryset = queryset.alias(due=DUE).filter(bounds)
        return queryset.filter(matching)


class TagFilter(admin.ListFilter):
    """One tag, ignoring case. A tag in the list is a link with this filter."""

    title = "tag"
    parameter_name = "tag"
    template = "admin/tasks/task/tag.html"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        text = str((params.pop(self.parameter_name, None) or [""])[-1]).strip()
        try:
            self.tag = TAG.validate_python(text) if text else ""
        except ValidationError as error:
            message = sentence(error.errors()[0])
            raise BadRequest(f"The filter tag {message}.") from error
        if self.tag:
            self.used_parameters[self.parameter_name] = self.tag

    def expected_parameters(self) -> list[Any]:
        return [self.parameter_name]

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: ChangeList) -> Any:
        name = self.parameter_name
        yield {
            "tag": self.tag,
            "others": [pair for pair in changelist.params.items() if pair[0] != name],
            "clear_url": changelist.get_query_string({name: None}),
        }

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.tagged(self.tag) if self.tag else queryset


class DateRangeFilter(admin.ListFilter):
    """Two days, both included, in the time zone of the browser.

    The libraries for this add inline scripts and styles, which the pages' security policy blocks.
    """

    template = "admin/tasks/task/date_range.html"
    field = ""

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.clock = Clock.of(request)
        for name in self.parameters():
            if values := params.pop(name, None):
                self.used_parameters[name] = values[-1]
        first, last = map(self._day, self.parameters())
        self.since = self.clock.midnight(first) if first else None
        end = last + timedelta(1) if last and last < date.max else None
        self.before = self.clock.midnight(end) if end else None

    @classmethod
    def parameters(cls) -> list[str]:
        return [f"{cls.field}_from", f"{cls.field}_to"]

    def expected_parameters(self) -> list[Any]:
        return self.parameters()

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: ChangeList) -> Any:
        names = self.parameters()
        yield {
            "days": [(name, self.used_parameters.get(name, "")) for name in names],
            "others": [pair for pair in changelist.params.items() if pair[0] not in names],
            "clear_url": changelist.get_query_string(remove=names),
            "is_set": any(self.used_parameters.values()),
            "zone": self.clock.zone,
        }

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        field = self.field
        if request.GET.get(SEARCH_VAR):
            # An expression keeps PostgreSQL from using the index of this column: combining it with
            # the index of words costs more than it saves.
            field = f"{field}_value"
            queryset = queryset.alias(**{field: Coalesce(self.field, Now())})
        if self.since:
            queryset = queryset.filter(**{f"{field}__gte": self.since})
        if self.before:
            queryset = queryset.filter(**{f"{field}__lt": self.before})
        return queryset

    def _day(self, name: str) -> date | None:
        text = str(self.used_parameters.get(name, ""))
        try:
            return date.fromisoformat(text) if text else None
        except ValueError as error:
            raise IncorrectLookupParameters(f"{name}: must be a date such as 2026-01-31") from error


class CreatedFilter(DateRangeFilter):
    title = "date created"
    field = "created_at"


class UpdatedFilter(DateRangeFilter):
    title = "date updated"
    field = "updated_at"
