"""The list of tasks, which stays quick on a table of millions: what it costs is bounded.

Tasks stand newest first, by id, and a page begins behind a task: `p=7` holds the tasks before 7,
`p=-7` those after it. So no page is dearer than the first, and none shifts when tasks are added.
Nothing is counted beyond COUNTED.

Without a search PostgreSQL walks down the primary key, or reads what an index narrows down: at
worst the table once. With a search there are two ways. Common words are soon found walking; rare
ones by their index. Which words are common, and where they stand, no estimate knows; so a short
walk comes first, and where it does not fill the page the index decides, without a walk.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR, ChangeList
from django.core.exceptions import BadRequest
from django.db import connection, transaction
from django.db.models import F, Max
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from tasks.models import MAX_ID, Task, TaskQuerySet

COUNTED = 1000
MAX_SHOWN = 100
SEARCH_LENGTH = 1000
WALK = 5000
"""How many ids a search walks before it turns to the index."""

# Titles are parsed a hundred times slower than a flag is compared: the index alone has to decide
# which match, and its result has to stay exact, which it does as long as there is memory for it.
BY_INDEX = """
    SELECT set_config('enable_seqscan', 'off', true), set_config('work_mem', '32MB', true),
           set_config('jit', 'off', true)
"""


class TaskChangeList(ChangeList):
    queryset: TaskQuerySet
    newer_url = older_url = ""

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:
        return ["-id"]

    def get_results(self, request: HttpRequest) -> None:
        key = max(-MAX_ID, min(self.page_num, MAX_ID)) if PAGE_VAR in request.GET else 0
        ids = self._ids(key)
        if key < 0 and len(ids) <= self.list_per_page:
            key = 0  # nothing is newer than this page, so it is the first
            ids = self._ids(key)
        page = sorted(ids[: self.list_per_page], reverse=True)
        self.result_list = list(self.root_queryset.filter(pk__in=page).order_by("-id"))
        self.result_count = len(ids) if key == 0 else COUNTED + 1
        if page and key:
            self.newer_url = self.get_query_string({PAGE_VAR: -page[0]})
        if page and (key < 0 or len(ids) > len(page)):
            self.older_url = self.get_query_string({PAGE_VAR: page[-1]})
        self.first_url = self.get_query_string() if key else ""
        self.everywhere_url = self.get_query_string({InTrash.parameter_name: "all"})
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(page)
        self.full_result_count = self.paginator = None

    @property
    def counted(self) -> str:
        """How many match, as far as that is known."""
        if self.result_count > COUNTED:
            return f"More than {COUNTED} tasks" if not self.first_url else ""
        return "1 task" if self.result_count == 1 else f"{self.result_count} tasks"

    def _ids(self, key: int) -> list[int]:
        most = self.list_per_page + 1 if key else COUNTED + 1
        found = self.queryset.order_by()
        if not self.query:
            return list(walked(found, key)[:most])
        end = abs(key) or self._newest()
        within = (end, end + WALK) if key < 0 else (end - WALK, end)
        ids = list(walked(found.filter(id__range=within), key)[:most])
        return ids if len(ids) > self.list_per_page else by_index(found, key, most)

    def _newest(self) -> int:
        """Where a walk begins: at the newest task, or at one of the last day looked for."""
        for spec in self.filter_specs:
            if isinstance(spec, CreatedRange) and (before := spec.before):
                last_day = Task.objects.filter(
                    created_at__gte=before - timedelta(1), created_at__lt=before
                )
                if newest := last_day.aggregate(newest=Max(F("id") + 0))["newest"]:
                    return int(newest)
        return Task.objects.order_by("-id").values_list("id", flat=True).first() or 0


def walked(tasks: TaskQuerySet, key: int) -> Any:
    if key > 0:
        tasks = tasks.filter(id__lt=key)
    if key < 0:
        tasks = tasks.filter(id__gt=-key)
    return tasks.order_by("id" if key < 0 else "-id").values_list("id", flat=True)


def by_index(tasks: Any, key: int, most: int) -> list[int]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(BY_INDEX)
        ids = list(placed(tasks, key)[:most])
        transaction.set_rollback(True)  # or the rest of the page would have these settings too
    return ids


def placed(tasks: Any, key: int) -> Any:
    """As `walked`, but the order is no reason to walk: it is that of an expression."""
    tasks = tasks.alias(place=F("id") + 0)
    if key > 0:
        tasks = tasks.filter(place__lt=key)
    if key < 0:
        tasks = tasks.filter(place__gt=-key)
    return tasks.order_by("place" if key < 0 else "-place").values_list("id", flat=True)


class InTrash(admin.SimpleListFilter):
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


class DateRange(admin.ListFilter):
    """Two days, both included, in the zone of the browser (see `staff.js`).

    The libraries for this put scripts and styles into the page.
    """

    template = "admin/tasks/task/date_range.html"
    field = ""

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.zone = zone_of(request)
        for name in self.expected_parameters():
            if values := params.pop(name, None):
                self.used_parameters[name] = values[-1]
        first, last = map(self._day, self.expected_parameters())
        self.since = self._midnight(first) if first else None
        self.before = self._midnight(last + timedelta(1)) if last and last < date.max else None

    def expected_parameters(self) -> list[Any]:
        return [f"{self.field}_from", f"{self.field}_to"]

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: ChangeList) -> Any:
        names = self.expected_parameters()
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
            # Out of reach of its index, which would cost more than it saves beside that of words.
            field = f"{field}_moment"
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
            raise IncorrectLookupParameters(f"{name}: must be a day as 2026-01-31") from error

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone)


class CreatedRange(DateRange):
    title = "created"
    field = "created_at"


class UpdatedRange(DateRange):
    title = "updated"
    field = "updated_at"


def zone_of(request: HttpRequest) -> Any:
    try:
        return ZoneInfo(request.COOKIES.get("zone", "UTC"))
    except (KeyError, ValueError, OSError):
        return UTC


def moment(name: str, title: str) -> Any:
    """A column whose time the browser shows in its own zone; without a script it stands in UTC."""

    @admin.display(description=title)
    def column(task: Task) -> str:
        at: datetime | None = getattr(task, name)
        if at is None:
            return "-"
        shown = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return format_html('<time datetime="{}">{}</time>', at.isoformat(), shown)

    column.__name__ = name
    return column


def is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_ID))


class StrictList(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable when it runs
    """A list that takes what its own links and forms send.

    Django would take any look-up that it can make of a name: regular expressions, and values that
    the database refuses.
    """

    lookups: frozenset[str] = frozenset()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not all(map(is_id, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            raise BadRequest("A row is selected by its id.")
        return super().changelist_view(request, extra_context)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        if lookup not in self.lookups:
            raise BadRequest(f"This list has no filter {lookup[:MAX_SHOWN]!a}.")
        if "\0" in value:
            raise BadRequest(f"The filter {lookup} must not contain the character NUL.")
        return True

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """Django makes a condition of each word, and each column."""
        if len(search_term) > SEARCH_LENGTH:
            raise BadRequest(f"A search has at most {SEARCH_LENGTH} characters.")
        return super().get_search_results(request, queryset, search_term)


class Listed(StrictList):
    """How tasks are found and shown in the list."""

    lookups = frozenset(
        {
            "complete__exact",
            "priority__exact",
            "user_id__exact",
            InTrash.parameter_name,
            *(f"{field}_{end}" for field in ("created_at", "updated_at") for end in ("from", "to")),
        }
    )
    list_display: Any = (
        "id",
        "title",
        "owner",
        "complete",
        "priority",
        moment("created_at", "created"),
        moment("updated_at", "updated"),
    )
    list_display_links = ("id", "title")
    list_filter = ("complete", "priority", InTrash, CreatedRange, UpdatedRange)
    search_fields = ("title",)
    search_help_text = "A task id, a user id, or words of the title: all of them, in any order."
    sortable_by = ()
    ordering = ("-id",)
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # would count the table for each choice

    class Media:
        css = {"all": ["tasks/staff.css"]}  # noqa: RUF012  Django's own form
        js = ("tasks/staff.js",)

    def get_list_display(self, request: HttpRequest) -> Any:
        if InTrash.parameter_name not in request.GET:
            return self.list_display
        return (*self.list_display, moment("deleted_at", "in the trash since"))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TaskChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        text = search_term.strip()
        return (queryset.found_by(text) if text else queryset), False
