"""Formats claims of strangers, URLs, times and counts for an operator's terminal."""

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings

MAX_SHOWN = 100
UNITS = ((2 * 86400, 86400, "days"), (7200, 3600, "h"), (120, 60, "min"), (0, 1, "s"))
"""The smallest distance, in seconds, that is given in a unit; the unit in seconds; its name."""


def shown(value: Any) -> str:
    """A claim as JSON in printable ASCII, so that it cannot control the terminal."""
    try:
        text = json.dumps(value)
    except RecursionError:
        return "nested too deeply"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def plain(url: str) -> str:
    """A URL without the parts that may be secret: user, password, query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def names(accepted: Collection[str]) -> str:
    """Issuers or audiences, without trailing slashes, since both spellings are accepted."""
    return " or ".join(sorted({plain(name).rstrip("/") for name in accepted})) or "anything"


def date(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def distance(seconds: float) -> str:
    """The time from now: `12 min ago`, `in 90 s`."""
    size = abs(seconds)
    _, unit, name = next(found for found in UNITS if size >= found[0])
    amount = f"{int(size // unit)} {name}"
    return f"in {amount}" if seconds > 0 else f"{amount} ago"


def address(user: str) -> str:
    """The path of a user's tasks, percent-encoded."""
    prefix = getattr(settings, "API_URL", "/")
    text = f"{prefix}{quote(user, safe='', errors='replace')}/"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
