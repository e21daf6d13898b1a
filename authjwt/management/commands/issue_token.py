"""Prints a token signed with the shared secret, like a frontend that signs its own tokens.

For development and tests. A token opens the tasks of any user that it names, so outside
development the command requires `--outside-development`.
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
        raise ArgumentTypeError("must be a number with s, m, h or d, for example 15m")
    return int(match[1]) * SECONDS[match[2]]


class Command(BaseCommand):
    help = "Prints a token for a user, signed with the shared secret."

    def check(self, *args: Any, **options: Any) -> None:
        super().check(*args, **options)
        super().check(tags=[TOKENS], include_deployment_checks=True)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the user id that the token names")
        parser.add_argument(
            "--expires",
            type=duration,
            default="15m",
            help="its lifetime, for example 90s, 15m (default), 2h, 7d",
        )
        parser.add_argument(
            "--outside-development",
            action="store_true",
            help="issue it although DEBUG is off: it opens the tasks of that user",
        )

    def handle(self, *, user: str, expires: int, outside_development: bool, **_: Any) -> None:
        if not settings.DEBUG and not outside_development:
            raise CommandError(
                "DEBUG is off, so this is not a development machine. "
                "To issue a token here, add --outside-development."
            )
        if not conf.secret():
            raise CommandError("BETTER_AUTH_SECRET is not set. Set it: it signs the token.")
        if not user_ids.is_user_id(user):
            raise CommandError(f"user {user_ids.RULE}.")
        now = int(time.time())
        claims = {"sub": user, "iat": now, "exp": now + expires}
        self.stdout.write(jwt.encode(claims, conf.secret(), SECRET_ALGORITHM))
