"""The page of one user: counts, tasks, trash, and history."""

from datetime import UTC, datetime
from typing import Any, cast

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from tasks import history
from tasks.admin import people
from tasks.admin.action_views import ActionsMixin
from tasks.admin.clock import Clock
from tasks.admin.columns import MAX_SHOWN_TAGS, due_text, tag_links, time_text
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
MAX_COUNTED = 5000

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
        tab = request.GET.get("show", "tasks")
        try:
            rows, next_page = TABS[tab](user_id, request.GET.get("before", ""))
        except (KeyError, ValueError, OverflowError) as error:
            raise Http404 from error
        if tab != "history":
            clock = Clock.of(request)
            filters = {"user_id__exact": user_id, **({"trash": "in"} if tab == "trash" else {})}
            rows = [
                (task, due_text(task, clock), tag_links(task, filters, MAX_SHOWN_TAGS))
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
                "buttons": [
                    (action, BUTTONS[tab][action.name])
                    for action in self.allowed_actions(request)
                    if rows and action.name in BUTTONS.get(tab, {})
                ],
            },
        )


def _counts(user_id: str) -> list[str]:
    """Reads a bounded number of rows: beyond MAX_COUNTED it only says that there are more."""
    tasks = Task.objects.owned_by(user_id)
    complete = Count("pk", filter=Q(complete=True))
    alive = tasks.alive()[: MAX_COUNTED + 1].aggregate(total=Count("pk"), complete=complete)
    trash = tasks.trashed()[: MAX_COUNTED + 1].count()
    all_counted = alive["total"] <= MAX_COUNTED
    return [
        "1 task" if alive["total"] == 1 else f"{_bounded(alive['total'])} tasks",
        f"{alive['complete']} complete" if all_counted else "complete tasks not counted",
        f"{_bounded(trash)} in the trash",
    ]


def _bounded(number: int) -> str:
    return str(number) if number <= MAX_COUNTED else f"more than {MAX_COUNTED}"


def _alive(user_id: str, before: str) -> Page:
    return _page(Task.objects.owned_by(user_id).alive(), "created_at", before)


def _trash(user_id: str, before: str) -> Page:
    return _page(Task.objects.owned_by(user_id).trashed(), "deleted_at", before)


def _page(tasks: TaskQuerySet, column: str, before: str) -> Page:
    """Newest first, from a position in the index: a later page costs no more than the first."""
    if before:
        timestamp, _, pk = before.rpartition("~")
        at = datetime.fromisoformat(timestamp).astimezone(UTC)
        older = Q(**{f"{column}__lt": at}) | Q(**{column: at, "pk__lt": int(pk)})
        tasks = tasks.filter(older, **{f"{column}__lte": at})
    rows = list(tasks.order_by(f"-{column}", "-pk")[: PAGE_SIZE + 1])
    if len(rows) <= PAGE_SIZE:
        return rows, ""
    last = rows[PAGE_SIZE - 1]
    return rows[:PAGE_SIZE], f"{getattr(last, column).isoformat()}~{last.pk}"


def _history(user_id: str, before: str) -> Page:
    entries = history.of_owner(user_id).select_related("user")
    if before:
        entries = entries.filter(pk__lt=int(before))
    rows = list(entries[: PAGE_SIZE + 1])
    next_page = str(rows[PAGE_SIZE - 1].pk) if len(rows) > PAGE_SIZE else ""
    return history.lines(rows[:PAGE_SIZE]), next_page


TABS = {"tasks": _alive, "trash": _trash, "history": _history}
