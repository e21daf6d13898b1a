"""Gives the tasks of one user to another, after their accounts were merged.

Ids and times stay. The trash, the history of what staff changed, and page views of the audit move
too. Afterwards nobody can say which tasks came from which user, so the command asks for
confirmation.
"""

from functools import partial
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import QuerySet

from tasks import history
from tasks.management.maintenance import MaintenanceCommand, Step
from tasks.management.users import add_user
from tasks.models import ChangedTask, PageView, Task, TaskQuerySet

PASSES = 3
"""More than one, for what the old account does in the meantime."""


class Command(MaintenanceCommand):
    help = "Gives the tasks of one user to another, after their accounts were merged."
    verb = "reassigned"
    irreversible = True

    def add_arguments(self, parser: CommandParser) -> None:
        add_user(parser, "--from", "the old owner", dest="old", required=True)
        add_user(parser, "--to", "the new owner", dest="new", required=True)
        super().add_arguments(parser)

    def run(self, *, old: str, new: str, **_: Any) -> None:
        old, new = self.resolve(old, "from"), self.resolve(new, "to")
        if old == new:
            raise CommandError("--to must be another user than --from.", returncode=2)
        tasks = Task.objects.owned_by(old)
        reassign = partial(TaskQuerySet.reassign, user_id=new)
        hand_over = partial(history.hand_over, owner=old, new=new)

        def rename(rows: QuerySet[Any]) -> int:
            return rows.update(user_id=new)

        steps = [
            Step("task", tasks.alive(), reassign, by="-created_at"),
            Step("trashed task", tasks.trashed(), reassign, by="deleted_at"),
            Step("history record", history.naming(old), hand_over),
            Step("recorded change", ChangedTask.objects.filter(user_id=old), rename),
            Step("page view", PageView.objects.filter(user_id=old), rename),
        ]
        self.carry_out(steps, ask=new, passes=PASSES)
