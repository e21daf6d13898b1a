"""What the list shows, as a file: streamed, in batches by key.

Each batch is a statement of its own. So no transaction stays open while a slow client reads, and
PgBouncer in transaction mode may give each of them another connection. Rows are written as they are
when their batch is read, oldest first.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.urls import path, reverse
from django.utils import timezone

from tasks import exchange
from tasks.models import TaskQuerySet

BATCH = 2000
PIECE = 200


class Exported(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable when it runs
    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path(
                f"export.{form}",
                view(self.export),
                {"form": form},
                name=f"tasks_task_export_{form}",
            )
            for form in exchange.FORMATS
        ] + super().get_urls()

    def has_export_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("tasks.export_task"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        may = {"has_export_permission": self.has_export_permission(request)}
        return super().changelist_view(request, {**may, **(extra_context or {})})

    def export(self, request: HttpRequest, form: exchange.Format) -> HttpResponseBase:
        """Takes the parameters of the list."""
        if not (self.has_view_permission(request) and self.has_export_permission(request)):
            raise PermissionDenied
        try:
            tasks: Any = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(f"{reverse('admin:tasks_task_changelist')}?e=1")
        name = f"tasks-{timezone.now():%Y-%m-%d-%H%M}.{form}"
        return StreamingHttpResponse(
            pieces(tasks, form),
            content_type=exchange.MEDIA_TYPES[form],
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


def pieces(tasks: TaskQuerySet, form: exchange.Format) -> Iterator[str]:
    """Many lines at once: each piece has its price in the server."""
    lines = exchange.lines(rows(tasks), form)
    while piece := "".join(islice(lines, PIECE)):
        yield piece


def rows(tasks: TaskQuerySet) -> Iterator[tuple[Any, ...]]:
    last, length = 0, BATCH
    while length == BATCH:
        found = tasks.filter(pk__gt=last).order_by("pk")
        batch = list(found.values_list(*exchange.FIELDS)[:BATCH])
        yield from batch
        length = len(batch)
        last = batch[-1][0] if batch else last
