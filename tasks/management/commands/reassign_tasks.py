"""Gives the tasks of one user to another, after their accounts were merged.

Ids and times stay. The trash goes along, and so does what staff changed. Afterwards nothing tells
any more which of the tasks were whose, so it asks.
"""

from functools import partial
from typing import Any

from django.core.management.base import CommandError, CommandParser

from tasks import history
from tasks.management.arguments import user_id
from tasks.management.maintenance import MaintenanceCommand, Step
from tasks.models import Task, TaskQuerySet

PASSES = 3
"""For what the old account does meanwhile."""


class Command(MaintenanceCommand):
    help = "Gives the tasks of one user to another: accounts that were merged."
    verb = "reassigned"
    irreversible = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="old", metavar="ID", type=user_id, required=True)
        parser.add_argument("--to", dest="new", metavar="ID", type=user_id, required=True)
        super().add_arguments(parser)

    def run(self, *, old: str, new: str, **_: Any) -> None:
        if old == new:
            raise CommandError("--to: must be another user than --from", returncode=2)
        tasks = Task.objects.owned_by(old)
        reassign = partial(TaskQuerySet.reassign, user_id=new)
        hand_over = partial(history.hand_over, owner=old, new=new)
        steps = [
            Step("task", tasks.alive(), reassign, by="-created_at"),
            Step("trashed task", tasks.trashed(), reassign, by="deleted_at"),
            Step("history record", history.of_owner(old), hand_over),
        ]
        self.carry_out(steps, ask=new, passes=PASSES)
