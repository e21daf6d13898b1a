"""The history of staff changes, in Django's admin log: who, when, which task, old and new values.

An entry also names the owner of the task, so that all entries of one user can be found, even those
of tasks that were permanently deleted. An action on many tasks is one entry without a task, and
what it has changed in each of them is in `ChangedTask`, which every action has that can be undone.
Changes that users make through the API are not recorded.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import F, Func, QuerySet, TextField, Value
from django.db.models.functions import Concat, Substr

from authjwt.wording import count
from tasks import dates
from tasks.models import ChangedTask, Task

Values = Mapping[str, tuple[Any, Any]]
"""Field -> its old and new value, for each field that changed."""
Change = tuple[Task, Values]
"""A task as it was before the change, and what has changed."""

OWNER = Func(F("change_message"), function="task_owner", output_field=TextField())

COLUMNS = {
    "due_date": ("due_day", "due_at"),
    "complete": ("complete", "completed_at"),
    "in_trash": ("deleted_at",),
}
"""The columns behind a field of the history, if they have other names."""
LABELS = {
    "add": "Add",
    "change": "Change",
    "complete": "Complete",
    "reopen": "Reopen",
    "priority_low": "Set priority to low",
    "priority_medium": "Set priority to medium",
    "priority_high": "Set priority to high",
    "trash": "Move to the trash",
    "restore": "Restore from the trash",
    "purge": "Delete permanently",
    "undo": "Undo",
    "export": "Export",
    "account": "Staff account or group",
}
"""Action -> what pages call it. The function `task_action` of the database finds the action."""
FLAGS = {"add": ADDITION, "purge": DELETION}
CANNOT_BE_UNDONE = {"", "add", "purge", "export"}
"""Nothing is kept that could be restored. Entries of earlier releases name no action."""


@dataclass(frozen=True)
class Line:
    """An entry as pages show it.

    name: of the action, empty for entries of earlier releases. action: what pages call it.
    changes: (field, old value, new value), as text. note: the filters of an export or an action on
    many tasks. undoes, undone_by: ids of other entries, 0 for none.
    """

    entry: LogEntry
    name: str
    action: str
    owner: str
    changes: list[tuple[str, str, str]]
    note: str = ""
    undoes: int = 0
    undone_by: int = 0

    @property
    def is_bulk(self) -> bool:
        return not self.entry.object_id and self.name not in ("", "export")

    @property
    def is_of_account(self) -> bool:
        """Of a staff account or group, written by Django."""
        return self.entry.content_type_id != _task_content_type().pk

    @property
    def can_be_undone(self) -> bool:
        return self.name not in CANNOT_BE_UNDONE


@dataclass
class Bulk:
    """The entry of an action on many tasks, which grows with each batch.

    entry_id: 0 until the first task was changed. done: completes "3 tasks …".
    """

    action: str
    done: str
    filters: Mapping[str, str] = field(default_factory=dict)
    entry_id: int = 0
    number: int = 0
    undoes: int = 0


def added(staff_id: int, task: Task, values: Values) -> None:
    _write(staff_id, "add", [(task, values)])


def changed(
    staff_id: int, changes: Iterable[Change], action: str = "change", undoes: int = 0
) -> list[LogEntry]:
    """Writes an entry for each task, and returns them.

    Call it after the change, in its transaction, so that both are committed or neither.
    """
    changes = list(changes)
    entries = _write(staff_id, action, changes, undoes)
    _keep(entries, changes)
    return entries


def changed_in_bulk(staff_id: int, bulk: Bulk, changes: Collection[Change]) -> None:
    """One entry for all batches of an action. Call it as `changed`."""
    bulk.number += len(changes)
    text = f"{count(bulk.number, 'task')} {bulk.done}"
    if bulk.entry_id:
        LogEntry.objects.filter(pk=bulk.entry_id).update(object_repr=text)
    else:
        message = {
            "owner": bulk.filters.get("user", ""),
            "action": bulk.action,
            "filters": bulk.filters,
            **({"undoes": bulk.undoes} if bulk.undoes else {}),
        }
        bulk.entry_id = _log(staff_id, text, message, FLAGS.get(bulk.action, CHANGE)).pk
    _keep([LogEntry(pk=bulk.entry_id)] * len(changes), changes)


def deleted(staff_id: int, tasks: Iterable[Task]) -> None:
    """For tasks that were permanently deleted. Of their content, only the title is kept."""
    _write(staff_id, "purge", [(task, {}) for task in tasks])


def exported(staff_id: int, number: int, file_format: str, filters: Mapping[str, str]) -> None:
    """If the filters name one user, the entry is in the history of this user."""
    message = {"owner": filters.get("user", ""), "action": "export", "filters": filters}
    _log(staff_id, f"{count(number, 'task')} exported as {file_format}", message, CHANGE)


def mark_undone(entry_id: int, undone_by: int) -> None:
    for entry in LogEntry.objects.filter(pk=entry_id).select_for_update():
        message = _message_of(entry) | {"undone_by": undone_by}
        LogEntry.objects.filter(pk=entry_id).update(change_message=_json(message))


def of_task(task_id: int) -> QuerySet[LogEntry]:
    """Newest first."""
    single = LogEntry.objects.filter(content_type=_task_content_type(), object_id=str(task_id))
    return _entries(single, ChangedTask.objects.filter(task_id=task_id))


def of_owner(user_id: str) -> QuerySet[LogEntry]:
    """Newest first: all that staff did with tasks that belonged to this user at that time."""
    return _entries(naming(user_id), ChangedTask.objects.filter(user_id=user_id))


def naming(user_id: str) -> QuerySet[LogEntry]:
    """The entries that are about this user alone. Others changed tasks of several users."""
    return LogEntry.objects.alias(task_owner=OWNER).filter(task_owner=user_id)


def latest(*, with_accounts: bool) -> QuerySet[LogEntry]:
    """Newest first, by all staff. with_accounts: also what was done to accounts and groups."""
    entries = LogEntry.objects.select_related("user", "content_type").order_by("-id")
    return entries if with_accounts else entries.filter(content_type=_task_content_type())


def hand_over(entries: QuerySet[LogEntry], owner: str, new: str) -> int:
    """Replaces the owner that entries name. Nothing else in them changes."""
    rest = Substr("change_message", len(_prefix(owner)) + 1)
    return entries.update(change_message=Concat(Value(_prefix(new)), rest))


def lines(entries: Iterable[LogEntry], task_id: int | None = None) -> list[Line]:
    """task_id: the changes of this task are shown, also those by an action on many."""
    entries = list(entries)
    in_bulk: dict[int, Any] = {}
    if task_id is not None:
        ids = [entry.pk for entry in entries if not entry.object_id]
        rows = ChangedTask.objects.filter(task_id=task_id, entry__in=ids) if ids else ()
        in_bulk = {row.entry_id: row.values for row in rows}
    return [_line(entry, in_bulk.get(entry.pk)) for entry in entries]


def shown(values: Mapping[str, Sequence[Any]]) -> list[tuple[str, str, str]]:
    """(field, old value, new value), as text."""
    return [
        (name.replace("_", " "), text_of(old), text_of(new)) for name, (old, new) in values.items()
    ]


def _entries(
    entries: QuerySet[LogEntry], changed_tasks: QuerySet[ChangedTask]
) -> QuerySet[LogEntry]:
    # A union, since PostgreSQL would read the whole log for an OR of the two.
    ids = entries.order_by().values("pk").union(changed_tasks.order_by().values("entry_id"))
    return LogEntry.objects.filter(pk__in=ids).order_by("-id")


def _write(
    staff_id: int, action: str, changes: Iterable[Change], undoes: int = 0
) -> list[LogEntry]:
    content_type = _task_content_type()
    return LogEntry.objects.bulk_create(
        LogEntry(
            user_id=staff_id,
            content_type=content_type,
            object_id=str(task.pk),
            object_repr=_new_title(task, values),
            action_flag=FLAGS.get(action, CHANGE),
            change_message=_message(task, action, values, undoes),
        )
        for task, values in changes
    )


def _log(staff_id: int, text: str, message: Any, flag: int) -> LogEntry:
    return LogEntry.objects.create(
        user_id=staff_id,
        content_type=_task_content_type(),
        object_id=None,
        object_repr=text,
        action_flag=flag,
        change_message=_json(message),
    )


def _keep(entries: Sequence[LogEntry], changes: Collection[Change]) -> None:
    """Keeps what is needed to undo the changes. What was permanently deleted has no version."""
    tasks = Task.objects.filter(pk__in=[task.pk for task, _ in changes])
    after = {pk: times for pk, *times in tasks.values_list("pk", "updated_at", "deleted_at")}
    ChangedTask.objects.bulk_create(
        ChangedTask(
            entry_id=entry.pk,
            task_id=task.pk,
            user_id=task.user_id,
            title=_new_title(task, values),
            values=_plain(values),
            before=_before(task, values) if task.pk in after else None,
            was_updated_at=task.updated_at,
            updated_at=after.get(task.pk, (None, None))[0],
            deleted_at=after.get(task.pk, (None, None))[1],
        )
        for entry, (task, values) in zip(entries, changes, strict=True)
    )


def _before(task: Task, values: Values) -> dict[str, Any]:
    columns = [column for name in values for column in COLUMNS.get(name, (name,))]
    before: dict[str, Any] = _plain({column: getattr(task, column) for column in columns})
    return before


def _new_title(task: Task, values: Values) -> str:
    return str(values["title"][1]) if "title" in values else task.title


def _message(task: Task, action: str, values: Values, undoes: int) -> str:
    """In a format that Django can read too. The owner must come first, for `task_owner` in SQL."""
    django_part: dict[int, dict[str, Any]] = {
        ADDITION: {"added": {}},
        CHANGE: {"changed": {"fields": list(values)}},
        DELETION: {"deleted": {"name": "task", "object": task.title}},
    }
    return _json(
        {
            "owner": task.user_id,
            "action": action,
            **({"undoes": undoes} if undoes else {}),
            **django_part[FLAGS.get(action, CHANGE)],
            "values": values,
        }
    )


def _json(message: Any) -> str:
    return json.dumps([message], ensure_ascii=False, default=dates.written)


def _plain(values: Any) -> Any:
    """As JSON has them."""
    return json.loads(json.dumps(values, default=dates.written))


def _prefix(owner: str) -> str:
    return json.dumps([{"owner": owner}], ensure_ascii=False).removesuffix("}]")


def _message_of(entry: LogEntry) -> dict[str, Any]:
    if not entry.change_message.startswith('[{"owner": '):
        return {}
    message: dict[str, Any] = json.loads(entry.change_message)[0]
    return message


def _line(entry: LogEntry, values_in_bulk: Any = None) -> Line:
    message = _message_of(entry)
    filters = message.get("filters")
    name = message.get("action", "" if filters is None else "export")
    return Line(
        entry,
        name,
        LABELS.get(name) or entry.get_action_flag_display(),
        message.get("owner", ""),
        shown(values_in_bulk or message.get("values", {})),
        ", ".join(f"{name}: {text}" for name, text in (filters or {}).items()),
        message.get("undoes", 0),
        message.get("undone_by", 0),
    )


def text_of(value: Any) -> str:
    """A value of a field as pages show it."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "(none)"
    if isinstance(value, date):
        return dates.written(value)
    return {None: "(none)", True: "yes", False: "no"}.get(value) or str(value)


def _task_content_type() -> ContentType:
    return ContentType.objects.get_for_model(Task)
