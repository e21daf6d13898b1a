"""Filters of the list that each colleague saves under a name."""

from copy import copy
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.validators import RegexValidator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseNotAllowed
from django.urls import URLPattern, path, reverse

from tasks.models import VIEW_NAME_LENGTH, VIEW_QUERY_LENGTH, SavedView

MAX_VIEWS = 30
NAME = forms.CharField(
    max_length=VIEW_NAME_LENGTH,
    validators=[RegexValidator("[\x00-\x1f\x7f\ud800-\udfff]", inverse_match=True)],
)


class SavedViewsMixin(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable at run time
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("views/", view(self.save_view), name="tasks_task_save_view"),
            path("views/delete/", view(self.delete_saved_view), name="tasks_task_delete_view"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        query = view_query(request.GET)
        context = {
            "saved_views": SavedView.objects.filter(staff=request.user.pk).order_by("name"),
            "view_query": query,
            "view_name_length": VIEW_NAME_LENGTH,
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def save_view(self, request: HttpRequest) -> HttpResponse:
        """Saves the filters of the list under a name, in place of a view of that name."""
        if refusal := self._refusal(request):
            return refusal
        query = self._checked_query(request)
        try:
            name = NAME.clean(request.POST.get("name"))
        except forms.ValidationError:
            problem = f"Enter a name of at most {VIEW_NAME_LENGTH} characters for the view."
            return self._back(request, query, problem, messages.ERROR)
        mine = SavedView.objects.filter(staff=request.user.pk)
        if mine.exclude(name=name).count() >= MAX_VIEWS:
            problem = f"You have {MAX_VIEWS} views already. Delete one first."
            return self._back(request, query, problem, messages.ERROR)
        SavedView.objects.update_or_create(
            staff_id=request.user.pk, name=name, defaults={"query": query}
        )
        return self._back(request, query, f"The view \u2068{name}\u2069 is saved.")

    def delete_saved_view(self, request: HttpRequest) -> HttpResponse:
        if refusal := self._refusal(request):
            return refusal
        mine = SavedView.objects.filter(staff=request.user.pk, name=request.POST.get("name", ""))
        if not mine.delete()[0]:
            raise Http404
        return self._back(request, "", "The view is deleted.")

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "GET":  # where the sign-in leads if the session has ended
            text = "You were signed out, so nothing was changed. Try again."
            return self._back(request, "", text, messages.WARNING)
        return None if request.method == "POST" else HttpResponseNotAllowed(["GET", "POST"])

    def _checked_query(self, request: HttpRequest) -> str:
        """The query string, refused like an address of the list that is typed by hand."""
        text = request.POST.get("query", "")
        if not text or len(text) > VIEW_QUERY_LENGTH:
            raise BadRequest(
                "Only a list with filters or a search can be saved, up to 2000 characters."
            )
        trial = copy(request)
        trial.method, trial.GET = "GET", QueryDict(text)
        self.get_changelist_instance(trial)
        return view_query(trial.GET)

    def _back(
        self, request: HttpRequest, query: str, text: str, level: int = messages.SUCCESS
    ) -> HttpResponse:
        self.message_user(request, text, level)
        return HttpResponseRedirect(f"{reverse('admin:tasks_task_changelist')}?{query}")


def view_query(parameters: QueryDict) -> str:
    """The filters, the search and the order of a list, without its page."""
    kept = parameters.copy()
    for name in (PAGE_VAR, ERROR_FLAG):
        kept.pop(name, None)
    return kept.urlencode()
