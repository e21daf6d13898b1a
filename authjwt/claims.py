"""The rules about the claims of a token, by the kind of token.

A token has to satisfy all rules of its kind, which its header decides. No claim is trusted before
the signature is verified: see `authjwt.tokens`.
"""

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

from authjwt import user_ids
from authjwt.conf import LEEWAY
from authjwt.exceptions import EXPIRED, FETCH_A_JWT, InvalidToken
from authjwt.wording import shown

MAX_TIMESTAMP = 253_402_300_799
"""The last second of the year 9999. A later time is a mistake, or an attempt at an overflow."""

ID_TOKEN_CLAIMS = ("at_hash", "c_hash")
"""Only ID tokens have these (OpenID Connect Core, section 3.3.2.11). They have no `typ`, and their
issuer may be ours."""

UNTYPED_ACCESS_CLAIMS = ("azp", "scope")
"""What distinguishes access tokens of Better Auth 1.4 to 1.6, which have no `typ`."""

OTHER_USER_CLAIMS = ("userId", "id", "uid", "user", "email")
"""Where frontends that sign their own tokens put the user by mistake."""

HEADER_TEXT = re.compile(r"[ !#-\[\]-~]+")
"""What a quoted string in a header contains without escapes (RFC 9110, section 5.6.4)."""


class Kind(Enum):
    SESSION = "session JWT"  # of Better Auth's jwt plugin, signed by the key set
    SHARED_SECRET = "JWT of the shared secret"  # noqa: S105  signed by a frontend
    ACCESS = "access token"  # of Better Auth's OAuth provider (RFC 9068)


@dataclass(frozen=True)
class Accepted:
    """The accepted spellings of `iss` and `aud` in tokens of one kind."""

    issuers: Collection[str] = ()
    audiences: Collection[str] = ()


NOBODY = Accepted()


@dataclass(frozen=True)
class Claims:
    """What a verified token says.

    expires: in seconds since 1970.
    scopes: what its client may do for the user; None if the token is the user's own.
    """

    user_id: str
    expires: int
    scopes: frozenset[str] | None = None


def verified(claims: Mapping[str, Any], kind: Kind, accepted: Accepted, now: float) -> Claims:
    """Applies every rule to the claims of a token whose signature is valid."""
    try:
        check_kind(claims, kind)
        expires = check_times(claims, now)
        check_issuer(claims, kind, accepted.issuers)
        check_audience(claims, kind, accepted.audiences)
        check_binding(claims, kind)
    except InvalidToken as refused:
        with suppress(InvalidToken):
            refused.log["user_id"] = user_of(claims, kind)
        raise
    return Claims(user_of(claims, kind), expires, scopes_of(claims, kind))


def check_kind(claims: Mapping[str, Any], kind: Kind) -> None:
    """Whether the claims are those of its kind: an access token has the claims of RFC 9068,
    section 2.2, and an ID token is for a client, not for an API.
    """
    if kind is Kind.ACCESS:
        for name in ("client_id", "jti"):
            if not isinstance(claims.get(name), str) or not claims[name]:
                raise InvalidToken("malformed", f"An access token needs a string in {name}.")
        if "iat" not in claims:
            raise InvalidToken("malformed", "An access token needs iat, the time of its issue.")
    elif any(name in claims for name in ID_TOKEN_CLAIMS):
        raise InvalidToken(
            "id_token", f"This is an ID token, which is for the client alone. {FETCH_A_JWT}"
        )
    elif kind is Kind.SESSION and all(name in claims for name in UNTYPED_ACCESS_CLAIMS):
        raise InvalidToken(
            "wrong_type",
            "This is an access token without a type, as Better Auth made them before 1.7, so its "
            f"scopes cannot be relied on. {FETCH_A_JWT}",
        )


def check_times(claims: Mapping[str, Any], now: float) -> int:
    """Checks `exp`, `nbf` and `iat` against the clock; returns `exp` (RFC 7519, section 4.1)."""
    if "exp" not in claims:
        raise InvalidToken("malformed", "The token never expires: it has no exp.")
    for name in ("exp", "nbf", "iat"):
        if name in claims and not _is_timestamp(claims[name]):
            raise InvalidToken("malformed", f"{name} must be a whole number of seconds since 1970.")
    check_expiry(claims["exp"], now)
    if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + LEEWAY:
        raise InvalidToken("not_yet_valid", "The token is not valid yet: a clock may be wrong.")
    return int(claims["exp"])


def _is_timestamp(value: Any) -> bool:
    return type(value) is int and value <= MAX_TIMESTAMP


