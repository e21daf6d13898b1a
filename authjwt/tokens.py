"""Bearer token to claims: every rule about tokens, and nothing about HTTP.

The rules apply in the order of the functions below: form, header, key, signature, claims. Cheap
rules that need no key come first, and no claim is trusted before the signature is verified.
"""

import json
import logging
import time
import traceback
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from jwt.algorithms import Algorithm, get_default_algorithms

from authjwt.conf import LEEWAY
from authjwt.exceptions import EXPIRED, InvalidToken, KeysUnavailable
from authjwt.jwks import ALGORITHMS, MAX_KID_CHARACTERS, Key
from authjwt.keys import KeyRing
from authjwt.user_ids import is_user_id

log = logging.getLogger(__name__)

MAX_CHARACTERS = 16 * 1024
SEGMENTS = 3
MAX_TIMESTAMP = 253_402_300_799
"""The last second of the year 9999. A later time is a mistake, or an attempt at an overflow."""

MAX_CACHED = 10_000
SECRET_ALGORITHM = "HS256"  # noqa: S105  a name
HMAC = get_default_algorithms()[SECRET_ALGORITHM]
KEY_SET_ALGORITHMS = frozenset(name for names in ALGORITHMS.values() for name in names)
HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})
"""All that Better Auth and similar issuers write. Any other member is refused, above all those that
change what the token means (`crit`, `b64`, `zip`, `cty`) or bring their own key (`jwk`, `jku`,
`x5u`, `x5c`)."""

FETCH_A_JWT = "Fetch a JWT from /api/auth/token and send that."


@dataclass(frozen=True)
class Claims:
    """What a verified token says: its user, and when it expires, in seconds since 1970."""

    user_id: str
    expires: int


@dataclass(frozen=True)
class Header:
    """The header of a token; `key_id` is None for a token signed with the shared secret."""

    algorithm: str
    key_id: str | None


