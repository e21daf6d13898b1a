"""Runs an action in batches, over as many requests as it takes.

Each batch is a transaction, together with its history. A request works for a second or two, then
its page submits itself again until all tasks are done. So neither memory nor locks grow with the
number of tasks, and no request times out. If staff stop in between, the batches that are done stay,
and the same action does the rest when it is run again.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from time import monotonic
from typing import Protocol, cast

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.postgres.functions import TransactionNow
from django.core import signing
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from authjwt.wording import count
from tasks import audit, history
from tasks.admin.actions import Action
from tasks.admin.scope import Scope
from tasks.limits import limited, suspended
from tasks.models import MAX_ID, Deletion, PageView, Task, TaskQuerySet

BATCH_SIZE = 500
SECONDS_PER_REQUEST = 1.5


@dataclass(frozen=True)
class Progress:
    """How far an action has come. Pages carry it, signed, from one request to the next.

    total: number of tasks that staff confirmed, with ids up to max_id. last_id: where the last
    batch ended. changed, unchanged, skipped: tasks so far; the last are left alone in the trash.
    entry_id: the action's entry in the history; 0 until the first task was changed.
    """

    total: int
    max_id: int
    last_id: int = 0
    changed: int = 0
    unchanged: int = 0
    skipped: int = 0
    entry_id: int = 0

    @property
    def processed(self) -> int:
        return self.changed + self.unchanged + self.skipped


class Operation(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def permanent(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is done to tasks, and the page to return to.

    filters: which tasks these are, for the history and the audit.
    scope: says for the confirmation which tasks these are. selected: ids of the selected rows; None
    if it is done to all that `count` counts. confirmed: whether the page before was a confirmation.
    """

    action: Operation
    return_url: str
    scope: Callable[[], Scope] = Scope
    filters: Mapping[str, str] = field(default_factory=dict)
    selected: list[str] | None = None
    confirmed: bool = False

    @abstractmethod
    def count(self, max_id: int = MAX_ID) -> Progress: ...

    @abstractmethod
    def run_batch(self, staff_id: int, progress: Progress) -> Progress | None:
        """The progress after the next batch; None if no task was left."""

    @abstractmethod
    def result(self, progress: Progress) -> list[str]:
        """Sentences for staff."""


@dataclass(frozen=True, kw_only=True)
class ActionRun(Run):
    action: Action
    tasks: TaskQuerySet

    def count(self, max_id: int = MAX_ID) -> Progress:
        tasks = self.tasks.order_by().filter(pk__lte=max_id)
        counts = tasks.aggregate(total=Count("pk"), max_id=Max("pk"))
        return Progress(counts["total"], counts["max_id"] or 0)

    def run_batch(self, staff_id: int, progress: Progress) -> Progress | None:
        action = self.action
        entry_id = progress.entry_id
        with limited():
            batch = list(
                self.tasks.filter(pk__gt=progress.last_id, pk__lte=progress.max_id)
                .order_by("pk")
                .select_for_update(of=("self",))[:BATCH_SIZE]
            )
            tasks = [task for task in batch if action.in_trash or not task.deleted_at]
            changes = [(task, new) for task in tasks if (new := action.changes(task)) is not None]
            if changes:
                if action.name == "trash":
                    Deletion.record(TransactionNow(), staff_id=staff_id)
                action.apply(Task.objects.filter(pk__in=[task.pk for task, _ in changes]))
                is_single = progress.total == len(batch) == 1
                entry_id = self._record(staff_id, changes, progress, is_single=is_single)
        if not batch:
            return None
        return replace(
            progress,
            last_id=batch[-1].pk,
            changed=progress.changed + len(changes),
            unchanged=progress.unchanged + len(tasks) - len(changes),
            skipped=progress.skipped + len(batch) - len(tasks),
            entry_id=entry_id,
        )

    def _record(
        self, staff_id: int, changes: list[history.Change], progress: Progress, *, is_single: bool
    ) -> int:
        """The id of the entry that can be undone. 0 for none."""
        if is_single:
            if self.action.permanent:
                history.deleted(staff_id, [task for task, _ in changes])
                return 0
            return history.changed(staff_id, changes, self.action.name)[0].pk
        bulk = history.Bulk(
            self.action.name, self.action.done, self.filters, progress.entry_id, progress.changed
        )
        history.changed_in_bulk(staff_id, bulk, changes)
        return bulk.entry_id

    def result(self, progress: Progress) -> list[str]:
        sentences = [f"{count(progress.changed, 'task')} {self.action.done}."]
        if unchanged := progress.unchanged:
            sentences.append(f"{unchanged} {was(unchanged)} {self.action.unchanged}.")
        if skipped := progress.skipped:
            sentences.append(f"{skipped} {was(skipped)} in the trash and not changed.")
        if self.selected is not None and (missing := len(self.selected) - progress.processed):
            sentences.append(f"{missing} no longer {plural(missing, 'exists', 'exist')}.")
        return sentences


