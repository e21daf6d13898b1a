"""The page of one user: counts, tasks, trash, and history."""

from datetime import UTC, datetime
from typing import Any, cast

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from tasks import history
from tasks.admin import counting, people
from tasks.admin.action_views import ActionsMixin
from tasks.admin.actions import Action
from tasks.admin.clock import Clock
from tasks.admin.columns import (
    MAX_SHOWN_TAGS,
    due_text,
    status_text,
    tag_links,
    time_text,
    title_column,
)
from tasks.admin.owner_url import owner_of
from tasks.models import Task, TaskQuerySet

BUTTONS = {
    "tasks": {
        "complete": "Complete all",
        "trash": "Move all to the trash",
        "purge": "Delete all permanently",
    },
    "trash": {"restore": "Restore all", "purge": "Empty the trash"},
}
"""Tab -> action -> label of its button. The action is on all tasks of the tab."""
PAGE_SIZE = 100
OLDEST = "oldest"

Page = tuple[list[Any], str]
"""Rows, and the `before` parameter of the next page, which is empty on the last page."""


class OwnerPageMixin(ActionsMixin):
    @admin.display(description="user", ordering="user_id")
    def owner(self, task: Task) -> SafeString:
        """In lists, `get_results` has looked up all owners at once."""
        if cell := getattr(task, "owner_cell", None):
            return cast("SafeString", cell)
        return people.owners([task.user_id]).cell(task.user_id)

    def get_urls(self) -> list[URLPattern]:
        page = path("owner/", self.admin_site.admin_view(self.owner_view), name="tasks_task_owner")
        return [page, *super().get_urls()]

    def owner_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        user_id = owner_of(request)
        owners = people.owners([user_id])
        person = owners.people.get(user_id)
        tab, sort = request.GET.get("show", "tasks"), request.GET.get("sort", "")
        if sort not in SORTS.get(tab, ()):
            raise Http404
        is_oldest_first = sort == OLDEST
        try:
            rows, next_page = TABS[tab](user_id, request.GET.get("before", ""), is_oldest_first)
        except (ValueError, OverflowError) as error:
            raise Http404 from error
        actions = self.allowed_actions(request) if rows and tab in BUTTONS else []
        if tab != "history":
            clock = Clock.of(request)
            filters = {"user_id__exact": user_id, **({"trash": "in"} if tab == "trash" else {})}
            rows = [
                (
                    task,
                    title_column(task),
                    status_text(task),
                    due_text(task, clock),
                    tag_links(task, filters, MAX_SHOWN_TAGS),
                )
                for task in rows
            ]
        return TemplateResponse(
            request,
            "admin/tasks/task/owner.html",
            {
                **self.admin_site.each_context(request),
                "title": "User",
                "person": person,
                "picture": people.picture(person) if person else "",
                "since": time_text(person.since) if person and person.since else "",
                "ban_expires": time_text(person.ban_expires)
                if person and person.ban_expires
                else "",
                "people_problem": owners.problem,
                "opts": self.opts,
                "media": self.media,
                "user_id": user_id,
                "tab": tab,
                "tabs": list(TABS),
                "rows": rows,
                "next_page": next_page,
                "counts": _counts(user_id),
                "oldest_first": is_oldest_first,
                "buttons": [
                    (action, BUTTONS[tab][action.name])
                    for action in actions
                    if action.name in BUTTONS[tab]
                ],
                "row_actions": [action for action in actions if is_for_tab(action, tab)],
            },
        )


def is_for_tab(action: Action, tab: str) -> bool:
    """Whether it can change a task that the tab shows."""
    return (
        action.in_trash and action.name != "trash" if tab == "trash" else action.name != "restore"
    )


def _counts(user_id: str) -> list[str]:
    """PostgreSQL estimates what it cannot count quickly."""
    tasks = Task.objects.owned_by(user_id)
    alive = tasks.alive()
    total, done, trash = counting.counts(alive, alive.filter(complete=True), tasks.trashed())
    return [total.tasks, f"{done} done", f"{trash} in the trash"]


def _alive(user_id: str, before: str, is_oldest_first: bool) -> Page:
    tasks = Task.objects.owned_by(user_id).alive()
    return _page(tasks, "created_at", before, is_oldest_first=is_oldest_first)


def _trash(user_id: str, before: str, is_oldest_first: bool) -> Page:
    tasks = Task.objects.owned_by(user_id).trashed()
    return _page(tasks, "deleted_at", before, is_oldest_first=is_oldest_first)


def _page(tasks: TaskQuerySet, column: str, before: str, *, is_oldest_first: bool) -> Page:
    """From a position in the index: a later page costs no more than the first."""
    sign, after = ("", "gt") if is_oldest_first else ("-", "lt")
    if before:
        timestamp, _, pk = before.rpartition("~")
        at = datetime.fromisoformat(timestamp).astimezone(UTC)
        beyond = Q(**{f"{column}__{after}": at}) | Q(**{column: at, f"pk__{after}": int(pk)})
        tasks = tasks.filter(beyond, **{f"{column}__{after}e": at})
    rows = list(tasks.order_by(f"{sign}{column}", f"{sign}pk")[: PAGE_SIZE + 1])
    if len(rows) <= PAGE_SIZE:
        return rows, ""
    last = rows[PAGE_SIZE - 1]
    return rows[:PAGE_SIZE], f"{getattr(last, column).isoformat()}~{last.pk}"


def _history(user_id: str, before: str, _: bool) -> Page:
    entries = history.of_owner(user_id).select_related("user")
    if before:
        entries = entries.filter(pk__lt=int(before))
    rows = list(entries[: PAGE_SIZE + 1])
    next_page = str(rows[PAGE_SIZE - 1].pk) if len(rows) > PAGE_SIZE else ""
    return history.lines(rows[:PAGE_SIZE]), next_page


SORTS = {"tasks": ("", OLDEST), "trash": ("", OLDEST), "history": ("",)}
TABS = {"tasks": _alive, "trash": _trash, "history": _history}
