"""Which texts the commands accept as a user, an age and a time."""

import re
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta

import pytest

from authjwt.user_ids import RULE
from tasks.management.arguments import age, timestamp, user_id


@pytest.mark.parametrize("text", ["", " ", "x" * 256, "a\x00b", "a\nb", "a\udc80"])
def test_an_invalid_user_id_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=f"^{RULE}$"):
        user_id(text)


@pytest.mark.parametrize("text", ["a", "x" * 255, "user 1", "Zoë", "-"])
def test_a_user_id(text: str) -> None:
    assert user_id(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", timedelta(0)),
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("36500d", timedelta(days=36_500)),
    ],
)
def test_an_age(text: str, expected: timedelta) -> None:
    assert age(text) == expected


@pytest.mark.parametrize(
    "text", ["", "-1d", "1", "d", "1.5h", "1w", "2 h", "\u0661d", "9999999999d"]
)
def test_an_invalid_age_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"^must be a number with s, m, h or d"):
        age(text)


@pytest.mark.parametrize("text", ["36501d", "999999999d", "999999999h"])
def test_an_age_above_the_maximum_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"^must be at most 36500d$"):
        age(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_a_timestamp(text: str, expected: datetime) -> None:
    assert timestamp(text) == expected


def test_a_timestamp_as_an_age() -> None:
    assert abs(datetime.now(UTC) - timedelta(days=30) - timestamp("30d")) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("tomorrow", "must be a date or an age, for instance 2026-01-31 or 30d"),
        ("2026-02-30", "must be a date or an age, for instance 2026-01-31 or 30d"),
        ("-30d", "must be a date or an age, for instance 2026-01-31 or 30d"),
        ("2999-01-01", "must not be in the future"),
        ("40000d", "must be at most 36500d"),
    ],
)
def test_an_invalid_timestamp_is_refused(text: str, rule: str) -> None:
    with pytest.raises(ArgumentTypeError, match=f"^{re.escape(rule)}$"):
        timestamp(text)
