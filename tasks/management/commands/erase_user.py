"""Erases everything of one user, for a request under the GDPR, and prints a receipt.

It erases the tasks, the trash, the history of what staff changed, and what the audit says about who
has seen pages of this user. A token that is still valid can create a task in the meantime: this
task is erased too, or the receipt counts it as left, and the exit status is 1. So end the user's
sessions first. Backups, and log lines with the user's id, are not in this database.
"""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from authjwt.wording import count
from tasks import history
from tasks.management.maintenance import MaintenanceCommand, Step, delete
from tasks.management.users import add_user
from tasks.models import ChangedTask, PageView, Task

PASSES = 3


class Command(MaintenanceCommand):
    help = "Permanently erases everything of one user, and prints a receipt as JSON."
    verb = "erased"
    irreversible = True

    def add_arguments(self, parser: CommandParser) -> None:
        add_user(parser, "--user", "the user to erase", required=True)
        super().add_arguments(parser)

    def run(self, *, user: str, **_: Any) -> None:
        self.as_json = True
        user = self.resolve(user)
        self.facts |= {"at": datetime.now(UTC).isoformat(timespec="seconds")}
        tasks = Task.objects.owned_by(user)
        steps = [
            Step("task", tasks.alive(), delete, by="-created_at"),
            Step("trashed task", tasks.trashed(), delete, by="deleted_at"),
            Step("history record", history.naming(user), delete),
            Step("recorded change", ChangedTask.objects.filter(user_id=user), delete),
            Step("page view", PageView.objects.filter(user_id=user), delete),
        ]
        self.carry_out(steps, ask=user, passes=PASSES)
        if self.dry_run:
            return
        self.facts["left"] = left = sum(self.count(step.rows) for step in steps)
        if left:
            raise CommandError(
                f"{count(left, 'new row')} arrived in the meantime. "
                "End the user's sessions, then run the command again."
            )
