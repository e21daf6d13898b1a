"""Types of the commands' arguments, for `type=` of argparse."""

import re
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta

from authjwt import user_ids

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
MAX_AGE = timedelta(days=36_500)


def user_id(text: str) -> str:
    if not user_ids.is_user_id(text):
        raise ArgumentTypeError(user_ids.RULE)
    return text


def age(text: str) -> timedelta:
    """`90s`, `15m`, `2h` or `30d`."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text, re.ASCII)
    if not match:
        raise ArgumentTypeError("must be a number with s, m, h or d, for instance 30d")
    value = timedelta(**{UNITS[match[2]]: int(match[1])})
    if value > MAX_AGE:
        raise ArgumentTypeError(f"must be at most {MAX_AGE.days}d")
    return value


def timestamp(text: str) -> datetime:
    """An age, or a date or time in ISO 8601, which is in UTC unless it has an offset."""
    if re.fullmatch(r"[0-9]+[smhd]", text, re.ASCII):
        return datetime.now(UTC) - age(text)
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(
            "must be a date or an age, for instance 2026-01-31 or 30d"
        ) from None
    value = value if value.tzinfo else value.replace(tzinfo=UTC)
    if value > datetime.now(UTC):
        raise ArgumentTypeError("must not be in the future")
    return value
