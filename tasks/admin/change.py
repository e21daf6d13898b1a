"""The page of one task: its form, its buttons, and its history."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import PermissionDenied
from django.core.validators import RegexValidator
from django.db import connection
from django.db.models import Model
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
)
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from authjwt import user_ids
from tasks import dates, history
from tasks.admin import conflicts, people
from tasks.admin.action_views import ActionsMixin
from tasks.admin.actions import Action
from tasks.admin.clock import Clock
from tasks.admin.columns import due_column, tags_column, time_column
from tasks.admin.conflicts import ForeignChange
from tasks.admin.strict_list import MAX_SEARCH_LENGTH, is_id
from tasks.exchange import NULLABLE
from tasks.models import DESCRIPTION_LENGTH, MAX_TAGS, TITLE_LENGTH, USER_ID_LENGTH, Task
from tasks.operations.shards import Shard
from tasks.schemas import Tags, TaskFields, sentence

NO_SURROGATES = RegexValidator(
    "[\ud800-\udfff]", "Must not contain a lone surrogate.", inverse_match=True
)
LINE_BREAKS = re.compile("[\r\n]")
# More forms than the API accepts, but none that can be read in two ways.
STAFF_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[T ]+(?P<minutes>\d\d:\d\d)(?P<seconds>:\d\d(\.\d+)?)?"
    r" *(?P<zone>UTC|Z|[+-]\d\d:\d\d)?",
    re.ASCII | re.IGNORECASE,
)
TAGS: TypeAdapter[list[str]] = TypeAdapter(Tags)
MAX_QUOTED_TAG = 60
HISTORY_PAGE_SIZE = 100
IN_TRASH = (
    "This task is in the trash, so your changes were not saved. Restore it before you change it."
)
CONFLICT = (
    "Nothing is saved yet, because somebody else has changed this task since you opened it. Choose "
    "a value for each field below, then save again."
)


def validate_user_id(text: str) -> None:
    if not user_ids.is_user_id(text):
        raise forms.ValidationError(f"{user_ids.RULE.capitalize()}.")
    shard = Shard.of(connection)
    if shard and shard != (theirs := shard.of_user(connection, text)):
        raise forms.ValidationError(f"The tasks of this user are on {theirs}. This is {shard}.")
    if text != text.strip():
        raise forms.ValidationError("Must not begin or end with white space.")


class TextField(forms.CharField):
    """Turns the line breaks that browsers send, CR LF, back into LF."""

    default_validators = [NO_SURROGATES]  # noqa: RUF012  Django's type

    def to_python(self, value: Any) -> Any:
        return re.sub("\r\n?", "\n", super().to_python(value) or "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        before, after = (self.to_python(text) for text in (initial, data))
        return bool(before != after)


class TitleField(TextField):
    def has_changed(self, initial: Any, data: Any) -> bool:
        """Ignores line breaks: browsers remove them from a single-line field."""
        before, after = (LINE_BREAKS.sub("", self.to_python(text)) for text in (initial, data))
        return before != after


class UserInput(forms.TextInput):
    """Suggests users while staff type."""

    class Media:
        js = ("tasks/people.js",)


class UserField(TextField):
    """An id, or the e-mail address of somebody whom Better Auth knows."""

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        try:
            return people.id_of(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error


class DueDateField(forms.Field):
    """A day, or a time. Its text says UTC, since other times on the page are in local time."""

    default_error_messages = {  # noqa: RUF012  Django's type
        "invalid": "This is neither a day nor a time. Write it as in the example below.",
        "year_range": "The due date must be in the years 0001 to 9999 in UTC.",
    }

    def to_python(self, value: Any) -> date | datetime | None:
        text = (value or "").strip()
        if match := STAFF_TIME.fullmatch(text):
            zone = match["zone"] or "Z"
            zone = zone if zone[0] in "+-" else "Z"
            text = f"{match['day']}T{match['minutes']}{match['seconds'] or ':00'}{zone}"
        try:
            return dates.parse(text) if text else None
        except PydanticCustomError as error:
            code = "year_range" if error.type == "year_range" else "invalid"
            raise forms.ValidationError(self.error_messages[code], code) from error

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, datetime):
            return value
        utc = value.astimezone(UTC).replace(tzinfo=None)
        is_minute = not utc.second and not utc.microsecond
        return f"{utc.isoformat(' ', 'minutes' if is_minute else 'auto')} UTC"


class TagsField(forms.Field):
    def to_python(self, value: Any) -> list[str]:
        parts = (part.strip() for part in (value or "").split(","))
        return [part for part in parts if part]

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def validate(self, value: Any) -> None:
        super().validate(value)
        try:
            TAGS.validate_python(value)
        except ValidationError as error:
            raise forms.ValidationError(list(_tag_problems(error.errors(), value))) from error


def _tag_problems(errors: Iterable[Any], tags: list[str]) -> Iterator[str]:
    for error in errors:
        if error["loc"]:
            tag = tags[error["loc"][0]]
            shown = tag if len(tag) <= MAX_QUOTED_TAG else f"{tag[:MAX_QUOTED_TAG]}…"
            yield f"The tag “{shown}” {sentence(error)}."
        elif error["type"] == "duplicate":
            yield "Enter each tag once: “{other}” and “{tag}” are the same tag.".format_map(
                error["ctx"]
            )
        else:
            yield f"Enter at most {MAX_TAGS} tags. These are {len(tags)}."


class TaskForm(forms.ModelForm):  # type: ignore[type-arg] # not subscriptable at run time
    """Accepts what the API accepts, and writes only the fields that staff have edited.

    Each field carries the value that the page showed, so that an untouched field does not overwrite
    a change that somebody else has made since then. Where both have changed the same field, staff
    choose.
    """

    foreign_changes: Sequence[ForeignChange] = ()

    user_id = UserField(
        max_length=USER_ID_LENGTH,
        strip=False,
        label="User",
        validators=[validate_user_id],
        widget=UserInput(attrs={"class": "vLargeTextField", "autocomplete": "off"}),
        help_text="Enter the id of the user, or the e-mail address.",
    )
    title = TitleField(
        max_length=TITLE_LENGTH, widget=forms.TextInput(attrs={"class": "vLargeTextField"})
    )
    description = TextField(
        max_length=DESCRIPTION_LENGTH,
        strip=False,
        required=False,
        widget=forms.Textarea(attrs={"class": "vLargeTextField"}),
    )
    due_date = DueDateField(
        required=False,
        widget=forms.TextInput(attrs={"size": 30}),
        help_text="Enter a day such as 2026-01-31, or a time in UTC such as 2026-01-31 16:30.",
    )
    tags = TagsField(
        required=False,
        widget=forms.TextInput(attrs={"class": "vLargeTextField"}),
        help_text="Write commas between the tags, as in: home, Shopping",
    )

    class Meta:
        model = Task
        fields = ("user_id", *TaskFields.model_fields)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.initial["due_date"] = self.instance.due_date
        if "user_id" in self.fields:
            self.fields["user_id"].widget.attrs["data-people"] = reverse("admin:tasks_task_people")
        for field in self.fields.values():
            field.show_hidden_initial = self.instance.pk is not None
        if self.is_bound and self.instance.pk is not None:
            conflicts.take_theirs(self)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if self.instance.pk is not None:
            self._refuse_to_lose_changes(data)
            data |= {name: self.initial[name] for name in data if name not in self.changed_data}
        for name in NULLABLE & data.keys():
            if name in self.changed_data or self.instance.pk is None:
                data[name] = data[name] or None
        if "due_date" in data:
            self.instance.due_date = data["due_date"]
        return data

    def _refuse_to_lose_changes(self, data: dict[str, Any]) -> None:
        edited = self.changed_data
        if edited and "action" in self.data:
            self.add_error(None, _unsaved(self.instance))
        mine = {name: data[name] for name in edited if name in data}
        self.foreign_changes = list(conflicts.foreign_changes(self, mine))
        if any(change.mine is not None for change in self.foreign_changes):
            self.add_error(None, CONFLICT)
        if self.errors:
            conflicts.rebase(self, self.foreign_changes)

    def changes(self) -> history.Values:
        """Old and new values of the fields that staff have edited, as the history has them."""
        return {
            name: (_for_history(self.initial.get(name)), _for_history(new))
            for name, new in self.cleaned_data.items()
            if _for_history(self.initial.get(name)) != _for_history(new)
        }

    def columns(self) -> dict[str, Any]:
        """New values of the columns that follow from `changes`."""
        new = {name: self.cleaned_data[name] for name in self.changes()}
        if "due_date" in new:
            del new["due_date"]
            new |= {"due_day": self.instance.due_day, "due_at": self.instance.due_at}
        return new


def _unsaved(task: Task) -> SafeString:
    return format_html(
        "You have edited this task, so nothing was done. Save your changes first, or "
        '<a href="{}">discard them</a>.',
        reverse("admin:tasks_task_change", args=[task.pk]),
    )


def _for_history(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(value) or None
    return dates.written(value) if isinstance(value, date) else value


class ChangePageMixin(ActionsMixin):
    form = TaskForm

    times = (
        time_column("completed_at", "completed"),
        time_column("created_at", "created"),
        time_column("updated_at", "updated"),
        time_column("deleted_at", "in the trash since"),
    )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.people_view)
        return [path("people/", view, name="tasks_task_people"), *super().get_urls()]

    def people_view(self, request: HttpRequest) -> HttpResponse:
        """The users whose name or e-mail address begins with `q`, for the form of a new task."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = people.find(request.GET.get("q", "")[:MAX_SEARCH_LENGTH])
        shown = [(person.email or person.id, person.name, person.id) for person in found.people]
        names = ("value", "name", "id")
        answer = [dict(zip(names, texts, strict=True)) for texts in shown]
        return JsonResponse({"people": answer, "are_too_many": found.are_too_many})

    def get_fields(self, request: HttpRequest, obj: Task | None = None) -> tuple[Any, ...]:
        if obj is None:
            return TaskForm.Meta.fields
        fields = TaskForm.Meta.fields[1:]
        if not self.has_change_permission(request, obj):
            texts = {"due_date": due_column(Clock.of(request)), "tags": tags_column()}
            fields = tuple(texts.get(name, name) for name in fields)
        return ("owner", *fields, *self.times)

    def get_readonly_fields(self, request: HttpRequest, obj: Task | None = None) -> tuple[Any, ...]:
        return () if obj is None else ("user_id", "owner", *self.times)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not for a task in the trash, so that it is unchanged when it is restored."""
        in_trash = obj is not None and obj.deleted_at is not None
        return not in_trash and super().has_change_permission(request, obj)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Task | None:
        """Locks the task that is about to change, so that the history has its true old values."""
        tasks = Task.objects.all()
        if request.method == "POST":
            tasks = tasks.select_for_update()
        try:
            return tasks.get(pk=object_id)
        except (Task.DoesNotExist, ValueError):
            return None

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if is_id(object_id):
            if request.method == "POST" and self._is_locked_in_trash(object_id):
                self.message_user(request, IN_TRASH, messages.WARNING)
                return HttpResponseRedirect(self.change_url(request, object_id))
            seen = request.POST.get(conflicts.SEEN) or conflicts.newest_entry(object_id)
            extra_context = {**(extra_context or {}), "seen": seen}
        return super().change_view(request, object_id, form_url, extra_context)

    def _is_locked_in_trash(self, object_id: str) -> bool:
        """Locks the task, so that nobody can move it to the trash until the form is saved."""
        tasks = Task.objects.filter(pk=object_id).select_for_update()
        return any(task.deleted_at for task in tasks)

    def act_on_task(self, request: HttpRequest, action: Action, pk: str) -> HttpResponse:
        """Shows the form again if staff have edited it: the action would lose what they entered."""
        if conflicts.SEEN in request.POST and (task := self.get_object(request, pk)):
            form = self.get_form(request, task, change=True)(request.POST, instance=task)
            if form.has_changed():
                return self.change_view(request, pk, self.change_url(request, pk))
        return super().act_on_task(request, action, pk)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Adds buttons for what the form cannot do, in place of Django's own button to delete."""
        task = kwargs.get("obj")
        in_trash = task is not None and task.deleted_at is not None
        names = ("restore" if in_trash else "trash", "purge")
        actions = [action for action in self.allowed_actions(request) if action.name in names]
        context |= {"actions": actions, "show_delete": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Task, form: TaskForm, change: bool) -> None:
        changes = form.changes()
        if not change:
            obj.save(force_insert=True)
            history.added(cast("int", request.user.pk), obj, changes)
            self._say_if_unknown(request, obj.user_id)
        elif changes:
            old = Task.objects.get(pk=obj.pk)  # the form has changed `obj` already
            Task.objects.filter(pk=obj.pk).update(**form.columns())
            history.changed(cast("int", request.user.pk), [(old, changes)])

    def _say_if_unknown(self, request: HttpRequest, user_id: str) -> None:
        owners = people.owners([user_id])
        if not owners.problem and user_id not in owners.people:
            self.message_user(
                request,
                f"Better Auth has no user {user_id}. Check the id: nobody may ever see this task.",
                messages.WARNING,
            )

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Does nothing: `save_model` has recorded it, with the values."""

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Does nothing: `save_model` has recorded it, with the values."""

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST":
            return HttpResponseNotAllowed(["GET", "HEAD"])
        response = super().history_view(request, object_id, extra_context)
        if context := getattr(response, "context_data", None):
            task, page_number = context["object"], request.GET.get(PAGE_VAR, 1)
            entries = history.of_task(task.pk).select_related("user")
            page = self.get_paginator(request, entries, HISTORY_PAGE_SIZE).get_page(page_number)
            owner_id = task.user_id
            context |= {
                "title": "Change history",
                "subtitle": str(task),
                "action_list": page,
                "page_range": page.paginator.get_elided_page_range(page.number),
                "pagination_required": page.paginator.num_pages > 1,
                "lines": history.lines(page, task.pk),
                "media": self.media,
                "owner": people.owners([owner_id]).cell(owner_id),
            }
        return response
