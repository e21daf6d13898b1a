"""What an administrator runs where the user of DATABASE_URL may not make the role of the API."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from tasks.operations.role import Refusal, Role


class Command(BaseCommand):
    help = "Prints the SQL that makes the role of the API, for an administrator to run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--sql", action="store_true", required=True, help="print it; nothing is changed"
        )

    def handle(self, **_: Any) -> None:
        role = Role(connection)
        if not role.is_derived:
            raise CommandError(
                f"API_DATABASE_URL names the role {role.name}: whoever made it looks after it."
            )
        try:
            self.stdout.write(role.administrators_sql())
        except Refusal as refusal:
            raise CommandError(str(refusal)) from None
