"""For installations where the user of DATABASE_URL may not create the role of the API."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from tasks.operations.role import Refusal, Role


class Command(BaseCommand):
    help = "Prints the SQL that creates the role of the API, for an administrator to run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--sql", action="store_true", required=True, help="print the SQL, and change nothing"
        )

    def handle(self, **_: Any) -> None:
        role = Role(connection)
        if not role.is_derived:
            raise CommandError(
                f"API_DATABASE_URL names the role {role.name}, so somebody else must manage it."
            )
        try:
            self.stdout.write(role.administrators_sql())
        except Refusal as refusal:
            raise CommandError(str(refusal)) from None
