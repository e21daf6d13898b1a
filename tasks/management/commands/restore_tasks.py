"""Brings back what a user deleted, unchanged.

It does not ask for confirmation: the user can delete the tasks again.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from tasks.management.arguments import age, timestamp
from tasks.management.maintenance import MaintenanceCommand, Step
from tasks.management.users import add_user
from tasks.models import Task, TaskQuerySet


class Command(MaintenanceCommand):
    help = "Brings back what a user deleted."
    verb = "restored"

    def add_arguments(self, parser: CommandParser) -> None:
        add_user(parser, "--user", "the owner of the tasks")
        parser.add_argument(
            "--deleted-at",
            metavar="TIME",
            type=timestamp,
            help="what one purge_tasks --orphans moved to the trash: the time in its receipt",
        )
        parser.add_argument(
            "--since",
            metavar="AGE",
            type=age,
            help="only what was deleted within the last 30m, 2h or 7d",
        )
        super().add_arguments(parser)

    def run(
        self, *, user: str | None, deleted_at: datetime | None, since: timedelta | None, **_: Any
    ) -> None:
        if user is None and deleted_at is None:
            raise CommandError(
                "Name the user with --user, or a run with --deleted-at.", returncode=2
            )
        rows = Task.objects.trashed()
        if user is not None:
            rows = rows.owned_by(self.resolve(user))
        if deleted_at is not None:
            rows = rows.filter(deleted_at=deleted_at)
        if since is not None:
            rows = rows.filter(deleted_at__gte=datetime.now(UTC) - since)
        self.carry_out([Step("task", rows, TaskQuerySet.restore, by="deleted_at")])
