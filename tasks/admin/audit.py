"""The audit: its page, and what records the views of pages with data of users."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import BadRequest, PermissionDenied
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from authjwt.user_ids import is_user_id
from tasks import audit, history
from tasks.admin import people
from tasks.admin.clock import DAY, Clock
from tasks.admin.export import filters_of
from tasks.admin.strict_list import is_id
from tasks.audit import Filters, Position
from tasks.models import PageView, Trash

PAGE_SIZE = 100
PARAMETERS = ("staff", "action", "user", "from", "to", "after")
ACTIONS = {
    **history.LABELS,
    "view": "View: any page",
    **{page.value: page.label for page in PageView.Page},
}
Page = PageView.Page


@receiver(user_logged_in)
def record_sign_in(user: User, **_: Any) -> None:
    audit.viewed(user.pk, Page.SIGN_IN)


class AuditedListMixin(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable at run time
    """Records who has seen a page with data of users, after the page was made."""

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._viewed(super().changelist_view, _list, request, *args, **kwargs)

    @staticmethod
    def _viewed(
        view: Callable[..., HttpResponse],
        describe: Callable[[HttpRequest, dict[str, Any]], dict[str, Any]],
        request: HttpRequest,
        *args: Any,
        **kwargs: Any,
    ) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if request.method == "GET" and response.status_code == 200:  # noqa: PLR2004
            context = getattr(response, "context_data", None) or {}
            audit.viewed(cast("int", request.user.pk), **describe(request, context))
        return response


class AuditedMixin(AuditedListMixin):
    """The same for the other pages of tasks."""

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._viewed(super().change_view, _task, request, *args, **kwargs)

    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._viewed(super().history_view, _history, request, *args, **kwargs)

    def owner_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._viewed(super().owner_view, _owner, request, *args, **kwargs)  # type: ignore[misc]

    def action_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._viewed(super().action_view, _action, request, *args, **kwargs)  # type: ignore[misc]

    def people_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._viewed(super().people_view, _people, request, *args, **kwargs)  # type: ignore[misc]


def _list(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Names the user if the page shows the tasks of one user only, or was asked for those."""
    filters = filters_of(request)
    filters.pop("users", None)
    user_id = filters.pop("user", "")
    if context["cl"].model is Trash:
        filters["in trash"] = "yes"
    owners = {task.user_id for task in context["cl"].result_list}
    for name in ("tag", "search"):
        if name in filters:
            filters[name] = "(text)"
    if getattr(request, "people_found", people.Found()).ids:
        filters["search"] = "(a user)"
    if len(owners) == 1:
        user_id = owners.pop()
    elif owners:
        user_id = ""
    return {"page": Page.LIST, "user_id": user_id, "filters": filters}


def _task(_: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    task = context["original"]
    return {"page": Page.TASK, "user_id": task.user_id, "task_id": task.pk}


def _history(_: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    task = context["object"]
    return {"page": Page.HISTORY, "user_id": task.user_id, "task_id": task.pk}


def _owner(_: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    return {"page": Page.USER, "user_id": context["user_id"], "filters": {"tab": context["tab"]}}


def _action(_: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    owners = {row.user_id for row, *_ in context["rows"]}
    user_id = owners.pop() if len(owners) == 1 else ""
    return {
        "page": Page.ACTION,
        "user_id": user_id,
        "filters": {"action": str(context["line"].entry.pk)},
    }


def _people(_request: HttpRequest, _context: dict[str, Any]) -> dict[str, Any]:
    return {"page": Page.PEOPLE}


@admin.register(PageView)
class AuditAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable at run time
    """Only a page to read."""

    class Media:
        css = {"all": ["tasks/staff.css"]}  # noqa: RUF012  Django's own form

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("tasks.view_audit"))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.audit_view)
        return [path("", view, name="tasks_pageview_changelist")]

    def audit_view(self, request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        clock = Clock.of(request)
        filters, after = _filters(request, clock)
        records = audit.records(filters, after, PAGE_SIZE + 1)
        shown = records[:PAGE_SIZE]
        staff = User.objects.order_by("username").in_bulk()
        owners = people.owners({record.user_id for record in shown if record.user_id})
        given = {name: request.GET.get(name, "") for name in PARAMETERS}
        query = {name: text for name, text in given.items() if text and name != "after"}
        older = {**query, "after": str(shown[-1].position)} if len(records) > PAGE_SIZE else {}
        count = "" if after else audit.count(filters)
        audit.viewed(cast("int", request.user.pk), Page.AUDIT, user_id=filters.user_id)
        context = {
            **self.admin_site.each_context(request),
            "title": "Audit",
            "opts": self.opts,
            "media": self.media,
            "rows": [
                (
                    record,
                    staff.get(record.staff_id, f"deleted account {record.staff_id}"),
                    owners.cell(record.user_id) if record.user_id else "",
                )
                for record in shown
            ],
            "given": given,
            "zone": clock.zone,
            "staff": [(str(pk), user.get_username()) for pk, user in staff.items()],
            "actions": ACTIONS.items(),
            "count": count,
            "newest_url": f"?{urlencode(query)}" if after else "",
            "older_url": f"?{urlencode(older)}" if older else "",
        }
        return TemplateResponse(request, "admin/tasks/pageview/audit.html", context)


def _filters(request: HttpRequest, clock: Clock) -> tuple[Filters, Position | None]:
    if unknown := set(request.GET) - {*PARAMETERS}:
        raise BadRequest(f"The audit has no filter {min(unknown)[:100]!a}.")
    staff, action, user, *_, after = (request.GET.get(name, "").strip() for name in PARAMETERS)
    if staff and not is_id(staff):
        raise BadRequest("The filter staff must be the number of an account.")
    if action and action not in ACTIONS:
        raise BadRequest("The filter action must be one of the actions in the form.")
    try:
        user_id = people.id_of(user)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    if user_id and not is_user_id(user_id):
        raise BadRequest("The filter user must be the id or the e-mail address of a user.")
    first, last = _day(request, "from"), _day(request, "to")
    try:
        filters = Filters(
            int(staff) if staff else None,
            clock.midnight(first) if first else None,
            clock.midnight(last + DAY) if last else None,
            action,
            user_id,
        )
        return filters, Position.parse(after) if after else None
    except (ValueError, OverflowError):
        raise BadRequest(
            "The address names no position of the audit. Begin on its first page."
        ) from None


def _day(request: HttpRequest, name: str) -> date | None:
    text = request.GET.get(name, "")
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        day = date.min
    if day and not date(1970, 1, 1) <= day <= date(9999, 12, 31) - timedelta(1):
        raise BadRequest(f"The filter {name} must be a day such as 2026-01-31.")
    return day
