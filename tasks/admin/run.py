"""Runs an action in batches, over as many requests as it takes.

Each batch is a transaction, together with its history. A request works for a second or two, then
its page submits itself again until all tasks are done. So neither memory nor locks grow with the
number of tasks, and no request times out. If staff stop in between, the batches that are done stay,
and the same action does the rest when it is run again.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from time import monotonic
from typing import cast

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core import signing
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from tasks.admin.actions import Action
from tasks.admin.scope import Scope
from tasks.limits import limited, suspended
from tasks.models import MAX_ID, Task, TaskQuerySet

BATCH_SIZE = 500
SECONDS_PER_REQUEST = 1.5


@dataclass(frozen=True)
class Progress:
    """How far an action has come. Pages carry it, signed, from one request to the next.

    total: number of tasks that staff confirmed, with ids up to max_id. last_id: where the last
    batch ended. changed, unchanged, skipped: tasks so far; the last are left alone in the trash.
    """

    total: int
    max_id: int
    last_id: int = 0
    changed: int = 0
    unchanged: int = 0
    skipped: int = 0

    @property
    def processed(self) -> int:
        return self.changed + self.unchanged + self.skipped


@dataclass(frozen=True)
class ActionRun:
    """An action on tasks, and the page to return to.

    scope: says for the confirmation which tasks these are. selected: ids of the selected rows; None
    if the action is on all of `tasks`.
    """

    action: Action
    tasks: TaskQuerySet
    return_url: str
    scope: Callable[[], Scope]
    selected: list[str] | None = None

    def count(self, max_id: int = MAX_ID) -> Progress:
        tasks = self.tasks.order_by().filter(pk__lte=max_id)
        counts = tasks.aggregate(total=Count("pk"), max_id=Max("pk"))
        return Progress(counts["total"], counts["max_id"] or 0)

    def run_batch(self, staff_id: int, progress: Progress) -> Progress | None:
        """The progress after the next batch; None if no task was left."""
        action = self.action
        with limited():
            batch = list(
                self.tasks.filter(pk__gt=progress.last_id, pk__lte=progress.max_id)
                .order_by("pk")
                .select_for_update(of=("self",))[:BATCH_SIZE]
            )
            tasks = [task for task in batch if action.in_trash or not task.deleted_at]
            changes = [(task, new) for task in tasks if (new := action.changes(task)) is not None]
            if changes:
                action.record(staff_id, changes)
                action.apply(Task.objects.filter(pk__in=[task.pk for task, _ in changes]))
        if not batch:
            return None
        return replace(
            progress,
            last_id=batch[-1].pk,
            changed=progress.changed + len(changes),
            unchanged=progress.unchanged + len(tasks) - len(changes),
            skipped=progress.skipped + len(batch) - len(tasks),
        )


def respond(
    model_admin: "admin.ModelAdmin[Task]", request: HttpRequest, run: ActionRun
) -> HttpResponse:
    """Asks for confirmation, or runs batches and shows the progress or the result."""
    progress = _progress_from(request, run.action)
    permanent = run.action.permanent
    if progress is None and run.selected is not None and not permanent:
        progress = Progress(len(run.selected), MAX_ID)
    elif progress is None:
        progress = run.count()
        if progress.total:
            return _page(model_admin, request, run, progress)
    elif permanent and not progress.processed:
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


def _progress_from(request: HttpRequest, action: Action) -> Progress | None:
    """What the previous page carries. It is signed, so its values need no checks."""
    try:
        return Progress(
            **signing.loads(request.POST.get("progress", ""), salt=_salt(request, action))
        )
    except signing.BadSignature:
        return None


def _salt(request: HttpRequest, action: Action) -> str:
    """A confirmation is valid only for one action, and for the filters in its address."""
    return f"progress {action.name} {request.get_full_path()}"


def _page(
    model_admin: "admin.ModelAdmin[Task]",
    request: HttpRequest,
    run: ActionRun,
    progress: Progress,
    *,
    has_grown: bool = False,
) -> HttpResponse:
    """Asks for confirmation before the first batch; later it submits itself."""
    signed = signing.dumps(asdict(progress), salt=_salt(request, run.action))
    hidden = [("action", run.action.name), ("progress", signed)]
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


def _report(
    model_admin: "admin.ModelAdmin[Task]",
    request: HttpRequest,
    run: ActionRun,
    progress: Progress,
    *,
    was_stopped: bool = False,
) -> None:
    changed, unchanged, skipped = progress.changed, progress.unchanged, progress.skipped
    sentences = [f"{changed} {_plural(changed, 'task', 'tasks')} {run.action.done}."]
    if unchanged:
        was = _plural(unchanged, "was", "were")
        sentences.append(f"{unchanged} {was} {run.action.unchanged}.")
    if skipped:
        was = _plural(skipped, "was", "were")
        sentences.append(f"{skipped} {was} in the trash and not changed.")
    if was_stopped:
        rest = max(progress.total - progress.processed, 0)
        sentences.append(f"You stopped the action. It has not reached the other {rest}.")
    elif run.selected is not None and (missing := len(run.selected) - progress.processed):
        sentences.append(f"{missing} no longer {_plural(missing, 'exists', 'exist')}.")
    level = messages.SUCCESS if changed else messages.WARNING
    model_admin.message_user(request, " ".join(sentences), level)


def _plural(number: int, one: str, many: str) -> str:
    return one if number == 1 else many
