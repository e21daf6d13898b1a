"""The actions that staff can run on tasks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.functions import TransactionNow

from tasks import history
from tasks.history import Values
from tasks.models import Priority, Task, TaskQuerySet


def _delete(tasks: TaskQuerySet) -> int:
    return tasks.delete()[0]


def _trash(tasks: TaskQuerySet) -> int:
    """At the time of the transaction, under which `Deletion` records who did it."""
    return tasks.trash(TransactionNow())


@dataclass(frozen=True)
class Action:
    name: str
    permission: str
    done: str
    """Completes "3 tasks …" in the message about tasks that the action changed."""
    unchanged: str
    """Completes "2 were …" in the message about tasks that needed no change."""
    changes: Callable[[Task], Values | None]
    """Old and new values of the fields that it changes in a task. None if it changes nothing."""
    apply: Callable[[TaskQuerySet], int]
    in_trash: bool = True
    """Whether it applies to tasks in the trash. Setting a field does not: they return unchanged."""
    permanent: bool = False
    """Whether it cannot be undone. Then its button is red, and staff must always confirm it."""

    @property
    def label(self) -> str:
        return history.LABELS[self.name]


def _set_fields(name: str, done: str, unchanged: str, **fields: Any) -> Action:
    def changes(task: Task) -> Values | None:
        return {
            field: (getattr(task, field), value)
            for field, value in fields.items()
            if getattr(task, field) != value
        } or None

    def apply(tasks: TaskQuerySet) -> int:
        return tasks.update(**fields)

    return Action(name, "change", done, unchanged, changes, apply, in_trash=False)


ACTIONS = {
    action.name: action
    for action in (
        _set_fields("complete", "completed", "already complete", complete=True),
        _set_fields("reopen", "reopened", "already open", complete=False),
        *(
            _set_fields(
                f"priority_{priority}",
                f"set to {priority} priority",
                f"already {priority} priority",
                priority=priority,
            )
            for priority in Priority.values
        ),
        Action(
            "trash",
            "trash",
            "moved to the trash",
            "already in the trash",
            lambda task: None if task.deleted_at else {"in_trash": (False, True)},
            _trash,
        ),
        Action(
            "restore",
            "restore",
            "restored",
            "not in the trash",
            lambda task: {"in_trash": (True, False)} if task.deleted_at else None,
            TaskQuerySet.restore,
        ),
        Action(
            "purge",
            "delete",
            "permanently deleted",
            "",
            lambda _: {},
            _delete,
            permanent=True,
        ),
    )
}