def respond(model_admin: "admin.ModelAdmin[Task]", request: HttpRequest, run: Run) -> HttpResponse:
    """Asks for confirmation, or runs batches and shows the progress or the result."""
    progress = _progress_from(request, run)
    if progress is None and run.selected is not None and not run.action.permanent:
        progress = Progress(len(run.selected), MAX_ID)
    elif progress is None:
        progress = run.count()
        if progress.total and not run.confirmed:
            return _page(model_admin, request, run, progress)
    elif run.action.permanent and not progress.processed:
        current = run.count(progress.max_id)
        if current.total > progress.total:
            return _page(model_admin, request, run, current, has_grown=True)
    if "stop" in request.POST and progress.processed:
        _report(model_admin, request, run, progress, was_stopped=True)
        return HttpResponseRedirect(run.return_url)
    staff_id = cast("int", request.user.pk)
    end = monotonic() + SECONDS_PER_REQUEST
    with suspended(request):
        while (next_progress := run.run_batch(staff_id, progress)) is not None:
            progress = next_progress
            if monotonic() > end:
                return _page(model_admin, request, run, progress)
    _report(model_admin, request, run, progress)
    return HttpResponseRedirect(run.return_url)


def _progress_from(request: HttpRequest, run: Run) -> Progress | None:
    """What the previous page carries. It is signed, so its values need no checks."""
    try:
        return Progress(
            **signing.loads(request.POST.get("progress", ""), salt=_salt(request, run.action))
        )
    except signing.BadSignature:
        return None


def signed(request: HttpRequest, action: Operation, progress: Progress) -> str:
    """What a form sends to the address of `request`, to run the action without another page."""
    return signing.dumps(asdict(progress), salt=_salt(request, action))


def _salt(request: HttpRequest, action: Operation) -> str:
    """A confirmation is valid only for one action, and for the filters in its address."""
    return f"run {action.name} {request.get_full_path()}"


def _page(
    model_admin: "admin.ModelAdmin[Task]",
    request: HttpRequest,
    run: Run,
    progress: Progress,
    *,
    has_grown: bool = False,
) -> HttpResponse:
    """Asks for confirmation before the first batch; later it submits itself."""
    if not progress.processed:
        _record_view(request, run, progress)
    hidden = [("action", run.action.name), ("progress", signed(request, run.action, progress))]
    if run.selected is None:
        hidden += [("select_across", "1"), (ACTION_CHECKBOX_NAME, "0")]
    else:
        hidden += [(ACTION_CHECKBOX_NAME, pk) for pk in run.selected]
    return TemplateResponse(
        request,
        "admin/tasks/task/action.html",
        {
            **model_admin.admin_site.each_context(request),
            "title": run.action.label,
            "opts": model_admin.opts,
            "media": model_admin.media,
            "action": run.action,
            "progress": progress,
            "hidden": hidden,
            "return_url": run.return_url,
            "has_grown": has_grown,
            "scope": Scope() if progress.processed else run.scope(),
        },
    )


def _record_view(request: HttpRequest, run: Run, progress: Progress) -> None:
    """A confirmation names some of the tasks and their users."""
    selected = run.selected or []
    audit.viewed(
        cast("int", request.user.pk),
        PageView.Page.CONFIRMATION,
        user_id=run.filters.get("user", ""),
        task_id=int(selected[0]) if len(selected) == 1 else None,
        filters={"action": run.action.label, "tasks": str(progress.total)},
    )


def _report(
    model_admin: "admin.ModelAdmin[Task]",
    request: HttpRequest,
    run: Run,
    progress: Progress,
    *,
    was_stopped: bool = False,
) -> None:
    sentences = run.result(progress)
    if was_stopped:
        rest = max(progress.total - progress.processed, 0)
        sentences.append(f"You stopped the action. It has not reached the other {rest}.")
    text = " ".join(sentences)
    can_undo = request.user.has_perm("tasks.change_task") and not run.action.permanent
    if progress.entry_id and can_undo:
        address = reverse("admin:tasks_task_action", args=[progress.entry_id])
        text = format_html('<span>{}</span> <a href="{}">Undo</a>', text, address)
    level = messages.SUCCESS if progress.changed else messages.WARNING
    model_admin.message_user(request, text, level)


def was(number: int) -> str:
    return plural(number, "was", "were")


def plural(number: int, one: str, many: str) -> str:
    return one if number == 1 else many
