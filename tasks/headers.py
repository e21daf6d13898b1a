"""The headers of a request that decide whether it is carried out.

Conditions are those of RFC 9110, section 13. `Idempotency-Key` is that of
draft-ietf-httpapi-idempotency-key-header.
"""

import re
from collections.abc import Callable, Mapping
from hashlib import sha256

from django.http import HttpRequest

from tasks.models import KEY_LENGTH

TAG = r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"'
ENTITY_TAG = re.compile(TAG)
ENTITY_TAGS = re.compile(rf"[ \t,]*{TAG}(?:[ \t]*,[ \t,]*{TAG})*[ \t,]*")
KEY = re.compile(r"[\x21\x23-\x2b\x2d-\x7e][\x21-\x2b\x2d-\x7e]*")
BOOKMARK = re.compile(r"\*|[0-9A-F]{24}")
QUOTED_KEY = re.compile(r'"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"')

NOT_TAGS = 'must be * or entity tags in quotes, such as "abc", with commas in between'
NOT_A_BOOKMARK = "must be * or the Bookmark that a write was answered with, as it came"
NOT_A_KEY = f"must be 1 to {KEY_LENGTH} visible ASCII characters, without commas unless in quotes"

Conditions = Mapping[str, list[str]]
"""`if_match` and `if_none_match`: entity tags without quotes, or `["*"]`."""


class UnreadableHeader(Exception):
    """The request has a header that this operation obeys, but its value cannot be read."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(rule)
        self.name = name


def entity_tag(content: bytes) -> str:
    """A strong tag. `tag_of` in `operations.sql` computes the same from a task."""
    return f'"{sha256(content).hexdigest()[:32]}"'


def is_not_modified(request: HttpRequest, tag: str) -> bool:
    """Whether a GET or HEAD is answered with 304."""
    if "HTTP_IF_NONE_MATCH" not in request.META:
        return False
    tags = _tags(request, "if-none-match")
    return tags == ["*"] or tag[1:-1] in tags


def bookmark(request: HttpRequest) -> str | None:
    """That of a GET or HEAD, which allows a replica to answer; None if the primary must answer.

    `config/server/replica.py` makes bookmarks.
    """
    if "HTTP_BOOKMARK" not in request.META:
        return None
    value: str = request.META["HTTP_BOOKMARK"].strip(" \t")
    if not BOOKMARK.fullmatch(value):
        raise UnreadableHeader("bookmark", NOT_A_BOOKMARK)
    return value


def conditions(request: HttpRequest) -> Conditions:
    """Those of a PUT, PATCH or DELETE, mostly none."""
    found = {}
    if "HTTP_IF_MATCH" in request.META:
        found["if_match"] = _tags(request, "if-match", strong=True)
    if "HTTP_IF_NONE_MATCH" in request.META:
        found["if_none_match"] = _tags(request, "if-none-match")
    return found


def idempotency_key(request: HttpRequest) -> str | None:
    """The key of a POST. `abc` and `"abc"` are the same key."""
    if "HTTP_IDEMPOTENCY_KEY" not in request.META:
        return None
    key: str = request.META["HTTP_IDEMPOTENCY_KEY"].strip(" \t")
    if quoted := QUOTED_KEY.fullmatch(key):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    elif not KEY.fullmatch(key):
        raise UnreadableHeader("idempotency-key", NOT_A_KEY)
    if len(key) > KEY_LENGTH:
        raise UnreadableHeader("idempotency-key", NOT_A_KEY)
    return key


_READERS: Mapping[str | None, Callable[[HttpRequest], object]] = {
    "GET": lambda request: (bookmark(request), is_not_modified(request, "")),
    "POST": idempotency_key,
    "PUT": conditions,
    "PATCH": conditions,
    "DELETE": conditions,
}


def check(request: HttpRequest) -> None:
    """Raises UnreadableHeader as the operation would."""
    if reader := _READERS.get(request.method):
        reader(request)


def _tags(request: HttpRequest, name: str, *, strong: bool = False) -> list[str]:
    """strong: without weak tags, which never match (RFC 9110, section 8.8.3.2)."""
    value = request.META[f"HTTP_{name.upper().replace('-', '_')}"]
    if value.strip(" \t") == "*":
        return ["*"]
    if not ENTITY_TAGS.fullmatch(value):
        raise UnreadableHeader(name, NOT_TAGS)
    return [tag for weak, tag in ENTITY_TAG.findall(value) if not (weak and strong)]