class Verifier:
    """Verifies the tokens of one issuer.

    secret: verifies HS256; empty if such tokens are not accepted.
    keys: verifies all other algorithms; None if such tokens are not accepted.
    issuers, audiences: the accepted spellings of `iss` and `aud`.
    clock: seconds since 1970.
    """

    def __init__(
        self,
        *,
        secret: bytes = b"",
        keys: KeyRing | None = None,
        issuers: Collection[str] = (),
        audiences: Collection[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.secret = secret
        self.keys = keys
        self.issuers = issuers
        self.audiences = audiences
        self._clock = clock
        self._cache: dict[bytes, tuple[Claims, str | None, Key | None]] = {}

    def verify(self, token: str) -> Claims:
        """The claims of a valid token. Raises InvalidToken or KeysUnavailable.

        A verified token is cached until it expires or its key is withdrawn: verifying a signature
        takes 25 to 560 microseconds, reading the cache two.
        """
        try:
            return self._verify(token)
        except (InvalidToken, KeysUnavailable):
            raise
        except Exception as error:  # noqa: BLE001
            # The safety net: an unexpected error must not accept the token, nor cause a 500.
            # Only its traceback is logged, since its message may contain parts of the token.
            trace = "".join(traceback.format_tb(error.__traceback__))
            log.error("%s in the token verifier\n%s", type(error).__name__, trace)  # noqa: TRY400
            raise InvalidToken("malformed", "The token cannot be read.") from None

    def _verify(self, token: str) -> Claims:
        segments = split(token)
        digest = sha256(token.encode()).digest()
        if claims := self._cached(digest):
            return claims
        claims, key_id, key = self._examine(segments)
        if len(self._cache) >= MAX_CACHED:
            self._cache = {}
        self._cache[digest] = claims, key_id, key
        return claims

    def _cached(self, digest: bytes) -> Claims | None:
        if not (cached := self._cache.get(digest)):
            return None
        claims, key_id, key = cached
        if key_id is None or (self.keys and self.keys.get(key_id) is key):
            try:
                _check_expiry(claims.expires, self._clock())
            except InvalidToken as refused:
                refused.user_id = claims.user_id
                raise
            return claims
        self._cache.pop(digest, None)
        return None

    def _examine(self, segments: tuple[str, str, str]) -> tuple[Claims, str | None, Key | None]:
        header = read_header(segments[0])
        payload = decode(segments[1], "payload")
        signature = decode(segments[2], "signature")
        key, algorithm, material = self.key_for(header)
        check_signature(segments, signature, algorithm, material)
        claims = read_object(payload, "payload")
        from_key_set = header.key_id is not None
        try:
            expires = self._check_claims(claims, from_key_set=from_key_set)
        except InvalidToken as refused:
            with suppress(InvalidToken):
                refused.user_id = user_of(claims, from_key_set=from_key_set)
            raise
        return Claims(user_of(claims, from_key_set=from_key_set), expires), header.key_id, key

    def _check_claims(self, claims: dict[str, Any], *, from_key_set: bool) -> int:
        expires = check_times(claims, self._clock())
        check_issuer(claims, self.issuers, required=from_key_set)
        check_audience(claims, self.audiences, required=from_key_set)
        return expires

    def key_for(self, header: Header) -> tuple[Key | None, Algorithm, Any]:
        """What verifies the signature; the Key is None for the shared secret."""
        if header.key_id is None:
            return None, HMAC, self._secret()
        key = self._key(header.key_id)
        if header.algorithm not in key.algorithms:
            raise InvalidToken(
                "algorithm_not_allowed", "The algorithm of the token does not match its key."
            )
        jwk = key.algorithms[header.algorithm]
        return key, jwk.Algorithm, jwk.key

    def _secret(self) -> bytes:
        if not self.secret:
            raise InvalidToken(
                "algorithm_not_allowed",
                f"Tokens signed with a shared secret (HS256) are not accepted here. {FETCH_A_JWT}",
            )
        return self.secret

    def _key(self, key_id: str) -> Key:
        if self.keys is None:
            raise InvalidToken(
                "algorithm_not_allowed",
                "Only tokens signed with the shared secret (HS256) are accepted here.",
            )
        if key := self.keys.get(key_id):
            return key
        raise InvalidToken(
            "unknown_key", "The issuer does not list the key that signed this token. Sign in again."
        )


def split(token: str) -> tuple[str, str, str]:
    """The three segments of a signed token (RFC 7515, section 7.1)."""
    if len(token) > MAX_CHARACTERS:
        raise InvalidToken("malformed", f"The token has more than {MAX_CHARACTERS} characters.")
    if not token:
        raise InvalidToken("malformed", "There is no token after the word Bearer.")
    if not token.isascii():
        raise InvalidToken("malformed", "The token has characters that are not ASCII.")
    segments = token.split(".")
    if len(segments) != SEGMENTS:
        raise InvalidToken(
            "not_a_jwt", f"This looks like a Better Auth session token. {FETCH_A_JWT}"
        )
    return segments[0], segments[1], segments[2]


def decode(segment: str, name: str) -> bytes:
    """Base64url without padding (RFC 7515, section 2), in its one canonical spelling."""
    try:
        decoded = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError as error:
        raise InvalidToken("malformed", f"The {name} of the token is not base64url.") from error
    if not segment or urlsafe_b64encode(decoded).rstrip(b"=") != segment.encode():
        raise InvalidToken("malformed", f"The {name} of the token is not base64url.")
    return decoded


def read_object(decoded: bytes, name: str) -> dict[str, Any]:
    """The JSON object in a segment. Duplicate names are refused (RFC 7519, section 4)."""
    try:
        found = json.loads(decoded.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise InvalidToken("malformed", f"The {name} of the token is not JSON.") from error
    if not isinstance(found, dict):
        raise InvalidToken("malformed", f"The {name} of the token is not a JSON object.")
    return found


def _without_duplicates(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError
    return found


def read_header(segment: str) -> Header:
    """Algorithm and key id, checked against closed lists before any key is looked up."""
    header = read_object(decode(segment, "header"), "header")
    check_header(header)
    algorithm = algorithm_of(header)
    return Header(algorithm, key_id_of(header))


def check_header(header: dict[str, Any]) -> None:
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise InvalidToken(
            "wrong_type", f"This is another kind of token: its typ is not JWT. {FETCH_A_JWT}"
        )
    if header.keys() - HEADER_MEMBERS:
        raise InvalidToken(
            "malformed",
            f"The header of the token may only have {', '.join(sorted(HEADER_MEMBERS))}.",
        )


def algorithm_of(header: dict[str, Any]) -> str:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in KEY_SET_ALGORITHMS | {SECRET_ALGORITHM}:
        raise InvalidToken("algorithm_not_allowed", "The algorithm of the token is not accepted.")
    return algorithm


def uses_shared_secret(header: dict[str, Any]) -> bool:
    return header.get("alg") == SECRET_ALGORITHM


def key_id_of(header: dict[str, Any]) -> str | None:
    """None for a token signed with the shared secret, which needs no key id."""
    if uses_shared_secret(header):
        return None
    key_id = header.get("kid")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_KID_CHARACTERS:
        raise InvalidToken(
            "malformed", "The token does not say which key signed it: it has no valid kid."
        )
    return key_id


def check_signature(
    segments: tuple[str, str, str], signature: bytes, algorithm: Algorithm, material: Any
) -> None:
    signed = f"{segments[0]}.{segments[1]}".encode()
    if not algorithm.verify(signed, material, signature):
        raise InvalidToken("bad_signature", "The signature does not match the token.")


def check_times(claims: dict[str, Any], now: float) -> int:
    """Checks `exp`, `nbf` and `iat` against the clock; returns `exp` (RFC 7519, section 4.1)."""
    if "exp" not in claims:
        raise InvalidToken("malformed", "The token never expires: it has no exp.")
    for name in ("exp", "nbf", "iat"):
        if name in claims and not _is_timestamp(claims[name]):
            raise InvalidToken("malformed", f"{name} must be a whole number of seconds since 1970.")
    _check_expiry(claims["exp"], now)
    if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + LEEWAY:
        raise InvalidToken("not_yet_valid", "The token is not valid yet: a clock may be wrong.")
    return int(claims["exp"])


def _is_timestamp(value: Any) -> bool:
    return type(value) is int and value <= MAX_TIMESTAMP


def _check_expiry(expires: int, now: float) -> None:
    if expires <= now - LEEWAY:
        raise InvalidToken("expired", EXPIRED)


def check_issuer(claims: dict[str, Any], accepted: Collection[str], *, required: bool) -> None:
    """A token signed with the shared secret may have no issuer; one of the key set must have it."""
    issuer = claims.get("iss")
    if not required and ("iss" not in claims or not accepted):
        return
    if not isinstance(issuer, str) or issuer not in accepted:
        raise InvalidToken("wrong_issuer", "The token comes from another issuer.")


def check_audience(claims: dict[str, Any], accepted: Collection[str], *, required: bool) -> None:
    """One of its audiences must be ours (RFC 7519, section 4.1.3); optional like the issuer."""
    audience = claims.get("aud")
    if not required and ("aud" not in claims or not accepted):
        return
    named = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(name, str) for name in named) or not any(
        name in accepted for name in named
    ):
        raise InvalidToken("wrong_audience", "The token is for another audience.")


def name_of_user_claim(claims: dict[str, Any], *, from_key_set: bool) -> str:
    """The name of the claim that has the user id.

    In a token of the key set it is always `sub`, which Better Auth sets last. Any field of a
    profile ends up in the token as the user wrote it, even one called `user_id`. Frontends that
    sign their own tokens with the shared secret write `user_id` and no `sub`.
    """
    return "sub" if from_key_set or "sub" in claims else "user_id"


def user_of(claims: dict[str, Any], *, from_key_set: bool) -> str:
    user = claims.get(name_of_user_claim(claims, from_key_set=from_key_set))
    if not isinstance(user, str) or not is_user_id(user):
        raise InvalidToken("no_subject", f"The token names no user. {FETCH_A_JWT}")
    return user
