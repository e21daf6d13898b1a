"""The page of one task: its form, its buttons, and its history."""

import re
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.validators import RegexValidator
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect

from authjwt import user_ids
from tasks import history
from tasks.admin.action_views import ActionsMixin
from tasks.admin.columns import time_column
from tasks.exchange import NULLABLE
from tasks.models import DESCRIPTION_LENGTH, TITLE_LENGTH, USER_ID_LENGTH, Task
from tasks.schemas import TaskFields

NO_SURROGATES = RegexValidator(
    "[\ud800-\udfff]", "Must not contain a lone surrogate.", inverse_match=True
)
LINE_BREAKS = re.compile("[\r\n]")


def validate_user_id(text: str) -> None:
    if not user_ids.is_user_id(text):
        raise forms.ValidationError(f"{user_ids.RULE.capitalize()}.")


class TextField(forms.CharField):
    """Turns the line breaks that browsers send, CR LF, back into LF."""

    default_validators = [NO_SURROGATES]  # noqa: RUF012  Django's type

    def to_python(self, value: Any) -> Any:
        return re.sub("\r\n?", "\n", super().to_python(value) or "")


class TitleField(TextField):
    def has_changed(self, initial: Any, data: Any) -> bool:
        """Ignores line breaks: browsers remove them from a single-line field."""
        before, after = (LINE_BREAKS.sub("", self.to_python(text)) for text in (initial, data))
        return before != after


class TaskForm(forms.ModelForm):  # type: ignore[type-arg] # not subscriptable at run time
    """Accepts what the API accepts, and writes only the fields that staff have edited.

    Each field carries the value that the page showed, so that an untouched field does not overwrite
    a change that the user has made since then.
    """

    user_id = TextField(
        max_length=USER_ID_LENGTH, strip=False, label="User", validators=[validate_user_id]
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

    due_date = forms.CharField(required=False)
    tags = forms.CharField(required=False)

    class Meta:
        model = Task
        fields = ("user_id", *TaskFields.model_fields)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.show_hidden_initial = self.instance.pk is not None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if self.instance.pk is not None:
            data |= {name: self.initial[name] for name in data if name not in self.changed_data}
        for name in NULLABLE & data.keys():
            if name in self.changed_data or self.instance.pk is None:
                data[name] = data[name] or None
        return data

    def changes(self) -> history.Values:
        """Old and new values of the fields that staff have edited."""
        return {
            name: (self.initial.get(name), new)
            for name, new in self.cleaned_data.items()
            if self.initial.get(name) != new
        }


class ChangePageMixin(ActionsMixin):
    form = TaskForm
    times = (
        time_column("completed_at", "completed"),
        time_column("created_at", "created"),
        time_column("updated_at", "updated"),
        time_column("deleted_at", "in the trash since"),
    )

    def get_fields(self, request: HttpRequest, obj: Task | None = None) -> tuple[Any, ...]:
        if obj is None:
            return TaskForm.Meta.fields
        return ("owner", *TaskForm.Meta.fields[1:], *self.times)

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
        trash = Task.objects.trashed()
        if request.method == "POST" and object_id.isdecimal() and trash.filter(pk=object_id):
            self.message_user(
                request,
                "This task is in the trash. Restore it before you change it.",
                messages.WARNING,
            )
            return HttpResponseRedirect(request.get_full_path())
        return super().change_view(request, object_id, form_url, extra_context)

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
        elif changes:
            new = {name: new for name, (_, new) in changes.items()}
            Task.objects.filter(pk=obj.pk).update(**new)
            history.changed(cast("int", request.user.pk), [(obj, changes)])

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
            context |= {"lines": history.lines(context["action_list"]), "media": self.media}
        return response
