"""Deletes what the audit says about views of pages and sign-ins, after the retention.

What staff changed or exported is kept: it is the history of the tasks.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from tasks.management.arguments import age
from tasks.management.maintenance import MaintenanceCommand, Step, delete
from tasks.models import PageView


class Command(MaintenanceCommand):
    help = "Deletes records of views and sign-ins that are older than the retention of the audit."
    verb = "deleted"
    irreversible = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            metavar="AGE",
            type=age,
            help="for instance 90d (default: AUDIT_RETENTION_DAYS)",
        )
        super().add_arguments(parser)

    def run(self, *, older_than: timedelta | None, **_: Any) -> None:
        if older_than is None:
            older_than = timedelta(days=settings.AUDIT_RETENTION_DAYS)
        views = PageView.objects.filter(at__lt=datetime.now(UTC) - older_than)
        self.carry_out([Step("page view", views, delete, by="at")])
