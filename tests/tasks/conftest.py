"""What the tests of all operations share."""

from typing import Any

import pytest

MALFORMED = {
    "nothing": "",
    "half an object": '{"title": "Buy milk"',
    "no JSON": "title=Buy milk",
    "NaN": '{"title": NaN}',
    "infinity": '{"title": -Infinity}',
    "endless number": "1" * 5000,
    "brackets": "[" * 60_000,
    "duplicate names": '{"title": "Buy milk", "title": "Buy bread"}',
    "not UTF-8": b'{"title": "\xff"}',
    "UTF-16": '{"title": "Buy milk"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"title": "Buy milk"}',
}

DAY_OR_TIME = (
    "must be a day like 2026-01-31, or a time with its offset like 2026-01-31T17:30:00+01:00"
)
NO_OFFSET = (
    "needs an offset from UTC, as in 2026-01-31T17:30:00+01:00 or 2026-01-31T16:30:00Z; "
    "a day without a time is written 2026-01-31"
)

# Fields that break a rule, the field that the error names, and its message.
BROKEN: dict[str, tuple[Any, str, str]] = {
    "blank title": ({"title": " \t\u2003\n"}, "title", "must not be blank"),
    "empty title": ({"title": ""}, "title", "must not be blank"),
    "long title": ({"title": "x" * 201}, "title", "must have at most 200 characters"),
    "null title": ({"title": None}, "title", "must be a string"),
    "number as title": ({"title": 123}, "title", "must be a string"),
    "NUL in title": (
        {"title": "a\x00b"},
        "title",
        "must not contain the character NUL or a lone surrogate",
    ),
    "lone surrogate in title": (
        {"title": "a\ud83db"},
        "title",
        "must not contain the character NUL or a lone surrogate",
    ),
    "long description": (
        {"description": "x" * 1001},
        "description",
        "must have at most 1000 characters",
    ),
    "number as description": ({"description": 5}, "description", "must be a string"),
    "NUL in description": (
        {"description": "\x00"},
        "description",
        "must not contain the character NUL or a lone surrogate",
    ),
    "word as complete": ({"complete": "yes"}, "complete", "must be true or false"),
    "text true as complete": ({"complete": "true"}, "complete", "must be true or false"),
    "number as complete": ({"complete": 1}, "complete", "must be true or false"),
    "null complete": ({"complete": None}, "complete", "must be true or false"),
    "unknown priority": (
        {"priority": "urgent"},
        "priority",
        "must be one of 'low', 'medium' or 'high'",
    ),
    "null priority": ({"priority": None}, "priority", "must be one of 'low', 'medium' or 'high'"),
    "huge number as priority": (
        {"priority": 10**400},
        "priority",
        "must be one of 'low', 'medium' or 'high'",
    ),
    "no day": ({"due_date": "tomorrow"}, "due_date", DAY_OR_TIME),
    "empty due date": ({"due_date": ""}, "due_date", DAY_OR_TIME),
    "number as due date": ({"due_date": 20260131}, "due_date", "must be a string"),
    "day that does not exist": ({"due_date": "2026-02-29"}, "due_date", DAY_OR_TIME),
    "time without an offset": ({"due_date": "2026-01-31T17:30:00"}, "due_date", NO_OFFSET),
    "time before the year 1 in UTC": (
        {"due_date": "0001-01-01T00:00:00+00:01"},
        "due_date",
        "must be in the years 0001 to 9999 in UTC",
    ),
    "text as tags": ({"tags": "home,work"}, "tags", "must be a list"),
    "null tags": ({"tags": None}, "tags", "must be a list"),
    "21 tags": ({"tags": [*map(str, range(21))]}, "tags", "must have at most 20 items"),
    "the same tag twice": (
        {"tags": ["home", "Straße", "STRASSE"]},
        "tags",
        "must not name a tag twice, ignoring case: STRASSE",
    ),
    "misspelt field": ({"titel": "Buy milk"}, "titel", "is not a known field; did you mean title?"),
}


@pytest.fixture(params=list(MALFORMED.values()), ids=list(MALFORMED))
def malformed(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=list(BROKEN.values()), ids=list(BROKEN))
def broken(request: pytest.FixtureRequest) -> Any:
    """Fields that break a rule, the field that the error names, and its message."""
    return request.param


@pytest.fixture(params=["[]", '"abc"', "1", "null", "true"])
def no_object(request: pytest.FixtureRequest) -> Any:
    return request.param
