"""The trash as a place of its own, with buttons for all that it shows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.db.models import Q
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tasks.admin import people, scope
from tasks.admin.action_views import ActionsMixin
from tasks.admin.actions import Action
from tasks.admin.audit import AuditedListMixin
from tasks.admin.clock import Clock
from tasks.admin.columns import time_text
from tasks.admin.filters import OwnerFilter
from tasks.admin.run import ActionRun, signed
from tasks.admin.scope import Scope
from tasks.admin.strict_list import StrictListMixin, is_id
from tasks.admin.trash_list import (
    DeletedByFilter,
    DeletedFilter,
    TrashChangeList,
    counted,
    retention,
)
from tasks.models import Task, Trash

ACTION_NAMES = ("restore", "purge")


@dataclass(frozen=True)
class Button:
    """progress: if there is one, the action runs without asking for confirmation."""

    action: Action
    label: str
    progress: str


@admin.register(Trash)
class TrashAdmin(AuditedListMixin, ActionsMixin, StrictListMixin):
    """Has only a list. Its permissions are those of tasks."""

    lookups = frozenset(
        {
            "user_id__exact",
            DeletedByFilter.parameter_name,
            OwnerFilter.parameter_name,
            *DeletedFilter.parameters(),
        }
    )
    list_display: Any = ("task_link", "title", "deleted", "who")
    list_display_links = None
    list_filter = (DeletedFilter, DeletedByFilter, OwnerFilter)
    search_fields = ("user_id",)
    search_help_text = "Enter a user id or a task id."
    sortable_by = ()
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    class Media:
        css = {"all": ["tasks/staff.css", "tasks/trash.css"]}  # noqa: RUF012  Django's own form

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name="tasks_trash_changelist")]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("tasks.view_task"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("tasks.delete_task"))

    def allowed_actions(self, request: HttpRequest) -> list[Action]:
        return [
            action for action in super().allowed_actions(request) if action.name in ACTION_NAMES
        ]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        return {name: action for name, action in actions.items() if name in ACTION_NAMES}

    def scope_of(self, request: HttpRequest) -> Scope:
        return scope.of_filter(request, in_trash=True)

    def get_queryset(self, request: HttpRequest) -> Any:
        return Trash.objects.trashed()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TrashChangeList

    def get_list_display(self, request: HttpRequest) -> Any:
        """The user is a column unless all tasks are of one. Their links keep the filters."""
        filters = {name: texts for name, texts in request.GET.lists() if name != PAGE_VAR}
        clock = Clock.of(request)
        user = () if "user_id__exact" in filters else (user_column(filters),)
        return ("task_link", "title", *user, "deleted", "who", gone_column(clock))

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """Titles are found in the list of tasks, whose search has an index for them."""
        text = search_term.strip()
        if not text:
            return queryset, False
        super().get_search_results(request, queryset.none(), text)  # checks the length
        found = people.find(text)
        request.people_found = found  # type: ignore[attr-defined] # for the page of the list
        matches = Q(user_id__in=[text, *found.ids])
        if is_id(text):
            matches |= Q(pk=int(text))
        return queryset.filter(matches), False

    def buttons(self, request: HttpRequest, cl: TrashChangeList) -> list[Button]:
        """For everything that the list shows. They name the number.

        What belonged to one user is restored without another page, since the button says it all.
        """
        if not cl.result_list:
            return []
        number = counted(cl.result_count)
        these = "this task" if cl.result_count == 1 else f"these {number}"
        labels = (
            {"restore": f"Restore {these}", "purge": f"Delete {these} permanently"}
            if cl.is_filtered
            else {"purge": f"Empty the trash: {number}"}
        )
        return [
            Button(action, labels[action.name], self._progress(request, cl, action))
            for action in self.allowed_actions(request)
            if action.name in labels
        ]

    def _progress(self, request: HttpRequest, cl: TrashChangeList, action: Action) -> str:
        if action.permanent or not cl.user_id:
            return ""
        return signed(
            request, action, ActionRun(action=action, tasks=cl.queryset, return_url="").count()
        )

    @admin.display(description="task")
    def task_link(self, task: Task) -> SafeString:
        url = reverse("admin:tasks_task_change", args=[task.pk])
        return format_html('<a href="{}">{}</a>', url, task.pk)

    @admin.display(description="deleted")
    def deleted(self, task: Task) -> SafeString | str:
        return time_text(task.deleted_at) if task.deleted_at else "-"

    @admin.display(description="by")
    def who(self, task: Any) -> str:
        return str(task.deleted_by)


def user_column(filters: Mapping[str, Iterable[str]]) -> Any:
    @admin.display(description="user")
    def user(task: Any) -> SafeString:
        only = urlencode({**filters, "user_id__exact": task.user_id}, doseq=True)
        return format_html(
            '{} <a class="only" href="?{}" aria-label="Only the trash of {}">only</a>',
            task.owner_cell,
            only,
            task.user_id,
        )

    return user


def gone_column(clock: Clock) -> Any:
    """The first day on which `purge_tasks` deletes the task."""

    @admin.display(description="gone on")
    def gone_on(task: Any) -> str:
        day = (task.deleted_at + retention()).astimezone(clock.zone).date()
        days = (day - clock.today).days
        if days < 0:
            return f"{day} (overdue)"
        return f"{day} ({'today' if days == 0 else 'tomorrow' if days == 1 else f'in {days} days'})"

    return gone_on
