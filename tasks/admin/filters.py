"""Filters of the task list: the trash, and ranges of days."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest


class TrashFilter(admin.SimpleListFilter):
    title = "trash"
    parameter_name = "trash"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("in", "In the trash"), ("all", "All")]

    def choices(self, changelist: ChangeList) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "Not in the trash"}, *others]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "all":
            return queryset
        return queryset.trashed() if self.value() == "in" else queryset.alive()


class DateRangeFilter(admin.ListFilter):
    """Two days, both included, in the time zone of the browser (see `staff.js`).

    The libraries for this add inline scripts and styles, which the pages' security policy blocks.
    """

    template = "admin/tasks/task/date_range.html"
    field = ""

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.zone = time_zone_of(request)
        for name in self.parameters():
            if values := params.pop(name, None):
                self.used_parameters[name] = values[-1]
        first, last = map(self._day, self.parameters())
        self.since = self._midnight(first) if first else None
        self.before = self._midnight(last + timedelta(1)) if last and last < date.max else None

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
            "zone": self.zone,
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

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone)


class CreatedFilter(DateRangeFilter):
    title = "date created"
    field = "created_at"


class UpdatedFilter(DateRangeFilter):
    title = "date updated"
    field = "updated_at"


def time_zone_of(request: HttpRequest) -> Any:
    try:
        return ZoneInfo(request.COOKIES.get("zone", "UTC"))
    except (KeyError, ValueError, OSError):
        return UTC
