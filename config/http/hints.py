"""Names that clients use instead of ours: for an unknown name, the one that was probably meant."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

from tasks.schemas import MESSAGES, READ_ONLY, TaskFields

FIELDS = tuple(TaskFields.model_fields)

MAX_LENGTH = 40
"""Longer names are not compared: none of ours is nearly as long."""
MIN_SIMILARITY = 0.8
"""Low enough for two letters in the wrong order, as in `titel`."""
WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# A hint names only those of its targets that exist.
Aliases = Mapping[str, tuple[str, ...]]


def _aliases(names: Mapping[str, str]) -> Aliases:
    """names: words that others use, by what they mean here."""
    return {
        word: tuple(targets.split()) for targets, words in names.items() for word in words.split()
    }


COMPLETE = "completed done finished checked is_complete is_completed is_done status state"
FIELD_ALIASES = _aliases(
    {
        "complete": COMPLETE,
        "due_date": "due due_at due_on due_by due_string due_time due_datetime deadline",
        "tags": "tag label labels category categories",
        "title": "name content text summary subject task",
        "description": "desc details note notes body",
    }
)
PARAMETER_ALIASES = _aliases(
    {
        "complete": COMPLETE,
        "cursor": "next_cursor next page_token",
        "cursor offset": "page page_number",
        "deleted": "trash trashed is_deleted",
        "due_after": "due_date_after due_from due_since",
        "due_after due_before": "due_date due_at deadline",
        "due_before": "due_date_before due_until due_to",
        "limit": "per_page page_size size count max_results",
        "offset": "skip start",
        "permanent": "hard force purge",
        "q": "search query filter keyword keywords term",
        "sort": "sort_by sorting order order_by ordering",
        "sync": "since sync_token delta changed_since",
        "tag": "tags label labels category",
        "updated_after": "updated_since modified_since",
    }
)
METHODS_WITH_BODY = ("POST", "PUT", "PATCH")


def unknown_field(name: str) -> str:
    """The message for a field of a body that is not known."""
    targets = suggestions(name, FIELDS, FIELD_ALIASES)
    if snake_case(name[:MAX_LENGTH]) in READ_ONLY:  # a client that turns all names into camelCase
        targets = (snake_case(name),)
    return MESSAGES["extra_forbidden"] + _question(targets)


def unknown_parameter(name: str, known: Collection[str], method: str | None) -> str:
    """The message for a query parameter that is not one of the `known` ones of the operation."""
    message = "is not a known parameter"
    if targets := suggestions(name, known, PARAMETER_ALIASES):
        return message + _question(targets)
    if method in METHODS_WITH_BODY and (targets := suggestions(name, FIELDS, FIELD_ALIASES)):
        return f"{message}; send {targets[0]} in the body"
    return message if known else f"{message}; this call takes none"


def suggestions(name: str, known: Collection[str], aliases: Aliases) -> tuple[str, ...]:
    """Those of the known names that may have been meant; mostly one or none."""
    if len(name) > MAX_LENGTH:
        return ()
    name = snake_case(name)
    if name in known:
        return (name,)
    if name in aliases:
        return tuple(target for target in aliases[name] if target in known)
    return tuple(get_close_matches(name, known, n=1, cutoff=MIN_SIMILARITY))


def snake_case(name: str) -> str:
    return WORD_START.sub("_", name).lower().replace("-", "_").replace(" ", "_")


def _question(targets: Collection[str]) -> str:
    return f"; did you mean {' or '.join(targets)}?" if targets else ""
