"""Prints a token of the shared secret, as a frontend that mints its own would send it.

For development and tests. Whoever can issue tokens is every user, so elsewhere it wants
to be told.
"""

import re
import time
from argparse import ArgumentTypeError
from typing import Any

import jwt
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from authjwt import conf, user_ids
from authjwt.checks import TOKENS
from authjwt.tokens import SECRET_ALGORITHM

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text: str) -> int:
    """`90s`, `15m`, `2h` or `7d`, in seconds."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", text)
    if not match:
        raise ArgumentTypeError("must be a number with s, m, h or d, for instance 15m")
    return int(match[1]) * SECONDS[match[2]]


class Command(BaseCommand):
    help = "Prints a token of the shared secret for a user."

    def check(self, *args: Any, **options: Any) -> None:
        super().check(*args, **options)
        super().check(tags=[TOKENS], include_deployment_checks=True)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the user id that the token names")
        parser.add_argument(
            "--expires", type=duration, default="15m", help="for how long: 90s, 15m, 2h, 7d"
        )
        parser.add_argument(
            "--outside-development",
            action="store_true",
            help="do it although DEBUG is off: the token opens that user's tasks",
        )

    def handle(self, *, user: str, expires: int, outside_development: bool, **_: Any) -> None:
        if not settings.DEBUG and not outside_development:
            raise CommandError(
                "This is not a development machine (DEBUG is off). "
                "If you mean it, add --outside-development."
            )
        if not conf.secret():
            raise CommandError("BETTER_AUTH_SECRET is not set: there is nothing to sign with.")
        if not user_ids.is_user_id(user):
            raise CommandError(f"user {user_ids.RULE}.")
        now = int(time.time())
        claims = {"sub": user, "iat": now, "exp": now + expires}
        self.stdout.write(jwt.encode(claims, conf.secret(), SECRET_ALGORITHM))
