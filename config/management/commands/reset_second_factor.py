"""Removes the second factor of an account, for the operator: nobody else can help a superuser.

    python manage.py reset_second_factor NAME

Run it again after an interruption. It asks for nothing, and prints what it did.
"""

from typing import Any

from django.contrib.auth.models import User
from django.core.management import BaseCommand, CommandError
from django.core.management.base import CommandParser

from config.staff import second_factor


class Command(BaseCommand):
    help = "Remove the second factor of a staff account, whose sessions then end."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the name with which the account signs in")

    def handle(self, *args: Any, name: str, **options: Any) -> None:  # noqa: ARG002
        user = User.objects.filter(username=name).first()
        if user is None:
            raise CommandError(f"There is no account named {name!a}.")
        if not second_factor.reset(user):
            raise CommandError(f"{name} has no second factor.")
        self.stdout.write(f"{name} has no second factor now. Their sessions have ended.")
