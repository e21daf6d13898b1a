"""The history of staff changes, in Django's admin log: who, when, which task, old and new values.

An entry also names the owner of the task, so that all entries of one user can be found, even those
of tasks that were permanently deleted. Changes that users make through the API are not recorded.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import F, Func, QuerySet, TextField, Value
from django.db.models.functions import Concat, Substr

from authjwt.wording import count
from tasks import dates
from tasks.models import Task

Values = Mapping[str, tuple[Any, Any]]
"""Field -> its old and new value, for each field that changed."""

OWNER = Func(F("change_message"), function="task_owner", output_field=TextField())


@dataclass(frozen=True)
class Line:
    """An entry as pages show it.

    changes: (field, old value, new value), as text. note: the filters of an export.
    """

    entry: LogEntry
    action: str
    owner: str
    changes: list[tuple[str, str, str]]
    note: str = ""


def added(staff_id: int, task: Task, values: Values) -> None:
    _write(staff_id, ADDITION, [(task, values)])


def changed(staff_id: int, changes: Iterable[tuple[Task, Values]]) -> None:
    """Call it in the transaction of the change, so that both are committed or neither."""
    _write(staff_id, CHANGE, changes)


def deleted(staff_id: int, tasks: Iterable[Task]) -> None:
    """For tasks that were permanently deleted. Of their content, only the title is kept."""
    _write(staff_id, DELETION, ((task, {}) for task in tasks))


def exported(staff_id: int, number: int, file_format: str, filters: Mapping[str, str]) -> None:
    """If the filters name one user, the entry is in the history of this user."""
    message = {"owner": filters.get("user", ""), "filters": filters}
    LogEntry.objects.create(
        user_id=staff_id,
        content_type=_task_content_type(),
        object_id=None,
        object_repr=f"{count(number, 'task')} exported as {file_format}",
        action_flag=CHANGE,
        change_message=json.dumps([message], ensure_ascii=False),
    )


def of_task(task_id: int) -> QuerySet[LogEntry]:
    """Newest first."""
    return LogEntry.objects.filter(
        content_type=_task_content_type(), object_id=str(task_id)
    ).order_by("-id")


def of_owner(user_id: str) -> QuerySet[LogEntry]:
    """Newest first, for all tasks that belonged to this user when staff changed them."""
    return LogEntry.objects.alias(task_owner=OWNER).filter(task_owner=user_id).order_by("-id")


def hand_over(entries: QuerySet[LogEntry], owner: str, new: str) -> int:
    """Replaces the owner that entries name. Nothing else in them changes."""
    rest = Substr("change_message", len(_prefix(owner)) + 1)
    return entries.update(change_message=Concat(Value(_prefix(new)), rest))


def lines(entries: Iterable[LogEntry]) -> list[Line]:
    return [_line(entry) for entry in entries]


def _write(staff_id: int, flag: int, changes: Iterable[tuple[Task, Values]]) -> None:
    content_type = _task_content_type()
    LogEntry.objects.bulk_create(
        LogEntry(
            user_id=staff_id,
            content_type=content_type,
            object_id=str(task.pk),
            object_repr=task.title,
            action_flag=flag,
            change_message=_message(task, flag, values),
        )
        for task, values in changes
    )


def _message(task: Task, flag: int, values: Values) -> str:
    """In a format that Django can read too. The owner must come first, for `task_owner` in SQL."""
    django_part: dict[int, dict[str, Any]] = {
        ADDITION: {"added": {}},
        CHANGE: {"changed": {"fields": list(values)}},
        DELETION: {"deleted": {"name": "task", "object": task.title}},
    }
    message = {"owner": task.user_id, **django_part[flag], "values": values}
    return json.dumps([message], ensure_ascii=False, default=dates.written)


def _prefix(owner: str) -> str:
    return json.dumps([{"owner": owner}], ensure_ascii=False).removesuffix("}]")


def _line(entry: LogEntry) -> Line:
    message: dict[str, Any] = {}
    if entry.change_message.startswith('[{"owner": '):
        message = json.loads(entry.change_message)[0]
    changes = [
        (name.replace("_", " "), text_of(old), text_of(new))
        for name, (old, new) in message.get("values", {}).items()
    ]
    filters = message.get("filters")
    action = entry.get_action_flag_display() if filters is None else "Export"
    note = ", ".join(f"{name}: {text}" for name, text in (filters or {}).items())
    return Line(entry, action, message.get("owner", ""), changes, note)


def text_of(value: Any) -> str:
    """A value of a field as pages show it."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "(none)"
    if isinstance(value, date):
        return dates.written(value)
    return {None: "(none)", True: "yes", False: "no"}.get(value) or str(value)


def _task_content_type() -> ContentType:
    return ContentType.objects.get_for_model(Task)
