"""The page of one task: its form, what can be done with it, and what staff changed about it."""

import re
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.validators import RegexValidator
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect

from authjwt import user_ids
from tasks import history
from tasks.admin.changelist import moment
from tasks.admin.run import Acting
from tasks.models import DESCRIPTION_LENGTH, TITLE_LENGTH, USER_ID_LENGTH, Task

STORABLE = RegexValidator(
    "[\ud800-\udfff]", "Must not contain a lone surrogate.", inverse_match=True
)
LINE_BREAKS = re.compile("[\r\n]")


def validate_user_id(text: str) -> None:
    if not user_ids.is_user_id(text):
        raise forms.ValidationError(f"{user_ids.RULE.capitalize()}.")


class Text(forms.CharField):
    """As a browser sends it, with line breaks of its own."""

    default_validators = [STORABLE]  # noqa: RUF012  Django's type

    def to_python(self, value: Any) -> Any:
        return re.sub("\r\n?", "\n", super().to_python(value) or "")


class Title(Text):
    def has_changed(self, initial: Any, data: Any) -> bool:
        """A field of one line loses its line breaks in the browser, untouched by anybody."""
        before, after = (LINE_BREAKS.sub("", self.to_python(text)) for text in (initial, data))
        return before != after


class TaskForm(forms.ModelForm):  # type: ignore[type-arg] # not subscriptable when it runs
    """Takes what the API takes, and tells what staff touched from what the page only showed.

    Each field carries the value that the page showed: what staff left as it was is not written,
    so that a change which the user made meanwhile stays.
    """

    user_id = Text(
        max_length=USER_ID_LENGTH, strip=False, label="User", validators=[validate_user_id]
    )
    title = Title(
        max_length=TITLE_LENGTH, widget=forms.TextInput(attrs={"class": "vLargeTextField"})
    )
    description = Text(
        max_length=DESCRIPTION_LENGTH,
        strip=False,
        required=False,
        widget=forms.Textarea(attrs={"class": "vLargeTextField"}),
    )

    class Meta:
        model = Task
        fields = ("user_id", "title", "description", "complete", "priority")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.show_hidden_initial = self.instance.pk is not None

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if self.instance.pk is not None:
            given |= {name: self.initial[name] for name in given if name not in self.changed_data}
        if "description" in self.changed_data or self.instance.pk is None:
            given["description"] = given.get("description") or None
        return given

    def values(self) -> dict[str, tuple[Any, Any]]:
        """Old and new of what staff changed."""
        return {
            name: (self.initial.get(name), new)
            for name, new in self.cleaned_data.items()
            if self.initial.get(name) != new
        }


class ChangePage(Acting):
    form = TaskForm
    times = (
        moment("completed_at", "completed"),
        moment("created_at", "created"),
        moment("updated_at", "updated"),
        moment("deleted_at", "in the trash since"),
    )

    def get_fields(self, request: HttpRequest, obj: Task | None = None) -> tuple[Any, ...]:
        return (
            ("user_id", *TaskForm.Meta.fields[1:])
            if obj is None
            else ("owner", *TaskForm.Meta.fields[1:], *self.times)
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Task | None = None) -> tuple[Any, ...]:
        return () if obj is None else ("user_id", "owner", *self.times)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What is in the trash comes back as it was."""
        in_trash = obj is not None and obj.deleted_at is not None
        return not in_trash and super().has_change_permission(request, obj)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Task | None:
        """Locked when it is about to be changed, so that the history has what really was there."""
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
        trashed = Task.objects.trashed()
        if request.method == "POST" and object_id.isdecimal() and trashed.filter(pk=object_id):
            self.message_user(
                request, "It is in the trash. Restore it to change it.", messages.WARNING
            )
            return HttpResponseRedirect(request.get_full_path())
        return super().change_view(request, object_id, form_url, extra_context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Beside the form stands what it cannot do; Django's own button to delete does not."""
        task = kwargs.get("obj")
        in_trash = task is not None and task.deleted_at is not None
        names = ("restore" if in_trash else "trash", "purge")
        actions = [action for action in self.allowed(request) if action.name in names]
        context |= {"actions": actions, "show_delete": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Task, form: TaskForm, change: bool) -> None:
        values = form.values()
        if not change:
            obj.save(force_insert=True)
            history.added(cast("int", request.user.pk), obj, values)
        elif values:
            new = {name: new for name, (_, new) in values.items()}
            Task.objects.filter(pk=obj.pk).update(**new)
            history.changed(cast("int", request.user.pk), [(obj, values)])

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """`save_model` wrote it, with the values."""

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """`save_model` wrote it, with the values."""

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST":
            return HttpResponseNotAllowed(["GET", "HEAD"])
        response = super().history_view(request, object_id, extra_context)
        if context := getattr(response, "context_data", None):
            context |= {"lines": history.lines(context["action_list"]), "media": self.media}
        return response
