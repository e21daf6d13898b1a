"""Sync tokens: up to where a client knows the tasks of a user, signed."""

from datetime import timedelta

from django.conf import settings
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from ninja.errors import ValidationError

from tasks.operations import SyncExpired

EVERYTHING = "*"
SEPARATOR = "~"
"""Needs no escape in an address, and is not part of a position."""
INVALID = f"is not a token of this user: begin again with sync={EVERYTHING}"


def write(position: list[str], user_id: str) -> str:
    return _signer(user_id).sign(SEPARATOR.join(position))


def read(token: str, user_id: str) -> list[str] | None:
    """The position, or None for all tasks.

    Raises SyncExpired for a token that is older than what the trash keeps, and ValidationError for
    one that is forged, cut or of another user.
    """
    if token == EVERYTHING:
        return None
    max_age = timedelta(days=settings.TASKS_RETENTION_DAYS) or None
    try:
        return _signer(user_id).unsign(token, max_age=max_age).split(SEPARATOR)
    except SignatureExpired:
        raise SyncExpired from None
    except BadSignature:
        raise ValidationError(
            [{"type": "sync", "loc": ["query", "sync"], "msg": INVALID}]
        ) from None


def _signer(user_id: str) -> TimestampSigner:
    return TimestampSigner(salt=f"sync {user_id}", sep=SEPARATOR)
