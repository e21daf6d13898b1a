"""Errors about the token of a request, and about the keys that verify it."""

from typing import Literal, get_args

Reason = Literal[
    "malformed",
    "not_a_jwt",
    "wrong_type",
    "algorithm_not_allowed",
    "unknown_key",
    "bad_signature",
    "expired",
    "not_yet_valid",
    "wrong_issuer",
    "wrong_audience",
    "no_subject",
]
REASONS: tuple[Reason, ...] = get_args(Reason)

EXPIRED = "The token has expired. Fetch a new one."
ANOTHER_USER = "This token belongs to another user."


class MissingToken(Exception):
    """The request has no bearer token."""


class InvalidToken(Exception):
    """The token is refused.

    reason: one of REASONS.
    detail: a sentence for the person who sent the token. It goes into a header, so it is printable
        ASCII without double quotes. It contains no part of the token.
    user_id: the user that the token names, for the log; only if the signature is valid.
    """

    user_id: str | None = None

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


class Forbidden(Exception):
    """The token is valid, but belongs to another user."""


class KeysUnavailable(Exception):
    """The keys that might verify the token cannot be fetched; `retry_after` is in whole seconds."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after
