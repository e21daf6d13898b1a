"""The page of an action: the tasks that it has changed, and a button that undoes it."""

from dataclasses import dataclass, replace
from typing import Any

from django.contrib.admin.models import LogEntry
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import Count, Max
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from authjwt.wording import count
from tasks import history
from tasks.admin import people
from tasks.admin.action_views import ActionsMixin
from tasks.admin.run import BATCH_SIZE, Progress, Run, plural, respond
from tasks.admin.strict_list import is_id
from tasks.limits import limited
from tasks.models import MAX_ID, ChangedTask
from tasks.undo import moves_trash, rest_of, undo

PAGE_SIZE = 100


@dataclass(frozen=True)
class Undo:
    name = "undo"
    label = history.LABELS["undo"]
    permanent = False


@dataclass(frozen=True, kw_only=True)
class UndoRun(Run):
    """The ids of its progress are those of `ChangedTask`."""

    entry: LogEntry

    def count(self, max_id: int = MAX_ID) -> Progress:
        rows = rest_of(self.entry.pk).filter(pk__lte=max_id)
        counts = rows.aggregate(total=Count("pk"), max_id=Max("pk"))
        return Progress(counts["total"], counts["max_id"] or 0)

    def run_batch(self, staff_id: int, progress: Progress) -> Progress | None:
        bulk = history.Bulk(
            self.action.name,
            "changed back",
            self._filters(),
            progress.entry_id,
            progress.changed,
            self.entry.pk,
        )
        with limited():
            rest = rest_of(self.entry.pk).filter(pk__gt=progress.last_id, pk__lte=progress.max_id)
            rows = list(rest.order_by("pk")[:BATCH_SIZE])
            if not rows:
                return None
            done = undo(staff_id, self.entry, rows, bulk)
        return replace(
            progress,
            last_id=rows[-1].pk,
            changed=progress.changed + done.changed,
            unchanged=progress.unchanged + done.changed_since,
            skipped=progress.skipped + done.gone,
            entry_id=bulk.entry_id,
        )

    def _filters(self) -> dict[str, str]:
        (line,) = history.lines([self.entry])
        return {"user": line.owner} if line.owner else {}

    def result(self, progress: Progress) -> list[str]:
        if not progress.processed:
            return ["Nothing was changed: this action has been undone already."]
        sentences = [f"{count(progress.changed, 'task')} changed back."]
        if since := progress.unchanged:
            have, were = plural(since, "has", "have"), plural(since, "was", "were")
            left = plural(since, "it was", "they were")
            sentences.append(
                f"{count(since, 'task')} {have} changed since and {were} left as {left}."
            )
        if gone := progress.skipped:
            sentences.append(f"{gone} no longer {plural(gone, 'exists', 'exist')}.")
        return sentences


class UndoMixin(ActionsMixin):
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.action_view)
        return [path("action/<entry_id>/", view, name="tasks_task_action"), *super().get_urls()]

    def action_view(self, request: HttpRequest, entry_id: str) -> HttpResponse:
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        entry = self._entry(entry_id)
        if request.method != "POST":
            return self._action_page(request, entry)
        if not self._may_undo(request, entry):
            raise PermissionDenied
        (line,) = history.lines([entry])
        if not line.can_be_undone:
            raise BadRequest("This action cannot be undone.")
        run = UndoRun(
            action=Undo(), return_url=request.get_full_path(), confirmed=True, entry=entry
        )
        return respond(self, request, run)

    def _entry(self, entry_id: str) -> LogEntry:
        entries = LogEntry.objects.select_related("user").filter(
            content_type__app_label="tasks", content_type__model="task"
        )
        entry = entries.filter(pk=entry_id).first() if is_id(entry_id) else None
        if entry is None:
            raise Http404
        return entry

    def _may_undo(self, request: HttpRequest, entry: LogEntry) -> bool:
        """With the permission to change, and those of the trash if the action has used it."""
        is_allowed = self.has_change_permission(request)
        if moves_trash(entry.pk):
            is_allowed &= self.has_trash_permission(request)
            is_allowed &= self.has_restore_permission(request)
        return is_allowed

    def _action_page(self, request: HttpRequest, entry: LogEntry) -> HttpResponse:
        (line,) = history.lines([entry])
        rows, next_page = self._changed_tasks(request, entry)
        owners = people.owners({row.user_id for row in rows})
        to_undo = rest_of(entry.pk).count() if line.can_be_undone else 0
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": "Action of staff",
            "opts": self.opts,
            "media": self.media,
            "line": line,
            "rows": [(row, owners.cell(row.user_id), history.shown(row.values)) for row in rows],
            "next_page": next_page,
            "to_undo": to_undo,
            "may_undo": bool(to_undo) and self._may_undo(request, entry),
        }
        return TemplateResponse(request, "admin/tasks/task/action_page.html", context)

    def _changed_tasks(
        self, request: HttpRequest, entry: LogEntry
    ) -> tuple[list[ChangedTask], int | None]:
        rows = ChangedTask.objects.filter(entry=entry.pk)
        if after := request.GET.get("after"):
            if not is_id(after):
                raise Http404
            rows = rows.filter(pk__gt=after)
        page = list(rows.order_by("pk")[: PAGE_SIZE + 1])
        return page[:PAGE_SIZE], page[PAGE_SIZE - 1].pk if len(page) > PAGE_SIZE else None
