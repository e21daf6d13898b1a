"""Brings back what a user deleted, unchanged.

It does not ask for confirmation: the user can delete the tasks again.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandParser

from tasks.management.arguments import age, user_id
from tasks.management.maintenance import MaintenanceCommand, Step
from tasks.models import Task, TaskQuerySet


class Command(MaintenanceCommand):
    help = "Brings back what a user deleted."
    verb = "restored"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--user", metavar="ID", type=user_id, required=True, help="the owner of the tasks"
        )
        parser.add_argument(
            "--since",
            metavar="AGE",
            type=age,
            help="only what was deleted within the last 30m, 2h or 7d",
        )
        super().add_arguments(parser)

    def run(self, *, user: str, since: timedelta | None, **_: Any) -> None:
        rows = Task.objects.owned_by(user).trashed()
        if since is not None:
            rows = rows.filter(deleted_at__gte=datetime.now(UTC) - since)
        self.carry_out([Step("task", rows, TaskQuerySet.restore, by="deleted_at")])
