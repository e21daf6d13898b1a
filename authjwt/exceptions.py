"""What can be wrong with a request's token, and with the keys that verify it."""

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


class MissingToken(Exception):
    """There is no bearer token in the request."""


class InvalidToken(Exception):
    """The token does not open anything.

    `reason` is one of a closed list; `detail` is a sentence for the person who sent the token,
    printable ASCII without quotes, so that it can stand in a header, and never part of the token.
    `user_id` is whom a token names whose signature is good, for the log.
    """

    user_id: str | None = None

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


class Forbidden(Exception):
    """The token is good, and it is somebody else's."""


class KeysUnavailable(Exception):
    """No key could be fetched that might verify the token; `retry_after` is in whole seconds."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after
