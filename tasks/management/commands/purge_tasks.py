"""Permanently deletes what has been in the trash longer than the retention.

With --completed-before it deletes other tasks instead: those that are alive, and were completed
before that time. They do not go to the trash, so they cannot be restored.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from tasks.management.arguments import age, timestamp, user_id
from tasks.management.maintenance import MaintenanceCommand, Step, delete
from tasks.models import Task


class Command(MaintenanceCommand):
    help = "Permanently deletes what has been in the trash longer than the retention."
    verb = "permanently deleted"
    json_key = "deleted_for_good"
    irreversible = True

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--older-than",
            metavar="AGE",
            type=age,
            help="time in the trash, for instance 12h or 30d (default: TASKS_RETENTION_DAYS)",
        )
        which.add_argument(
            "--completed-before",
            metavar="DATE|AGE",
            type=timestamp,
            help="instead of the trash: tasks completed before 2026-01-31 (0:00 UTC), or more than "
            "90d ago",
        )
        parser.add_argument("--user", metavar="ID", type=user_id, help="only this user's tasks")
        super().add_arguments(parser)

    def run(
        self,
        *,
        user: str | None,
        older_than: timedelta | None,
        completed_before: datetime | None,
        **_: Any,
    ) -> None:
        tasks = Task.objects.all() if user is None else Task.objects.owned_by(user)
        if completed_before:
            rows = tasks.alive().completed_before(completed_before)
            by = "id" if user is None else "-created_at"
            self.carry_out([Step("completed task", rows, delete, by)])
            return
        if older_than is None:
            older_than = timedelta(days=settings.TASKS_RETENTION_DAYS)
        rows = tasks.trashed_before(datetime.now(UTC) - older_than)
        self.carry_out([Step("trashed task", rows, delete, by="deleted_at")])
