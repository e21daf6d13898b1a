"""What staff may do with tasks, each by a name, a permission, and old and new for the history."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tasks import history
from tasks.history import Values
from tasks.models import Priority, Task, TaskQuerySet


def _delete(tasks: TaskQuerySet) -> int:
    return tasks.delete()[0]


def _changed(staff_id: int, changes: Iterable[tuple[Task, Values]]) -> None:
    history.changed(staff_id, changes)


def _deleted(staff_id: int, changes: Iterable[tuple[Task, Values]]) -> None:
    history.deleted(staff_id, [task for task, _ in changes])


@dataclass(frozen=True)
class Action:
    name: str
    permission: str
    label: str
    done: str
    already: str
    changes: Callable[[Task], Values | None]
    """Old and new of what the action changes in a task; None where it already is so."""
    apply: Callable[[TaskQuerySet], int]
    write: Callable[[int, Iterable[tuple[Task, Values]]], None] = _changed
    in_trash: bool = True
    """Whether it reaches tasks in the trash: they come back as they were."""
    for_good: bool = False
    """Whether nobody can bring back what it did: it is asked about first, by a red button."""


def _sets(name: str, label: str, done: str, already: str, **fields: Any) -> Action:
    def changes(task: Task) -> Values | None:
        return {
            field: (getattr(task, field), value)
            for field, value in fields.items()
            if getattr(task, field) != value
        } or None

    def apply(tasks: TaskQuerySet) -> int:
        return tasks.update(**fields)

    return Action(name, "change", label, done, already, changes, apply, in_trash=False)


ACTIONS = {
    action.name: action
    for action in (
        _sets("complete", "Complete", "completed", "complete", complete=True),
        _sets("reopen", "Reopen", "reopened", "open", complete=False),
        *(
            _sets(
                f"priority_{priority}",
                f"Set priority: {priority}",
                f"set to {priority} priority",
                f"of {priority} priority",
                priority=priority,
            )
            for priority in Priority.values
        ),
        Action(
            "trash",
            "trash",
            "Move to the trash",
            "moved to the trash",
            "in the trash",
            lambda task: None if task.deleted_at else {"in_trash": (False, True)},
            TaskQuerySet.trash,
        ),
        Action(
            "restore",
            "restore",
            "Restore from the trash",
            "restored",
            "out of the trash",
            lambda task: {"in_trash": (True, False)} if task.deleted_at else None,
            TaskQuerySet.restore,
        ),
        Action(
            "purge",
            "delete",
            "Delete for good",
            "deleted for good",
            "",
            lambda _: {},
            _delete,
            _deleted,
            for_good=True,
        ),
    )
}
