"""Errors about the token of a request, and about the keys that verify it."""

from collections.abc import Mapping
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
    "id_token",
    "logout_token",
    "client_token",
    "bound_token",
]
REASONS: tuple[Reason, ...] = get_args(Reason)

EXPIRED = "The token has expired. Fetch a new one."
ANOTHER_USER = "This token belongs to another user."
FETCH_A_JWT = "Fetch a JWT from /api/auth/token and send that."


class TokenError(Exception):
    """The request is refused because of its token."""


class MissingToken(TokenError):
    """The request has no bearer token."""


class InvalidToken(TokenError):
    """The token is refused.

    reason: one of REASONS.
    detail: a sentence for the person who sent the token. It goes into a header, so it is printable
        ASCII without double quotes. It contains no part of the token.
    log: what only the log may say: the user and the claims of a token whose signature is valid.
    """

    def __init__(self, reason: Reason, detail: str, log: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail
        self.log = dict(log or {})


class Forbidden(TokenError):
    """The token is valid, but belongs to another user."""


class InsufficientScope(TokenError):
    """The access token is valid, but was not issued for requests of this kind."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"This needs an access token with the scope {scope}.")
        self.scope = scope


class KeysUnavailable(TokenError):
    """The keys that might verify the token cannot be fetched; `retry_after` is in whole seconds."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NoKeySet(KeysUnavailable):
    """The address of the key set answered with something else."""
