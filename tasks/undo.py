"""Undoes an action of staff, from the old values in the history.

A task is changed back only if nobody has changed it since: its owner, its `updated_at`, which grows
with every change, and its place in the trash must be as the action left them. If the changes since
then were undone themselves, the task counts as unchanged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models import QuerySet

from tasks import history
from tasks.exchange import COLUMNS
from tasks.history import Bulk, Change
from tasks.models import ChangedTask, Task

RESTORED = [name for name in COLUMNS if name not in ("id", "user_id", "created_at", "updated_at")]
# `before` has some of the columns. The others keep the value that they have now.
UNDO = f"""
    UPDATE public.tasks_task AS task
    SET {", ".join(f'"{name}" = old."{name}"' for name in RESTORED)}
    FROM public.tasks_changedtask AS change
    JOIN public.tasks_task AS present ON present.id = change.task_id
    CROSS JOIN LATERAL jsonb_populate_record(present, change.before) AS old
    WHERE change.id = ANY(%s) AND task.id = present.id
"""  # noqa: S608  names of columns
# Earlier actions can be undone next, since these tasks are again as those left them.
AS_BEFORE = """
    UPDATE public.tasks_changedtask AS earlier SET updated_at = task.updated_at
    FROM public.tasks_changedtask AS change
    JOIN public.tasks_task AS task ON task.id = change.task_id
    WHERE change.id = ANY(%s) AND change.was_updated_at <> change.updated_at
        AND earlier.task_id = change.task_id AND earlier.updated_at = change.was_updated_at
"""


@dataclass(frozen=True)
class Undone:
    """Numbers of tasks: changed back, changed since and so left alone, and no longer there."""

    changed: int
    changed_since: int
    gone: int


def rest_of(entry_id: int) -> QuerySet[ChangedTask]:
    """What has not been undone yet."""
    return ChangedTask.objects.filter(
        entry_id=entry_id, undone_by__isnull=True, before__isnull=False
    )


def moves_trash(entry_id: int) -> bool:
    """Whether the action has moved tasks into the trash, or out of it."""
    values = ChangedTask.objects.filter(entry_id=entry_id).values_list("values", flat=True)
    return "in_trash" in (values.first() or {})


def undo(staff_id: int, entry: LogEntry, rows: Sequence[ChangedTask], bulk: Bulk) -> Undone:
    """Changes the tasks of some rows of the entry back. Call it in a transaction."""
    ids = [row.task_id for row in rows]
    locked = Task.objects.filter(pk__in=ids).order_by("pk").select_for_update()
    tasks = {task.pk: task for task in locked}
    # Read again: whoever had locked the tasks may have undone them.
    rest = rest_of(entry.pk).filter(pk__in=[row.pk for row in rows])
    present = [(tasks[row.task_id], row) for row in rest if row.task_id in tasks]
    unchanged = [(task, row) for task, row in present if _is_as_left(task, row)]
    if unchanged:
        pks = [row.pk for _, row in unchanged]
        with connection.cursor() as cursor:
            cursor.execute(UNDO, [pks])
            cursor.execute(AS_BEFORE, [pks])
        _record(staff_id, entry, [(task, _reversed(row)) for task, row in unchanged], bulk)
        ChangedTask.objects.filter(pk__in=pks).update(undone_by=bulk.entry_id)
    return Undone(len(unchanged), len(present) - len(unchanged), len(ids) - len(tasks))


def _is_as_left(task: Task, row: ChangedTask) -> bool:
    left = (row.user_id, row.updated_at, row.deleted_at)
    return (task.user_id, task.updated_at, task.deleted_at) == left


def _reversed(row: ChangedTask) -> history.Values:
    return {name: (new, old) for name, (old, new) in row.values.items()}


def _record(staff_id: int, entry: LogEntry, changes: Sequence[Change], bulk: Bulk) -> None:
    is_first = not bulk.entry_id
    if entry.object_id:
        (own,) = history.changed(staff_id, changes, "undo", entry.pk)
        bulk.entry_id = own.pk
    else:
        history.changed_in_bulk(staff_id, bulk, changes)
    if is_first:
        history.mark_undone(entry.pk, bulk.entry_id)
