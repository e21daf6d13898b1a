"""Days and times as clients write them: `2026-01-31`, or RFC 3339 with an offset from UTC.

A day has no time zone: it is stored and returned as it was sent, so it is the same day everywhere.
A time is returned in UTC.
"""

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import Any

from pydantic_core import PydanticCustomError

DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# datetime.fromisoformat reads many other forms too, and cuts what is beyond microseconds.
LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT[012]\d:\d\d:\d\d(\.\d+)?", re.ASCII)
TIME = re.compile(LOCAL_TIME.pattern + r"(Z|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII)

RULE = "must be a day like 2026-01-31, or a time with its offset like 2026-01-31T17:30:00+01:00"
NO_OFFSET = (
    "needs an offset from UTC, as in 2026-01-31T17:30:00+01:00 or 2026-01-31T16:30:00Z; "
    "a day without a time is written 2026-01-31"
)
LOST_PLUS = "has a blank where its offset begins: write %2B for + in an address"
OUT_OF_RANGE = "must be in the years 0001 to 9999 in UTC"


def parse(text: Any) -> date | datetime:
    """A day, or a time in UTC. Raises PydanticCustomError, which names the rule."""
    if not isinstance(text, str):
        raise PydanticCustomError("string_type", "must be a string")
    if DAY.fullmatch(text):
        with suppress(ValueError):  # such as February 30th
            return date.fromisoformat(text)
    elif match := TIME.fullmatch(text):
        return _in_utc(text, match)
    elif LOCAL_TIME.fullmatch(text):
        raise PydanticCustomError("offset_missing", NO_OFFSET)
    raise PydanticCustomError("day_or_time", RULE)


def _in_utc(text: str, match: re.Match[str]) -> datetime:
    _, zone, sign, hours, minutes = match.groups()
    try:
        local = datetime.fromisoformat(text.removesuffix(zone))
    except ValueError:
        raise PydanticCustomError("day_or_time", RULE) from None
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        local = local + offset if sign == "-" else local - offset
    except OverflowError:
        raise PydanticCustomError("year_range", OUT_OF_RANGE) from None
    return local.replace(tzinfo=UTC)


def parse_bound(text: Any) -> datetime:
    """A bound of a range, from an address: a day is its beginning in UTC."""
    if isinstance(text, str) and TIME.fullmatch(text.replace(" ", "+")) and " " in text:
        raise PydanticCustomError("offset_plus", LOST_PLUS)
    bound = parse(text)
    if isinstance(bound, datetime):
        return bound
    return datetime.combine(bound, time_of_day.min, UTC)


def written(due: date | datetime) -> str:
    """As clients get it. `isoformat` would leave out microseconds that are 0."""
    if isinstance(due, datetime):
        utc = due.astimezone(UTC).isoformat(timespec="microseconds")
        return utc.replace("+00:00", "Z")
    return due.isoformat()
