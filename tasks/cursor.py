"""Cursors: where a page of a list ended, signed.

A cursor holds the id and the sort keys of the last task of a page. Its signature also covers the
user, the filters and the sort, so that a cursor fits no other list, and nobody can make one up.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from django.core.signing import BadSignature, Signer
from ninja.errors import ValidationError

FORMAT = 1
"""A release that changes what a cursor holds, or what a filter means, raises it."""
INVALID = "is not of this list: begin again without it"


def write(last: list[int | str | None], user_id: str, selection: Mapping[str, Any]) -> str:
    return _signer(user_id, selection).sign_object(last)


def read(text: str, user_id: str, selection: Mapping[str, Any]) -> list[int | str | None]:
    """Raises ValidationError for a cursor of another list, user or release, or a forged one."""
    try:
        last: list[int | str | None] = _signer(user_id, selection).unsign_object(text)
    except BadSignature:
        raise ValidationError(
            [{"type": "cursor", "loc": ["query", "cursor"], "msg": INVALID}]
        ) from None
    return last


def _signer(user_id: str, selection: Mapping[str, Any]) -> Signer:
    covered = orjson.dumps([FORMAT, user_id, selection], option=orjson.OPT_SORT_KEYS)
    return Signer(salt=f"cursor {covered.decode()}", sep=".")
