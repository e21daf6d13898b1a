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