def check_expiry(expires: int, now: float) -> None:
    if expires <= now - LEEWAY:
        raise InvalidToken("expired", EXPIRED)


def check_issuer(claims: Mapping[str, Any], kind: Kind, accepted: Collection[str]) -> None:
    issuer = claims.get("iss")
    if _may_lack(claims, "iss", kind, accepted):
        return
    if not isinstance(issuer, str) or issuer not in accepted:
        raise InvalidToken(
            "wrong_issuer",
            f"The token comes from another issuer{_than(accepted)}.",
            {"issuer": shown(issuer), "expected": _shortest(accepted)},
        )


def check_audience(claims: Mapping[str, Any], kind: Kind, accepted: Collection[str]) -> None:
    """One of its audiences must be ours (RFC 7519, section 4.1.3)."""
    audience = claims.get("aud")
    if _may_lack(claims, "aud", kind, accepted):
        return
    named = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(name, str) for name in named) or not any(
        name in accepted for name in named
    ):
        raise InvalidToken(
            "wrong_audience",
            f"The token is for another audience{_than(accepted)}.",
            {"audience": shown(audience), "expected": _shortest(accepted)},
        )


def _may_lack(claims: Mapping[str, Any], name: str, kind: Kind, accepted: Collection[str]) -> bool:
    """A frontend that signs its own tokens need not write issuer and audience."""
    return kind is Kind.SHARED_SECRET and (name not in claims or not accepted)


def _shortest(names: Collection[str]) -> str:
    """Of several spellings, the one without path and credentials."""
    return min(names, key=lambda name: (len(name), name), default="")


def _than(accepted: Collection[str]) -> str:
    name = _shortest(accepted)
    return f" than {name}" if HEADER_TEXT.fullmatch(name) else ""


def check_binding(claims: Mapping[str, Any], kind: Kind) -> None:
    """A token that is bound to a key (RFC 7800) is worthless without a proof of that key."""
    if kind is Kind.ACCESS and "cnf" in claims:
        raise InvalidToken(
            "bound_token",
            "The token is bound to a key (cnf), so it is no bearer token. "
            "Request an access token without DPoP.",
        )


def name_of_user_claim(claims: Mapping[str, Any], kind: Kind) -> str:
    """The name of the claim that has the user id.

    In a token of the key set it is always `sub`, which Better Auth sets last. Any field of a
    profile ends up in the token as the user wrote it, even one called `user_id`. Frontends that
    sign their own tokens with the shared secret write `user_id` and no `sub`.
    """
    return "user_id" if kind is Kind.SHARED_SECRET and "sub" not in claims else "sub"


def user_of(claims: Mapping[str, Any], kind: Kind) -> str:
    """The user id.

    The `sub` of an access token that a client got for itself is the id of that client (RFC 9068,
    section 5). Such a token must not act as a user whose id is the same.
    """
    name = name_of_user_claim(claims, kind)
    user = claims.get(name)
    if not isinstance(user, str) or not user_ids.is_user_id(user):
        raise InvalidToken("no_subject", _why_no_user(claims, name, kind))
    if kind is Kind.ACCESS and user in (claims.get("client_id"), claims.get("azp")):
        raise InvalidToken(
            "client_token",
            "The token belongs to a client, not to a user: its sub is its client_id. "
            "Let a user sign in (authorization code flow).",
        )
    return user


def _why_no_user(claims: Mapping[str, Any], name: str, kind: Kind) -> str:
    needs = f"it needs a string in {'sub or user_id' if kind is Kind.SHARED_SECRET else 'sub'}"
    if "session" in claims:
        return f"This is the cookie cache of a session. {FETCH_A_JWT}"
    if type(claims.get(name)) in (int, float):
        return f"The {name} of the token is a number: {needs}."
    if name in claims:
        return f"The {name} of the token is not a user id: it {user_ids.RULE}."
    if other := next((other for other in OTHER_USER_CLAIMS if other in claims), ""):
        return f"The token has {other}, which is not read: {needs}."
    return f"The token names no user: {needs}. {FETCH_A_JWT}"


def scopes_of(claims: Mapping[str, Any], kind: Kind) -> frozenset[str] | None:
    """The scopes of an access token, between spaces (RFC 9068, section 2.2.3). None of another.

    Whatever is not a text grants nothing.
    """
    if kind is not Kind.ACCESS:
        return None
    scope = claims.get("scope")
    return frozenset(scope.split(" ")) - {""} if isinstance(scope, str) else frozenset()
