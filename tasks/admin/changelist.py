"""The list of tasks. It stays fast on a table of millions because what it reads is bounded.

Tasks are listed newest first, by id, and the address of a page names a task: `p=7` lists the tasks
before 7, `p=-7` those after it. So no page costs more than the first, and none shifts when tasks
are added. The list reads up to MAX_COUNTED ids, and PostgreSQL counts beyond that for a short time.

Without a search, PostgreSQL scans the primary key, or reads what an index narrows down: at worst it
reads the table once. A search has two ways. A scan of the newest ids soon fills a page with common
words; the index of words is better for rare ones. No estimate knows which words are common, and
where they occur. So a short scan comes first, and if it does not fill the page, the index is used
without a scan.
"""

from datetime import timedelta
from time import monotonic
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ERROR_FLAG, ORDER_VAR, PAGE_VAR, ChangeList
from django.core.exceptions import BadRequest
from django.db import connection, transaction
from django.db.models import F, Max
from django.http import HttpRequest

from tasks.admin import counting, people
from tasks.admin.clock import Clock
from tasks.admin.columns import (
    MAX_SHOWN_TAGS,
    due_column,
    id_column,
    status_column,
    tags_column,
    time_column,
    title_column,
)
from tasks.admin.filters import (
    CreatedFilter,
    DueFilter,
    OwnerFilter,
    StatusFilter,
    TagFilter,
    TrashFilter,
    UpdatedFilter,
)
from tasks.admin.sorting import NEWEST, SortFilter, heading, in_order, order_of
from tasks.admin.strict_list import StrictListMixin, limit_search
from tasks.models import MAX_ID, Priority, Task, TaskQuerySet

MAX_COUNTED = 1000
SCAN_RANGE = 2000
"""How many ids a search scans before it uses the index."""

# PostgreSQL underestimates how many tasks have several words. It would find them all by the index,
# rather than read the few ids of the range.
SCAN_SETTINGS = "SELECT set_config('enable_bitmapscan', 'off', true)"
# Parsing a text costs a hundred times as much as comparing a flag. So the index alone must decide
# which tasks match, and it needs enough memory, or its result is inexact and texts are rechecked.
INDEX_SETTINGS = """
    SELECT set_config('enable_seqscan', 'off', true), set_config('work_mem', '32MB', true),
           set_config('jit', 'off', true)
"""


class TaskChangeList(ChangeList):
    queryset: TaskQuerySet
    newer_url = older_url = ""
    is_scanned_in_part = False
    """Whether a search has filled the page from the newest ids, and older tasks may match too."""
    count_text = ""
    """How many tasks match. Empty on later pages, which do not count them."""

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:
        if ORDER_VAR in self.params:
            raise BadRequest(
                f"This list has no parameter {ORDER_VAR}: to sort, click the title of a column."
            )
        return ["-id"]

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.order = order_of(request)
        tasks: Any = super().get_queryset(request, *args, **kwargs)
        return in_order(tasks, self.order)

    def get_results(self, request: HttpRequest) -> None:
        key = max(-MAX_ID, min(self.page_num, MAX_ID)) if PAGE_VAR in request.GET else 0
        start = monotonic()
        ids = self._ids(key)
        seconds = monotonic() - start
        if key < 0 and len(ids) <= self.list_per_page:
            key = 0  # nothing is newer than this page, so it is the first
            ids = self._ids(key)
        page = ids[: self.list_per_page]
        if key < 0:
            page.reverse()
        by_id = self.root_queryset.in_bulk(page)
        self.result_list = [by_id[pk] for pk in page if pk in by_id]
        owners = people.owners({task.user_id for task in self.result_list})
        for task in self.result_list:
            task.owner_cell = owners.cell(task.user_id)
        self.people_found = getattr(request, "people_found", people.Found())
        self.people_problem = self.people_found.problem or owners.problem
        self.result_count = len(ids) if key == 0 else MAX_COUNTED + 1
        if key == 0:
            self.count_text = self._count(ids, seconds).tasks
        if page and key:
            self.newer_url = self.get_query_string({PAGE_VAR: -page[0]})
        if page and (key < 0 or len(ids) > len(page)):
            self.older_url = self.get_query_string({PAGE_VAR: page[-1]})
        self.first_url = self.get_query_string() if key else ""
        self.is_newest_first = self.order is NEWEST
        self.unsorted_url = self.get_query_string({SortFilter.parameter_name: None})
        self.with_trash_url = self.get_query_string({TrashFilter.parameter_name: "all"})
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(page)
        self.full_result_count = self.paginator = None

    def _count(self, ids: list[int], seconds: float) -> counting.Number:
        """seconds: how long it took to find these ids. Counting all of them takes longer."""
        if len(ids) <= MAX_COUNTED and not self.is_scanned_in_part:
            return counting.Number(len(ids))
        is_slow = seconds * 1000 > counting.MILLISECONDS
        number = counting.estimate if is_slow else counting.count
        return number(self.queryset, at_least=len(ids))

    def _ids(self, key: int) -> list[int]:
        limit = self.list_per_page + 1 if key else MAX_COUNTED + 1
        matching = self.queryset.order_by()
        if not self.query:
            in_order = ids_by_key if self.order is NEWEST else self.order.ids
            return list(in_order(matching, key)[:limit])
        end = abs(key) or self._newest()
        id_range = (end, end + SCAN_RANGE) if key < 0 else (end - SCAN_RANGE, end)
        ids = _read(ids_by_key(matching.filter(id__range=id_range), key)[:limit], SCAN_SETTINGS)
        self.is_scanned_in_part = len(ids) > self.list_per_page
        if self.is_scanned_in_part:
            return ids
        return _read(ids_by_expression(matching, key)[:limit], INDEX_SETTINGS)

    def _newest(self) -> int:
        """Where a scan begins: at the newest task, or at one of the last day of the filter."""
        for spec in self.filter_specs:
            if isinstance(spec, CreatedFilter) and (before := spec.before):
                last_day = Task.objects.filter(
                    created_at__gte=before - timedelta(1), created_at__lt=before
                )
                # `+ 0` keeps PostgreSQL from scanning the primary key for it.
                if newest := last_day.aggregate(newest=Max(F("id") + 0))["newest"]:
                    return int(newest)
        return Task.objects.order_by("-id").values_list("id", flat=True).first() or 0


