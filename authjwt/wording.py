"""What strangers wrote, and times, as an operator may read them on a terminal."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings

MOST_SHOWN = 100
UNITS = ((2 * 86400, 86400, "days"), (7200, 3600, "h"), (120, 60, "min"), (0, 1, "s"))
"""From which size on, in seconds, a distance is told in which unit."""


def shown(value: Any) -> str:
    """A claim for the terminal: JSON in printable ASCII, so that it can steer nothing."""
    try:
        text = json.dumps(value)
    except RecursionError:
        return "nested too deeply"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def plain(url: str) -> str:
    """A URL without what may be secret in it: user, password, query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def date(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def distance(seconds: float) -> str:
    """`12 min ago`, `in 90 s`."""
    size = abs(seconds)
    _, unit, name = next(found for found in UNITS if size >= found[0])
    amount = f"{int(size // unit)} {name}"
    return f"in {amount}" if seconds > 0 else f"{amount} ago"


def address(user: str) -> str:
    text = f"{settings.API_URL}{quote(user, safe='', errors='replace')}/"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
