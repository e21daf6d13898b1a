"""Permanently deletes what has been in the trash longer than the retention.

With --completed-before it deletes other tasks instead: those that are alive, and were completed
before that time. They do not go to the trash, so they cannot be restored.

With --orphans it moves the tasks of users whom Better Auth no longer knows to the trash, from where
a later run deletes them. A wrong or half-restored table of users would make all users look like
that. So it refuses if the table is empty, or if more than a tenth of the users with tasks would be
gone, until the operator has named their number. Each batch asks Better Auth again.
"""

from argparse import ArgumentTypeError
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from tasks import orphans, people
from tasks.management.arguments import age, timestamp
from tasks.management.maintenance import MaintenanceCommand, Step, delete
from tasks.management.users import add_user
from tasks.models import Deletion, Task, TaskQuerySet
from tasks.orphans import Orphans
from tasks.people import NoPeople

USERS_PER_STEP = 200
MAX_SHOWN = 20
MAX_SHARE = 10
"""One in so many users with tasks may be gone without --allow-many."""


def number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):  # noqa: PLR2004
        raise ArgumentTypeError("must be a whole number")
    return int(text)


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
        which.add_argument(
            "--orphans",
            action="store_true",
            help="instead: move the tasks of users whom Better Auth does not know any more to the "
            "trash",
        )
        parser.add_argument(
            "--allow-many",
            metavar="N",
            type=number,
            help="with --orphans: up to N users may be gone, although that is more than a tenth of "
            "the users with tasks, or the table of users is empty",
        )
        add_user(parser, "--user", "only the tasks of this user")
        super().add_arguments(parser)

    def handle(self, **options: Any) -> None:
        if options["orphans"]:
            self.verb, self.json_key = "moved to the trash", "moved_to_trash"
            self.consequence = "They can be restored as long as they are in the trash."
        super().handle(**options)

    def run(
        self,
        *,
        user: str | None,
        older_than: timedelta | None,
        completed_before: datetime | None,
        orphans: bool,
        allow_many: int | None,
        **_: Any,
    ) -> None:
        if (orphans and user is not None) or (allow_many is not None and not orphans):
            raise CommandError(
                "--allow-many needs --orphans, and --user excludes it.", returncode=2
            )
        if orphans:
            self._trash_orphans(allow_many or 0)
            return
        tasks = Task.objects.all() if user is None else Task.objects.owned_by(self.resolve(user))
        if completed_before:
            rows = tasks.alive().completed_before(completed_before)
            by = "id" if user is None else "-created_at"
            self.carry_out([Step("completed task", rows, delete, by)])
            return
        if older_than is None:
            older_than = timedelta(days=settings.TASKS_RETENTION_DAYS)
        before = datetime.now(UTC) - older_than
        rows = tasks.trashed_before(before)
        self.carry_out([Step("trashed task", rows, delete, by="deleted_at")])
        if user is None and not self.dry_run:
            with self.transaction():
                Deletion.objects.filter(deleted_at__lt=before).delete()

    def _trash_orphans(self, allowed: int) -> None:
        """All get the same time of deletion, by which `restore_tasks` finds them again."""
        try:
            with self.transaction():
                found = orphans.find()
            refusal = refusal_of(found, allowed)
        except NoPeople as problem:
            raise CommandError(f"{problem} Nothing was done.") from None
        if refusal and not self.dry_run:
            raise CommandError(f"{refusal} Nothing was done.")
        at = datetime.now(UTC)
        gone = sorted(found.gone)
        self.facts |= {"users": gone} | ({} if self.dry_run else {"deleted_at": at.isoformat()})
        self.done["task"] = 0
        if gone:
            more = f" and {len(gone) - MAX_SHOWN} more" if len(gone) > MAX_SHOWN else ""
            self.stderr.write(f"Unknown to Better Auth: {', '.join(gone[:MAX_SHOWN])}{more}", str)
        starts = range(0, len(gone), USERS_PER_STEP)
        self.carry_out([step_of(gone[start : start + USERS_PER_STEP], at) for start in starts])
        if refusal:
            self.stderr.write(f"Without --dry-run, this is refused. {refusal}", str)
        elif self.done["task"] and not self.dry_run:
            self.stderr.write(
                f"To bring them back: manage.py restore_tasks --deleted-at {at.isoformat()}", str
            )


def step_of(users: Sequence[str], at: datetime) -> Step:
    def trash(rows: TaskQuerySet) -> int:
        try:
            gone = people.unknown(users)  # again, since the operator may have restored some
        except NoPeople as problem:
            raise CommandError(str(problem)) from None
        Deletion.record(at, command="purge_tasks --orphans")
        return rows.filter(user_id__in=gone).trash(at)

    return Step("task", Task.objects.alive().filter(user_id__in=users), trash)


def refusal_of(found: Orphans, allowed: int) -> str:
    """Why the run is refused. Empty if it is not."""
    gone = len(found.gone)
    if gone <= allowed:
        return ""
    if not people.number():
        problem = "Better Auth's table of users is empty"
    elif gone * MAX_SHARE > found.owners:
        problem = "more than a tenth of all users with tasks would be gone"
    else:
        return ""
    return (
        f"{gone} of {found.owners} users with tasks are not in Better Auth's table: {problem}. "
        f"Check with manage.py doctor that it is the right table. If these users are really gone, "
        f"add --allow-many {gone}."
    )
