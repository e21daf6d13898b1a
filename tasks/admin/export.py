"""Exports what the list shows to a file, which is sent only when it is complete.

So if reading fails midway, staff get an error page instead of a truncated file. Rows are read
oldest first, in batches by key, each in a separate transaction: PgBouncer in transaction mode may
use another connection for each. A row is exported as it is when its batch is read.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO, Any, cast

from django.contrib import admin
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR, SEARCH_VAR
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import path
from django.utils import timezone

from tasks import exchange, history
from tasks.admin import people
from tasks.limits import ConcurrencyLimit, Unavailable, limited, suspended
from tasks.models import TaskQuerySet

BATCH_SIZE = 2000
EXPORTS = ConcurrencyLimit(2)
"""Limits how many files are written at the same time. Sending them is not limited."""


class TooManyExports(Unavailable):
    reason = "too_many_exports"
    title = "Two exports are already running"
    sentence = (
        "This server runs two exports at a time. Go back and try again in half a minute, or use a "
        "filter to export fewer tasks."
    )
    retry_after = 30


class NoSpace(Unavailable):
    reason = "no_room"
    title = "The file could not be written"
    sentence = (
        "The server has no space for temporary files, or no permission to write them. Use a filter "
        "to export fewer tasks, or contact the operator of this service."
    )
    retry_after = 60


class Download(FileResponse):
    block_size = 64 * 1024


class ExportMixin(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable at run time
    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path(
                f"export.{file_format}",
                view(self.export),
                {"file_format": file_format},
                name=f"tasks_task_export_{file_format}",
            )
            for file_format in exchange.FORMATS
        ] + super().get_urls()

    def has_export_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("tasks.export_task"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        context = {"has_export_permission": self.has_export_permission(request)}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def export(self, request: HttpRequest, file_format: exchange.Format) -> HttpResponseBase:
        """Has the same parameters as the list."""
        if not (self.has_view_permission(request) and self.has_export_permission(request)):
            raise PermissionDenied
        tasks: Any = self.get_changelist_instance(request).queryset
        with EXPORTS.slot(TooManyExports), suspended(request):
            file, number = write_file(tasks, file_format)
        history.exported(cast("int", request.user.pk), number, file_format, filters_of(request))
        return Download(
            file,
            as_attachment=True,
            filename=f"tasks-{timezone.now():%Y-%m-%d-%H%M}.{file_format}",
            content_type=exchange.MEDIA_TYPES[file_format],
        )


def filters_of(request: HttpRequest) -> dict[str, str]:
    """The filters, for the history, which names users by id, never by e-mail address or name."""
    filters = {
        name.removesuffix("__exact"): str(text)
        for name, text in request.GET.items()
        if name not in (PAGE_VAR, ERROR_FLAG, SEARCH_VAR) and text
    }
    users = [filters.pop("user_id")] if "user_id" in filters else []
    if text := request.GET.get(SEARCH_VAR, "").strip():
        found = getattr(request, "people_found", people.Found()).ids
        users += found
        if not found:
            filters["search"] = "an e-mail address" if "@" in text else text
    return filters | ({"user" if len(users) == 1 else "users": ", ".join(users)} if users else {})


def write_file(tasks: TaskQuerySet, file_format: exchange.Format) -> tuple[IO[bytes], int]:
    """The file, and the number of its tasks."""
    number = 0

    def counted() -> Iterator[tuple[Any, ...]]:
        nonlocal number
        for row in read_rows(tasks):
            number += 1
            yield row

    with ExitStack() as unless_complete:
        try:
            file = unless_complete.enter_context(TemporaryFile())
            file.writelines(line.encode() for line in exchange.lines(counted(), file_format))
            file.seek(0)
        except OSError as error:
            raise NoSpace from error
        unless_complete.pop_all()
    return file, number


def read_rows(tasks: TaskQuerySet) -> Iterator[tuple[Any, ...]]:
    last_id, length = 0, BATCH_SIZE
    while length == BATCH_SIZE:
        rest = tasks.filter(pk__gt=last_id).order_by("pk").values_list(*exchange.COLUMNS)
        with limited():
            batch = list(rest[:BATCH_SIZE])
        yield from batch
        length = len(batch)
        last_id = batch[-1][0] if batch else last_id
