"""The page of one user: counts, tasks, trash, and what staff changed about them."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tasks import history
from tasks.admin.run import Acting, address_of_owner, owner_in
from tasks.models import Task, TaskQuerySet

BUTTONS = {
    "tasks": {
        "complete": "Complete: all",
        "trash": "Move to the trash: all",
        "purge": "Delete for good: all",
    },
    "trash": {"restore": "Restore from the trash: all", "purge": "Empty the trash"},
}
"""By the part that is shown: what is done with all of it."""
PAGE = 100
MOST_COUNTED = 5000

Page = tuple[list[Any], str]
"""Rows, and where the next page begins; empty on the last one."""


class OwnerPage(Acting):
    @admin.display(description="user", ordering="user_id")
    def owner(self, task: Task) -> SafeString:
        return format_html('<a href="{}">{}</a>', address_of_owner(task.user_id), task.user_id)

    def get_urls(self) -> list[URLPattern]:
        page = path("owner/", self.admin_site.admin_view(self.owner_view), name="tasks_task_owner")
        return [page, *super().get_urls()]

    def owner_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        user_id = owner_in(request)
        part = request.GET.get("show", "tasks")
        try:
            rows, following = PARTS[part](user_id, request.GET.get("before", ""))
        except (KeyError, ValueError, OverflowError) as error:
            raise Http404 from error
        return TemplateResponse(
            request,
            "admin/tasks/task/owner.html",
            {
                **self.admin_site.each_context(request),
                "title": "User",
                "opts": self.opts,
                "media": self.media,
                "user_id": user_id,
                "part": part,
                "parts": list(PARTS),
                "rows": rows,
                "following": following,
                "counts": _counts(user_id),
                "buttons": [
                    (action, BUTTONS[part][action.name])
                    for action in self.allowed(request)
                    if rows and action.name in BUTTONS.get(part, {})
                ],
            },
        )


def _counts(user_id: str) -> dict[str, str]:
    """Each reads a bounded number of rows: of a user with very many it says only that."""
    tasks = Task.objects.owned_by(user_id)
    complete = Count("pk", filter=Q(complete=True))
    alive = tasks.alive()[: MOST_COUNTED + 1].aggregate(number=Count("pk"), complete=complete)
    trash = tasks.trashed()[: MOST_COUNTED + 1].count()
    many = alive["number"] > MOST_COUNTED
    return {
        "alive": _bounded(alive["number"]),
        "complete": "not counted" if many else str(alive["complete"]),
        "in the trash": _bounded(trash),
    }


def _bounded(number: int) -> str:
    return str(number) if number <= MOST_COUNTED else f"more than {MOST_COUNTED}"


def _alive(user_id: str, before: str) -> Page:
    return _page(Task.objects.owned_by(user_id).alive(), "created_at", before)


def _trash(user_id: str, before: str) -> Page:
    return _page(Task.objects.owned_by(user_id).trashed(), "deleted_at", before)


def _page(tasks: TaskQuerySet, column: str, before: str) -> Page:
    """Newest first, from a place in the index on: a later page costs no more than the first."""
    if before:
        moment, _, pk = before.rpartition("~")
        at = datetime.fromisoformat(moment).astimezone(UTC)
        after_it = Q(**{f"{column}__lt": at}) | Q(**{column: at, "pk__lt": int(pk)})
        tasks = tasks.filter(after_it, **{f"{column}__lte": at})
    rows = list(tasks.order_by(f"-{column}", "-pk")[: PAGE + 1])
    if len(rows) <= PAGE:
        return rows, ""
    last = rows[PAGE - 1]
    return rows[:PAGE], f"{getattr(last, column).isoformat()}~{last.pk}"


def _history(user_id: str, before: str) -> Page:
    entries = history.of_owner(user_id).select_related("user")
    if before:
        entries = entries.filter(pk__lt=int(before))
    rows = list(entries[: PAGE + 1])
    return history.lines(rows[:PAGE]), str(rows[PAGE - 1].pk) if len(rows) > PAGE else ""


PARTS = {"tasks": _alive, "trash": _trash, "history": _history}
