"""The list of the trash: what was deleted last comes first.

The address of a page names a task by the three columns of the order, `p=<deleted_at>~<id>~<user>`,
so a later page costs no more than the first. Tasks that were deleted together are in the order of
their users, because the index is.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.contrib.auth.models import User
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q
from django.http import HttpRequest

from tasks.admin import people
from tasks.admin.clock import DAY
from tasks.admin.filters import ClosedFilter, DateRangeFilter
from tasks.admin.strict_list import is_id
from tasks.models import Deletion, Task

MAX_COUNTED = 100_000
NO_PAGE = "The address names a page that this list does not have."


@dataclass(frozen=True)
class Position:
    """Of a task in the order of the list."""

    deleted_at: datetime
    user_id: str
    id: int

    @classmethod
    def parse(cls, text: str) -> Self:
        try:
            time, pk, user_id = text.split("~", 2)
            deleted_at = datetime.fromisoformat(time).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise IncorrectLookupParameters(NO_PAGE) from error
        if not is_id(pk) or "\0" in user_id:
            raise IncorrectLookupParameters(NO_PAGE)
        return cls(deleted_at, user_id, int(pk))

    @classmethod
    def of(cls, task: Any) -> Self:
        return cls(task.deleted_at, task.user_id, task.pk)

    def __str__(self) -> str:
        return f"{self.deleted_at.isoformat()}~{self.id}~{self.user_id}"

    def page(self, tasks: Any, size: int) -> list[Task]:
        """The tasks behind it. Two queries, since each is a range of the index."""
        same = tasks.filter(deleted_at=self.deleted_at, user_id__lte=self.user_id).filter(
            Q(user_id__lt=self.user_id) | Q(pk__lt=self.id)
        )
        found = list(in_order(same)[:size])
        older = in_order(tasks.filter(deleted_at__lt=self.deleted_at))
        return found + list(older[: size - len(found)])


def in_order(tasks: Any) -> Any:
    return tasks.order_by("-deleted_at", "-user_id", "-pk")


class TrashChangeList(ChangeList):
    newer_url = older_url = ""
    is_newest_first = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "Trash"

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:
        return ["-deleted_at", "-user_id", "-pk"]

    def get_results(self, request: HttpRequest) -> None:
        matching, size = self.queryset.order_by(), self.list_per_page
        text = str(request.GET.get(PAGE_VAR, ""))
        position = Position.parse(text) if text else None
        rows = position.page(matching, size + 1) if position else in_order(matching)[: size + 1]
        page = list(rows)[:size]
        self.result_list = with_deleters(page)
        owners = people.owners({task.user_id for task in page})
        for task in page:
            task.owner_cell = owners.cell(task.user_id)
        self.people_found = getattr(request, "people_found", people.Found())
        self.people_problem = self.people_found.problem or owners.problem
        self.result_count = matching[: MAX_COUNTED + 1].count()
        self.first_url = self.get_query_string(remove=[PAGE_VAR]) if position else ""
        if len(rows) > size:
            self.older_url = self.get_query_string({PAGE_VAR: Position.of(page[-1])})
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(page)
        self.full_result_count = self.paginator = None
        self.user_id = self.params.get("user_id__exact", "")
        self.user_name = owners.name(self.user_id) if self.user_id else ""
        self.is_filtered = bool(self.has_active_filters or self.query or self.user_id)
        self.retention = retention()
        self.buttons = self.model_admin.buttons(request, self)  # type: ignore[attr-defined]
        self.all_users_url = self.get_query_string(remove=["user_id__exact", PAGE_VAR])

    @property
    def count_text(self) -> str:
        return f"{counted(self.result_count)} in the trash"


def counted(number: int) -> str:
    if number > MAX_COUNTED:
        return f"more than {MAX_COUNTED:,} tasks"
    return "1 task" if number == 1 else f"{number:,} tasks"


def with_deleters(page: list[Any]) -> list[Any]:
    """Adds to each task who deleted it: one query for all of them, and one for the staff."""
    deletions = Deletion.objects.in_bulk({task.deleted_at for task in page})
    staff = User.objects.in_bulk(
        {deletion.staff_id for deletion in deletions.values() if deletion.staff_id is not None}
    )
    for task in page:
        deletion = deletions.get(task.deleted_at)
        if deletion is None:
            task.deleted_by = "the user"
        elif deletion.staff_id is None:
            task.deleted_by = f"command: {deletion.command}"
        else:
            account = staff.get(deletion.staff_id)
            task.deleted_by = f"staff: {account.get_username() if account else deletion.staff_id}"
    return page


class DeletedFilter(DateRangeFilter):
    title = "day of deletion"
    field = "deleted_at"
    template = "admin/tasks/trash/days.html"

    def choices(self, changelist: ChangeList) -> Any:
        today = self.clock.today
        first, last = self.parameters()
        chosen = self.used_parameters.get(first, ""), self.used_parameters.get(last, "")
        for choice in super().choices(changelist):
            yield {
                **choice,
                "quick": [
                    {
                        "label": label,
                        "url": changelist.get_query_string(
                            {first: day, last: end}, remove=[PAGE_VAR]
                        ),
                        "selected": chosen == (str(day), str(end)),
                    }
                    for label, day, end in (
                        ("Today", today, today),
                        ("Yesterday", today - DAY, today - DAY),
                        ("Last 7 days", today - 6 * DAY, today),
                    )
                ],
            }


class DeletedByFilter(ClosedFilter):
    title = "who deleted"
    parameter_name = "by"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("user", "The user"), ("staff", "Staff"), ("command", "A command")]

    def choices(self, changelist: ChangeList) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "Anybody"}, *others]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "user":
                others = Deletion.objects.filter(deleted_at=OuterRef("deleted_at"))
                return queryset.filter(~Exists(others))
            case "staff":
                return queryset.filter(deleted_by(staff_id__isnull=False))
            case "command":
                return queryset.filter(deleted_by(staff_id__isnull=True))
        return queryset


def deleted_by(**kind: bool) -> Func:
    """The times as an array, so that PostgreSQL jumps to them in the index of the trash.

    With a subquery it would compare the times of all tasks in the trash, however many there are.
    """
    times = ArraySubquery(Deletion.objects.filter(**kind).values("deleted_at"))
    return Func(
        F("deleted_at"),
        times,
        template="%(expressions)s)",
        arg_joiner=" = ANY(",
        output_field=BooleanField(),
    )


def retention() -> timedelta:
    return timedelta(days=settings.TASKS_RETENTION_DAYS)
