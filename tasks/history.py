"""What staff changed, in Django's own log: who, when, which task, and old and new of each field.

An entry names the owner of the task too, so that all of one user's are found, also those of tasks
that are gone for good. What the users themselves do through the API is not written here.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import F, Func, QuerySet, TextField, Value
from django.db.models.functions import Concat, Substr

from tasks.models import Task

Values = Mapping[str, tuple[Any, Any]]
"""Old and new of each field that changed."""

OWNER = Func(F("change_message"), function="task_owner", output_field=TextField())


@dataclass(frozen=True)
class Line:
    """An entry as it is read: `changes` are field, old and new, as text."""

    entry: LogEntry
    did: str
    owner: str
    changes: list[tuple[str, str, str]]


def added(staff_id: int, task: Task, values: Values) -> None:
    _write(staff_id, ADDITION, [(task, values)])


def changed(staff_id: int, changes: Iterable[tuple[Task, Values]]) -> None:
    """In the transaction of the change itself, so that neither is there without the other."""
    _write(staff_id, CHANGE, changes)


def deleted(staff_id: int, tasks: Iterable[Task]) -> None:
    """For good. Of what stood in the tasks only the title is kept."""
    _write(staff_id, DELETION, ((task, {}) for task in tasks))


def of_task(task_id: int) -> QuerySet[LogEntry]:
    """Newest first."""
    return LogEntry.objects.filter(content_type=_of_tasks(), object_id=str(task_id)).order_by("-id")


def of_owner(user_id: str) -> QuerySet[LogEntry]:
    """Newest first, of all tasks that were this user's when staff changed them."""
    return LogEntry.objects.alias(task_owner=OWNER).filter(task_owner=user_id).order_by("-id")


def hand_over(entries: QuerySet[LogEntry], owner: str, new: str) -> int:
    """Entries of one owner become another's: who did what, when, stays."""
    rest = Substr("change_message", len(_beginning(owner)) + 1)
    return entries.update(change_message=Concat(Value(_beginning(new)), rest))


def lines(entries: Iterable[LogEntry]) -> list[Line]:
    return [_line(entry) for entry in entries]


def _write(staff_id: int, flag: int, changes: Iterable[tuple[Task, Values]]) -> None:
    content_type = _of_tasks()
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
    """In the form that Django reads too. The owner comes first: there `task_owner` looks."""
    did: dict[int, dict[str, Any]] = {
        ADDITION: {"added": {}},
        CHANGE: {"changed": {"fields": list(values)}},
        DELETION: {"deleted": {"name": "task", "object": task.title}},
    }
    message = {"owner": task.user_id, **did[flag], "values": values}
    return json.dumps([message], ensure_ascii=False, default=datetime.isoformat)


def _beginning(owner: str) -> str:
    return json.dumps([{"owner": owner}], ensure_ascii=False).removesuffix("}]")


def _line(entry: LogEntry) -> Line:
    message: dict[str, Any] = {}
    if entry.change_message.startswith('[{"owner": '):
        message = json.loads(entry.change_message)[0]
    changes = [
        (name.replace("_", " "), _text(old), _text(new))
        for name, (old, new) in message.get("values", {}).items()
    ]
    did = entry.get_action_flag_display()
    return Line(entry, did, message.get("owner", ""), changes)


def _text(value: Any) -> str:
    return {None: "nothing", True: "yes", False: "no"}.get(value) or str(value)


def _of_tasks() -> ContentType:
    return ContentType.objects.get_for_model(Task)
