"""What an address that cannot be used was probably meant to be. Nothing here asks the database.

Parts of the path go into sentences only cut to a maximum length; into addresses also
percent-encoded.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest

from authjwt import user_ids
from authjwt.exceptions import ANOTHER_USER

API_URL = settings.API_URL
USER, TASK = "{user_id}", "{task_id}"
MAX_ID_LENGTH = 40
MAX_LENGTH = 1000
"""Longer paths are not compared with ours: anybody can send them, without a token."""

NOTHING_HERE = "There is nothing at this address."
NO_SUCH_TASK = "There is no such task."
WRONG_METHOD = "This address does not support this method."
ROUTES = f"Tasks are at {API_URL}{USER}/tasks and {API_URL}{USER}/tasks/{TASK}; see /docs."

OTHER_ADDRESSES = ("/health", "/health/ready", "/docs", "/redoc", "/openapi.json")
OTHER_NAMES = ("task", "todo", "todos", "item", "items")
"""What the tasks are called elsewhere."""
USERS = ("users", "user")
VERSION = re.compile(r"v\d+(\.\d+)?", re.IGNORECASE)
DIGITS = re.compile("[0-9]{1,19}")
UNSET_IN_JAVASCRIPT = ("undefined", "null", "[object Object]", "[object Promise]")

ACTIONS = {
    **dict.fromkeys(
        ("complete", "completed", "completion", "done", "finish", "close", "toggle", "status"),
        'To complete a task: PATCH {address} with {{"complete": true}}.',
    ),
    **dict.fromkeys(
        ("uncomplete", "incomplete", "undone", "reopen"),
        'To reopen a task: PATCH {address} with {{"complete": false}}.',
    ),
    **dict.fromkeys(("update", "edit"), "To change a task: PATCH {address}."),
    **dict.fromkeys(("delete", "remove"), "To delete a task: DELETE {address}."),
}
"""What other services have an address for, below that of the task."""


def unknown(path: str) -> str:
    """path: decoded."""
    meant = _meant(path)
    if not meant:
        return f"{NOTHING_HERE} {ROUTES}"
    mistakes = f": it {meant.mistakes}." if meant.mistakes else "."
    way = ACTIONS.get(meant.action, "Did you mean {address}?").format(address=meant.address)
    return f"{NOTHING_HERE[:-1]}{mistakes} {way} {ROUTES}"


def another_user(user: str, path: str = "") -> str:
    """user: the one that the path names, decoded."""
    sentence = f"{ANOTHER_USER} The address says user {_shown(user, user_ids.MAX_LENGTH)}"
    if user in UNSET_IN_JAVASCRIPT:
        return f"{sentence}: wait for the session, and send its user.id."
    meant = _meant(path)
    if meant and meant.mistakes:
        return f"{sentence}, because it {meant.mistakes}. Did you mean {meant.address}?"
    return f"{sentence}."


def invalid_id(task_id: str, *, has_search: bool) -> str:
    """task_id: as the path spells it."""
    if task_id.isascii() and task_id.isdigit():
        return NO_SUCH_TASK
    sentence = (
        f"{NO_SUCH_TASK[:-1]}: an id has only digits, unlike {_shown(task_id, MAX_ID_LENGTH)}."
    )
    if task_id.lower() == "search" and has_search:
        return f"{sentence} To search, list the tasks with q."
    return sentence


def wrong_method(request: HttpRequest, allowed: Sequence[str]) -> str:
    sentence = f"{WRONG_METHOD} It supports {_joined(allowed)}."
    parts = request.resolver_match.kwargs if request.resolver_match else {}
    if "user_id" not in parts:
        return sentence
    tasks = _address(parts["user_id"])
    if "task_id" not in parts and request.method in ("PUT", "PATCH", "DELETE"):
        return f"{sentence} The address of a task ends with its id: {tasks}/{TASK}."
    if "task_id" in parts and request.method == "POST":
        return f"{sentence} To change a task, use PATCH or PUT; to create one: POST {tasks}."
    return sentence


class Meant(NamedTuple):
    """mistakes: verbs for a sentence about the address that was called; empty if none has a name.
    action: what the address had after the id of a task.
    """

    address: str
    mistakes: str = ""
    action: str = ""


def _meant(path: str) -> Meant | None:
    if len(path) > MAX_LENGTH:
        return None
    parts = [part for part in path.split("/") if part]
    mistakes = ["ends with a slash"] if path.endswith("/") else []
    if "//" in path.rstrip("/"):
        mistakes.append("has two slashes in a row")
    other = f"/{'/'.join(parts)}".lower().removeprefix(API_URL.rstrip("/"))
    if other in OTHER_ADDRESSES:
        return Meant(other, _joined(mistakes))
    prefix, parts = _split_prefix(parts)
    mistakes += _mistakes_in(prefix)
    collection = _collection_in(parts)
    if collection is None:
        return None
    if (name := parts[collection].lower()) != "tasks":
        mistakes.append(f"says {name} instead of tasks")
    if any(part != part.lower() for part in (*prefix, parts[collection])):
        mistakes.append("has capital letters")
    user, rest = "/".join(parts[:collection]), parts[collection + 1 :]
    if not user:
        mistakes.append("names no user")
    address = _address(user)
    if rest:
        address += f"/{next(filter(DIGITS.fullmatch, rest), TASK)}"
    action = next((part for part in map(str.lower, rest) if part in ACTIONS), "")
    return Meant(address, _joined(mistakes), action)


def _split_prefix(parts: list[str]) -> tuple[list[str], list[str]]:
    """What precedes the user, and the rest."""
    start = 0
    while start < len(parts) and _is_prefix(parts[start:]):
        start += 1
    return parts[:start], parts[start:]


def _is_prefix(parts: Sequence[str]) -> bool:
    name = parts[0].lower()
    return (
        name == "api"
        or bool(VERSION.fullmatch(name))
        or (name in USERS and len(parts) >= len((USERS, USER, "tasks")))
    )


def _mistakes_in(prefix: Sequence[str]) -> list[str]:
    prefix = [part.lower() for part in prefix]
    mistakes = []
    if "api" not in prefix:
        mistakes.append(f"does not begin with {API_URL}")
    if prefix.count("api") > 1:
        mistakes.append("says api twice")
    if any(map(VERSION.fullmatch, prefix)):
        mistakes.append("has a version")
    if name := next((name for name in USERS if name in prefix), ""):
        mistakes.append(f"says {name} before the user")
    return mistakes


def _collection_in(parts: Sequence[str]) -> int | None:
    """The index of the part that should be `tasks`, with at most two parts after it."""
    names = {place: parts[place].lower() for place in range(len(parts))[-3:]}
    for expected in (("tasks",), OTHER_NAMES):
        for place in reversed(names):
            if names[place] in expected:
                return place
    return None


def _address(user: str) -> str:
    name = quote(user, safe="", errors="replace") if 0 < len(user) <= user_ids.MAX_LENGTH else USER
    return f"{API_URL}{name}/tasks"


def _joined(items: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def _shown(text: str, max_length: int) -> str:
    shown = user_ids.UNPRINTABLE.sub("\ufffd", text[:max_length])
    return f"{shown}…" if len(text) > max_length else shown
