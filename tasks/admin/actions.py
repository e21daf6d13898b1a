"""The actions that staff can run on tasks."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.functions import TransactionNow

from tasks import history
from tasks.history import Values
from tasks.models import Deletion, Priority, Task, TaskQuerySet


def _delete(tasks: TaskQuerySet) -> int:
    return tasks.delete()[0]


def _trash(tasks: TaskQuerySet) -> int:
    """At the time of the transaction, as `_record_trash` records it."""
    return tasks.trash(TransactionNow())


def _record_trash(staff_id: int, changes: Iterable[tuple[Task, Values]]) -> None:
    history.changed(staff_id, changes)
    Deletion.record(TransactionNow(), staff_id=staff_id)


def _record_changes(staff_id: int, changes: Iterable[tuple[Task, Values]]) -> None:
    history.changed(staff_id, changes)


def _record_deletions(staff_id: int, changes: Iterable[tuple[Task, Values]]) -> None:
    history.deleted(staff_id, [task for task, _ in changes])


@dataclass(frozen=True)
class Action:
    name: str
    permission: str
    label: str
    done: str
    """Completes "3 tasks …" in the message about tasks that the action changed."""
    unchanged: str
    """Completes "2 were …" in the message about tasks that needed no change."""
    changes: Callable[[Task], Values | None]
    """Old and new values of the fields that it changes in a task. None if it changes nothing."""
    apply: Callable[[TaskQuerySet], int]
    record: Callable[[int, Iterable[tuple[Task, Values]]], None] = _record_changes
    in_trash: bool = True
    """Whether it applies to tasks in the trash. Setting a field does not: they return unchanged."""
    permanent: bool = False
    """Whether it cannot be undone. Then its button is red, and staff must always confirm it."""


def _set_fields(name: str, label: str, done: str, unchanged: str, **fields: Any) -> Action:
    def changes(task: Task) -> Values | None:
        return {
            field: (getattr(task, field), value)
            for field, value in fields.items()
            if getattr(task, field) != value
        } or None

    def apply(tasks: TaskQuerySet) -> int:
        return tasks.update(**fields)

    return Action(name, "change", label, done, unchanged, changes, apply, in_trash=False)


ACTIONS = {
    action.name: action
    for action in (
        _set_fields("complete", "Complete", "completed", "already complete", complete=True),
        _set_fields("reopen", "Reopen", "reopened", "already open", complete=False),
        *(
            _set_fields(
                f"priority_{priority}",
                f"Set priority to {priority}",
                f"set to {priority} priority",
                f"already {priority} priority",
                priority=priority,
            )
            for priority in Priority.values
        ),
        Action(
            "trash",
            "trash",
            "Move to the trash",
            "moved to the trash",
            "already in the trash",
            lambda task: None if task.deleted_at else {"in_trash": (False, True)},
            _trash,
            _record_trash,
        ),
        Action(
            "restore",
            "restore",
            "Restore from the trash",
            "restored",
            "not in the trash",
            lambda task: {"in_trash": (True, False)} if task.deleted_at else None,
            TaskQuerySet.restore,
        ),
        Action(
            "purge",
            "delete",
            "Delete permanently",
            "permanently deleted",
            "",
            lambda _: {},
            _delete,
            _record_deletions,
            permanent=True,
        ),
    )
}