def ids_by_key(tasks: TaskQuerySet, key: int) -> Any:
    """Ids on the page with this key and beyond it, in the order of the primary key."""
    if key > 0:
        tasks = tasks.filter(id__lt=key)
    if key < 0:
        tasks = tasks.filter(id__gt=-key)
    return tasks.order_by("id" if key < 0 else "-id").values_list("id", flat=True)


def ids_by_expression(tasks: Any, key: int) -> Any:
    """As `ids_by_key`, but sorted by an expression, so that the primary key is not scanned."""
    tasks = tasks.alias(position=F("id") + 0)
    if key > 0:
        tasks = tasks.filter(position__lt=key)
    if key < 0:
        tasks = tasks.filter(position__gt=-key)
    return tasks.order_by("position" if key < 0 else "-position").values_list("id", flat=True)


def _read(ids: Any, settings: str) -> list[int]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(settings)
        found = list(ids)
        transaction.set_rollback(True)  # or the rest of the page would have these settings too
    return found


class TaskListMixin(StrictListMixin):
    """How tasks are found and shown in the list."""

    lookups = frozenset(
        {
            "complete__exact",
            "priority__exact",
            "user_id__exact",
            SortFilter.parameter_name,
            TrashFilter.parameter_name,
            DueFilter.parameter_name,
            TagFilter.parameter_name,
            OwnerFilter.parameter_name,
            *CreatedFilter.parameters(),
            *UpdatedFilter.parameters(),
        }
    )
    values = {  # noqa: RUF012  Django's own form
        "complete__exact": ("1", "0"),
        "priority__exact": Priority.values,
    }
    list_display: Any = ("owner", status_column, "priority")
    list_filter = (
        DueFilter,
        TagFilter,
        ("complete", StatusFilter),
        "priority",
        SortFilter,
        TrashFilter,
        OwnerFilter,
        CreatedFilter,
        UpdatedFilter,
    )
    search_fields = ("title",)
    search_help_text = (
        "Enter a task id, a user id, a tag, or words of title and description, or how they begin "
        "(3 letters or more). All words must match, in any order."
    )
    sortable_by = ()
    ordering = ("-id",)
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # would count the table for each choice

    class Media:
        css = {"all": ["tasks/staff.css"]}  # noqa: RUF012  Django's own form

    def get_list_display(self, request: HttpRequest) -> Any:
        """The due date depends on the browser's day, and the links of tags keep the filters."""
        left_out = (PAGE_VAR, ERROR_FLAG)
        filters = {name: texts for name, texts in request.GET.lists() if name not in left_out}
        columns = (
            id_column(heading(request, "id", "Id")),
            title_column,
            *self.list_display,
            due_column(Clock.of(request), heading(request, "due", "Due")),
            tags_column(filters, MAX_SHOWN_TAGS),
            time_column("created_at", "created"),
            time_column("updated_at", "updated"),
        )
        if TrashFilter.parameter_name not in request.GET:
            return columns
        title = heading(request, "deleted", "In the trash since")
        return (*columns, time_column("deleted_at", title))

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        return list_display[:2]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TaskChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        text = search_term.strip()
        if not text:
            return queryset, False
        limit_search(text)  # PostgreSQL takes the query for words apart by recursion
        found = people.find(text)
        request.people_found = found  # type: ignore[attr-defined] # for the page of the list
        return queryset.found_by(text, found.ids), False
