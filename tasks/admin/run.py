"""An action runs: on what is selected, on all that match, on one task, or on all of one user.

It goes in batches, each in a transaction of its own together with its history. A request works for
a second or two, and its page asks for the next one until all is done: so neither memory nor locks
grow with the number of tasks, and no request runs out of its time. What is done when somebody stops
is whole, and the same action again does the rest.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from time import monotonic
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core import signing
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import Count, Max
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from authjwt.user_ids import is_user_id
from tasks.admin.actions import ACTIONS, Action
from tasks.admin.changelist import is_id
from tasks.limits import limited, suspended
from tasks.models import MAX_ID, Task, TaskQuerySet

BATCH = 500
SECONDS = 1.5


@dataclass(frozen=True)
class Progress:
    """How far an action is. `total` was counted, and confirmed, among tasks up to the id `upto`."""

    total: int
    upto: int
    after: int = 0
    changed: int = 0
    already: int = 0
    kept: int = 0

    @property
    def seen(self) -> int:
        return self.changed + self.already + self.kept


@dataclass(frozen=True)
class Run:
    """An action on tasks, and the page to go back to. Without a selection it is on all of them.

    whose: which of a user's tasks they are, as a part of a sentence, and then the user.
    """

    action: Action
    tasks: TaskQuerySet
    back: str
    selected: list[str] | None = None
    whose: tuple[str, str] | None = None

    def counted(self, upto: int = MAX_ID) -> Progress:
        tasks = self.tasks.order_by().filter(pk__lte=upto)
        counts = tasks.aggregate(total=Count("pk"), upto=Max("pk"))
        return Progress(counts["total"], counts["upto"] or 0)

    def batch(self, staff_id: int, progress: Progress) -> Progress | None:
        """Where the action is after the next batch; None when there was nothing left."""
        action = self.action
        with limited():
            tasks = list(
                self.tasks.filter(pk__gt=progress.after, pk__lte=progress.upto)
                .order_by("pk")
                .select_for_update(of=("self",))[:BATCH]
            )
            reached = [task for task in tasks if action.in_trash or not task.deleted_at]
            changes = [(task, new) for task in reached if (new := action.changes(task)) is not None]
            if changes:
                action.write(staff_id, changes)
                action.apply(Task.objects.filter(pk__in=[task.pk for task, _ in changes]))
        if not tasks:
            return None
        return replace(
            progress,
            after=tasks[-1].pk,
            changed=progress.changed + len(changes),
            already=progress.already + len(reached) - len(changes),
            kept=progress.kept + len(tasks) - len(reached),
        )


def run(modeladmin: "Acting", request: HttpRequest, doing: Run) -> HttpResponse:
    progress = _progress_of(request, doing.action)
    for_good = doing.action.for_good
    if progress is None and doing.selected is not None and not for_good:
        progress = Progress(len(doing.selected), MAX_ID)
    elif progress is None:
        progress = doing.counted()
        if progress.total:
            return _page(modeladmin, request, doing, progress)
    elif for_good and not progress.seen:
        counted = doing.counted(progress.upto)
        if counted.total > progress.total:
            return _page(modeladmin, request, doing, counted, again=True)
    staff_id = cast("int", request.user.pk)
    end = monotonic() + SECONDS
    with suspended(request):
        while (further := doing.batch(staff_id, progress)) is not None:
            progress = further
            if monotonic() > end:
                return _page(modeladmin, request, doing, progress)
    _tell(modeladmin, request, doing, progress)
    return HttpResponseRedirect(doing.back)


def _progress_of(request: HttpRequest, action: Action) -> Progress | None:
    """As this service wrote it into the page before: signed, so that it need not be looked at."""
    try:
        return Progress(
            **signing.loads(request.POST.get("progress", ""), salt=_salt(request, action))
        )
    except signing.BadSignature:
        return None


def _salt(request: HttpRequest, action: Action) -> str:
    """What was confirmed holds for one action, and for the filter in its address."""
    return f"{action.name} {request.get_full_path()}"


def _page(
    modeladmin: "Acting",
    request: HttpRequest,
    doing: Run,
    progress: Progress,
    *,
    again: bool = False,
) -> HttpResponse:
    """Asks before the first batch, and for the next ones goes on by itself."""
    signed = signing.dumps(asdict(progress), salt=_salt(request, doing.action))
    hidden = [("action", doing.action.name), ("progress", signed)]
    if doing.selected is None:
        hidden += [("select_across", "1"), (ACTION_CHECKBOX_NAME, "0")]
    else:
        hidden += [(ACTION_CHECKBOX_NAME, pk) for pk in doing.selected]
    return TemplateResponse(
        request,
        "admin/tasks/task/action.html",
        {
            **modeladmin.admin_site.each_context(request),
            "title": doing.action.label,
            "opts": modeladmin.opts,
            "media": modeladmin.media,
            "action": doing.action,
            "progress": progress,
            "hidden": hidden,
            "back": doing.back,
            "again": again,
            "whose": doing.whose,
        },
    )


def _tell(modeladmin: "Acting", request: HttpRequest, doing: Run, progress: Progress) -> None:
    said = [f"{_tasks(progress.changed)} {doing.action.done}."]
    if progress.already:
        said.append(f"{_were(progress.already)} {doing.action.already} already.")
    if progress.kept:
        said.append(f"{_were(progress.kept)} in the trash and stayed as before.")
    if doing.selected is not None and (gone := len(doing.selected) - progress.seen):
        said.append(f"{_were(gone)} not there any more.")
    level = messages.SUCCESS if progress.changed else messages.WARNING
    modeladmin.message_user(request, " ".join(said), level)


def _tasks(number: int) -> str:
    return "1 task" if number == 1 else f"{number} tasks"


def _were(number: int) -> str:
    return f"{number} {'was' if number == 1 else 'were'}"


def _in_list(action: Action) -> Callable[..., HttpResponse]:
    """As Django calls it, on what is selected in the list."""

    def act(modeladmin: "Acting", request: HttpRequest, tasks: TaskQuerySet) -> HttpResponse:
        everything = request.POST.get("select_across") == "1"
        selected = None if everything else _selected(request)
        if selected is not None:
            # Also what does not match the filter any more: it was seen, and it is told.
            tasks = Task.objects.filter(pk__in=selected)
        return run(modeladmin, request, Run(action, tasks, request.get_full_path(), selected))

    act.__name__ = action.name
    return admin.action(act, permissions=[action.permission], description=action.label)


def _selected(request: HttpRequest) -> list[str]:
    return list(dict.fromkeys(request.POST.getlist(ACTION_CHECKBOX_NAME)))


class Acting(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable when it runs
    actions = tuple(_in_list(action) for action in ACTIONS.values())

    def has_trash_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("tasks.trash_task"))

    def has_restore_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("tasks.restore_task"))

    def allowed(self, request: HttpRequest) -> list[Action]:
        return [action for action in ACTIONS.values() if self._may(request, action)]

    def _may(self, request: HttpRequest, action: Action) -> bool:
        return bool(getattr(self, f"has_{action.permission}_permission")(request))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without Django's own way to delete, which loads all and keeps no history of ours."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django shows the list again for an action that one may not do; that is 403 here."""
        if not set(request.POST.getlist("action")) <= {"", *self.get_actions(request)}:
            raise PermissionDenied
        return super().changelist_view(request, extra_context)

    def get_urls(self) -> list[URLPattern]:
        act = path("act/", self.admin_site.admin_view(self.act_view), name="tasks_task_act")
        return [act, *super().get_urls()]

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """For the buttons of one task (`?task=`), and of one user (`?user_id=`)."""
        if request.method not in ("GET", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        pk = request.GET.get("task")
        if pk is not None and not is_id(pk):
            raise BadRequest("A task is named by its id.")
        if request.method == "GET":
            return self.back_from_sign_in(request, pk)
        action = ACTIONS.get(request.POST.get("action", ""))
        if action is None:
            raise BadRequest("There is no such action.")
        if not self._may(request, action):
            raise PermissionDenied
        return self.act_on(request, action, pk) if pk else self.act_on_owner(request, action)

    def back_from_sign_in(self, request: HttpRequest, pk: str | None) -> HttpResponse:
        """A button that was pressed after the session had ended leads here, without its form."""
        self.message_user(
            request, "You had been signed out, so nothing was done. Try again.", messages.WARNING
        )
        if pk is not None:
            return HttpResponseRedirect(reverse("admin:tasks_task_change", args=[pk]))
        return HttpResponseRedirect(address_of_owner(owner_in(request), part_in(request)))

    def act_on(self, request: HttpRequest, action: Action, pk: str) -> HttpResponse:
        back = (
            reverse("admin:tasks_task_changelist")
            if action.for_good
            else reverse("admin:tasks_task_change", args=[pk])
        )
        return run(self, request, Run(action, Task.objects.filter(pk=pk), back, [pk]))

    def act_on_owner(self, request: HttpRequest, action: Action) -> HttpResponse:
        """On what the page shows, and nothing else: the tasks of a user, or those in the trash."""
        owner, part = owner_in(request), part_in(request)
        tasks = Task.objects.owned_by(owner)
        if part == "trash":
            tasks, of = tasks.trashed(), "in the trash of"
        else:
            tasks, of = tasks.alive(), "of"
        doing = Run(action, tasks, address_of_owner(owner, part), whose=(of, owner))
        return run(self, request, doing)

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_delete_permission(request):
            raise PermissionDenied
        if not is_id(object_id):
            raise Http404
        return self.act_on(request, ACTIONS["purge"], object_id)


def owner_in(request: HttpRequest) -> str:
    user_id = request.GET.get("user_id", "")
    if not is_user_id(user_id):
        raise Http404
    return user_id


def part_in(request: HttpRequest) -> str:
    """Which part of a user's tasks the buttons of a page are for."""
    part = request.GET.get("show", "tasks")
    if part not in ("tasks", "trash"):
        raise Http404
    return part


def address_of_owner(user_id: str, part: str = "tasks") -> str:
    """In the query, where any character may stand: of a path, browsers fold `.` and `..`."""
    query = {"user_id": user_id} | ({} if part == "tasks" else {"show": part})
    return f"{reverse('admin:tasks_task_owner')}?{urlencode(query)}"
