"""Where staff start an action: in the list, by a button of one task, or by one of one user."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseNotAllowed
from django.urls import URLPattern, path, reverse

from tasks.admin import scope
from tasks.admin.actions import ACTIONS, Action
from tasks.admin.export import filters_of
from tasks.admin.owner_url import action_tab_of, owner_of, owner_url
from tasks.admin.run import ActionRun, respond
from tasks.admin.scope import Scope
from tasks.admin.strict_list import INVALID_ROW, is_id
from tasks.models import Task, TaskQuerySet


def _list_action(action: Action) -> Callable[..., HttpResponse]:
    """The action as a function that Django calls on what is selected in the list."""

    def act(model_admin: "ActionsMixin", request: HttpRequest, tasks: TaskQuerySet) -> HttpResponse:
        everything = request.POST.get("select_across") == "1"
        selected = None if everything else _selected_ids(request)
        if selected is not None:
            # Not `tasks`, which the filter narrows down: the message counts every selected row,
            # also one that has changed since and no longer matches.
            tasks = Task.objects.filter(pk__in=selected)
        named = partial(model_admin.scope_of, request) if selected is None else of_rows(selected)
        run = ActionRun(
            action=action,
            tasks=tasks,
            return_url=request.get_full_path(),
            scope=named,
            selected=selected,
            filters=_filters(request) if selected is None else {},
        )
        return respond(model_admin, request, run)

    act.__name__ = action.name
    return admin.action(act, permissions=[action.permission], description=action.label)


def _filters(request: HttpRequest) -> dict[str, str]:
    """For the history. Users that a search has found are left out, since other tasks match too."""
    filters = filters_of(request)
    found = filters.pop("users", None) or filters.pop("user", None)
    if owner := request.GET.get("user_id__exact"):
        return {"user": owner, **filters}
    return {**filters, "search": "a user"} if found else filters


def of_rows(ids: list[str]) -> Callable[[], Scope]:
    return partial(scope.of_selection, ids)


def _selected_ids(request: HttpRequest) -> list[str]:
    return list(dict.fromkeys(request.POST.getlist(ACTION_CHECKBOX_NAME)))


class ActionsMixin(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable at run time
    actions = tuple(_list_action(action) for action in ACTIONS.values())

    def has_trash_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("tasks.trash_task"))

    def has_restore_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("tasks.restore_task"))

    def allowed_actions(self, request: HttpRequest) -> list[Action]:
        return [action for action in ACTIONS.values() if self._is_allowed(request, action)]

    def _is_allowed(self, request: HttpRequest, action: Action) -> bool:
        return bool(getattr(self, f"has_{action.permission}_permission")(request))

    def scope_of(self, request: HttpRequest) -> Scope:
        """For an action on everything that the list shows."""
        return scope.of_filter(request)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without Django's own deletion, which loads all tasks and skips our history."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Answers 403 to an action that is not permitted; Django would just show the list again."""
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
            raise BadRequest("The task id in the address is not a valid number.")
        if request.method == "GET":
            return self.return_from_sign_in(request, pk)
        action = ACTIONS.get(request.POST.get("action", ""))
        if action is None:
            raise BadRequest("This action does not exist. Go back and use one of the buttons.")
        if not self._is_allowed(request, action):
            raise PermissionDenied
        return self.act_on_task(request, action, pk) if pk else self.act_on_user(request, action)

    def return_from_sign_in(self, request: HttpRequest, pk: str | None) -> HttpResponse:
        """Where a button leads if the session has ended: the sign-in has dropped its form."""
        self.message_user(
            request, "You were signed out, so nothing was changed. Try again.", messages.WARNING
        )
        if pk is not None:
            return HttpResponseRedirect(self.change_url(request, pk))
        return HttpResponseRedirect(owner_url(owner_of(request), action_tab_of(request)))

    def act_on_task(self, request: HttpRequest, action: Action, pk: str) -> HttpResponse:
        return_url = (
            self._with_filters(request, reverse("admin:tasks_task_changelist"))
            if action.permanent
            else self.change_url(request, pk)
        )
        run = ActionRun(
            action=action,
            tasks=Task.objects.filter(pk=pk),
            return_url=return_url,
            scope=of_rows([pk]),
            selected=[pk],
        )
        return respond(self, request, run)

    def change_url(self, request: HttpRequest, pk: str) -> str:
        """The page of a task, from which the list is found again with its filters."""
        return self._with_filters(request, reverse("admin:tasks_task_change", args=[pk]))

    def _with_filters(self, request: HttpRequest, url: str) -> str:
        kept: dict[str, Any] = {
            "preserved_filters": self.get_preserved_filters(request),
            "opts": self.opts,
        }
        return str(add_preserved_filters(kept, url))

    def act_on_user(self, request: HttpRequest, action: Action) -> HttpResponse:
        """On the selected rows, or on all tasks of the tab: those in the trash, or the others."""
        owner, tab = owner_of(request), action_tab_of(request)
        tasks = Task.objects.owned_by(owner)
        rows = request.GET.get("rows")
        if rows == "selected":
            return self._act_on_rows(request, action, tasks, owner_url(owner, tab))
        if rows is not None:
            raise Http404
        in_trash = tab == "trash"
        tasks = tasks.trashed() if in_trash else tasks.alive()
        named = partial(scope.of_user, owner, in_trash=in_trash)
        filters = {"user": owner, "in trash": "yes" if in_trash else "no"}
        run = ActionRun(
            action=action,
            tasks=tasks,
            return_url=owner_url(owner, tab),
            scope=named,
            filters=filters,
        )
        return respond(self, request, run)

    def _act_on_rows(
        self, request: HttpRequest, action: Action, tasks: TaskQuerySet, return_url: str
    ) -> HttpResponse:
        selected = _selected_ids(request)
        if not all(map(is_id, selected)):
            raise BadRequest(INVALID_ROW)
        if not selected:
            text = "Select tasks first. Nothing was changed."
            self.message_user(request, text, messages.WARNING)
            return HttpResponseRedirect(return_url)
        run = ActionRun(
            action=action,
            tasks=tasks.filter(pk__in=selected),
            return_url=return_url,
            scope=of_rows(selected),
            selected=selected,
        )
        return respond(self, request, run)

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
        return self.act_on_task(request, ACTIONS["purge"], object_id)
