"""What the list shows, as a file that is sent once it is complete.

A failure midway is then a page that says so, and not a file that lacks its end. It is read in
batches by key, each in a transaction of its own: PgBouncer in transaction mode may give each of
them another connection. Rows are written as they are when their batch is read, oldest first.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO, Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.urls import path, reverse
from django.utils import timezone

from tasks import exchange
from tasks.limits import ConcurrencyLimit, Unavailable, limited, suspended
from tasks.models import TaskQuerySet

BATCH = 2000
EXPORTS = ConcurrencyLimit(2)
"""Of files that are made at once: one that is sent does not count."""


class TooManyExports(Unavailable):
    reason = "too_many_exports"
    title = "Two exports are being made already"
    sentence = (
        "This server makes two at a time. Go back and try again in half a minute, or ask for fewer "
        "tasks by a filter."
    )
    retry_after = 30


class NoRoom(Unavailable):
    reason = "no_room"
    title = "The file could not be written"
    sentence = (
        "The server has no room for temporary files, or may not write them. Ask for fewer tasks by "
        "a filter, or tell whoever operates this service."
    )
    retry_after = 60


class Download(FileResponse):
    block_size = 64 * 1024


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
        with EXPORTS.slot(TooManyExports), suspended(request):
            file = written(tasks, form)
        return Download(
            file,
            as_attachment=True,
            filename=f"tasks-{timezone.now():%Y-%m-%d-%H%M}.{form}",
            content_type=exchange.MEDIA_TYPES[form],
        )


def written(tasks: TaskQuerySet, form: exchange.Format) -> IO[bytes]:
    with ExitStack() as unless_complete:
        try:
            file = unless_complete.enter_context(TemporaryFile())
            file.writelines(line.encode() for line in exchange.lines(rows(tasks), form))
            file.seek(0)
        except OSError as error:
            raise NoRoom from error
        unless_complete.pop_all()
    return file


def rows(tasks: TaskQuerySet) -> Iterator[tuple[Any, ...]]:
    last, length = 0, BATCH
    while length == BATCH:
        found = tasks.filter(pk__gt=last).order_by("pk").values_list(*exchange.FIELDS)
        with limited():
            batch = list(found[:BATCH])
        yield from batch
        length = len(batch)
        last = batch[-1][0] if batch else last
