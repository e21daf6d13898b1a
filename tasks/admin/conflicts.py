"""What others have changed in a task since a member of staff opened its form.

Each field of the form carries the value that the page showed (`show_hidden_initial`). The task is
locked while a form is saved, so the comparison with it holds until the transaction ends.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils.safestring import SafeString

from tasks import history
from tasks.admin.columns import time_text
from tasks.admin.strict_list import is_id
from tasks.history import Line

THEIRS, MINE = CHOICES = ("theirs", "mine")
SEEN = "seen"
"""The form field with the newest history entry of the task at the time when the page was opened."""


@dataclass(frozen=True)
class ForeignChange:
    """A field that somebody else has changed, and the values as text.

    shown, theirs, mine: when the page was opened, now, and as entered; mine is None if staff have
    not edited this field. shown_text: as the form carries it. by: the name of a member of staff;
    empty if it was the user, or a command. at: when staff did it.
    """

    name: str
    label: str
    shown: str
    shown_text: str
    theirs: str
    mine: str | None
    by: str
    at: datetime | None

    @property
    def time(self) -> SafeString | str:
        return time_text(self.at) if self.at else ""


def newest_entry(task_id: str) -> int:
    """Call it before the task is read, so that no later entry counts as seen."""
    return history.of_task(int(task_id)).values_list("pk", flat=True).first() or 0


def choice(form: forms.BaseForm, name: str) -> str:
    """What staff have chosen on the page that showed the conflict. Empty if nothing."""
    chosen = str(form.data.get(f"keep-{name}", ""))
    return chosen if chosen in CHOICES else ""


def shown_value(form: forms.BaseForm, name: str) -> Any:
    return form.data.get(form.add_initial_prefix(name))


def take_theirs(form: forms.BaseForm) -> None:
    """Replaces what staff have entered where they have chosen to keep the other value."""
    theirs = [name for name in form.fields if choice(form, name) == THEIRS]
    if theirs:
        data = _copy_of_data(form)
        for name in theirs:
            data[form.add_prefix(name)] = shown_value(form, name) or ""


def foreign_changes(
    form: "forms.ModelForm[Any]", mine: Mapping[str, Any]
) -> Iterator[ForeignChange]:
    """Also those of fields that staff have not edited. mine: valid values of edited fields."""
    undecided = _copy_of_data(form).getlist("conflict")
    changed = {
        name
        for name, field in form.fields.items()
        if field.has_changed(form.initial.get(name), shown_value(form, name))
    }
    names = [
        name
        for name in form.fields
        if name in changed or (name in undecided and not choice(form, name))
    ]
    entries = _entries_since(form) if names else []
    for name in names:
        field, theirs = form.fields[name], _text(form.initial.get(name))
        line = next((line for line in entries if _changed_to(line, name, theirs)), None)
        text = _text(mine.get(name, form.data.get(name)))
        shown = form.data.get(f"shown-{name}", shown_value(form, name))
        yield ForeignChange(
            name,
            str(form[name].label),
            _text(_cleaned(field, shown)),
            shown or "",
            theirs,
            text if name in form.changed_data and text != theirs else None,
            line.entry.user.get_username() if line else "",
            line.entry.action_time if line else None,
        )


def rebase(form: "forms.ModelForm[Any]", changes: list[ForeignChange]) -> None:
    """Makes the form that is shown again carry the present values, so that the next save compares
    with these. Fields that staff have not edited show them too.
    """
    data = _copy_of_data(form)
    for change in changes:
        text = form.fields[change.name].prepare_value(form.initial.get(change.name))
        text = "" if text is None else str(text)
        data[form.add_initial_prefix(change.name)] = text
        if change.mine is None:
            data[form.add_prefix(change.name)] = text


def _copy_of_data(form: forms.BaseForm) -> QueryDict:
    """Becomes the data of the form, since those of a request cannot be changed."""
    data = cast("QueryDict", form.data).copy()
    form.data = data
    return data


def _entries_since(form: "forms.ModelForm[Any]") -> list[Line]:
    seen = str(form.data.get(SEEN, ""))
    entries = history.of_task(form.instance.pk).filter(pk__gt=int(seen) if is_id(seen) else 0)
    return history.lines(entries.select_related("user")[:100])


def _changed_to(line: Line, name: str, text: str) -> bool:
    return any((field, new) == (name.replace("_", " "), text) for field, _, new in line.changes)


def _text(value: Any) -> str:
    return history.text_of(None if value == "" else value)


def _cleaned(field: forms.Field, text: Any) -> Any:
    try:
        return field.to_python(text)
    except forms.ValidationError:
        return text
