"""Bearer token to claims: every rule about tokens, and nothing about HTTP.

The rules apply in the order of the functions below: form, header, key, signature. Then follow those
of `authjwt.claims`. Cheap rules that need no key come first, and no claim is trusted before the
signature is verified.
"""

import json
import logging
import time
import traceback
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from jwt.algorithms import Algorithm, get_default_algorithms

from authjwt.claims import NOBODY, Accepted, Claims, Kind, check_expiry, verified
from authjwt.exceptions import FETCH_A_JWT, InvalidToken, KeysUnavailable
from authjwt.jwks import ALGORITHMS, MAX_KID_CHARACTERS, Key
from authjwt.keys import KeyRing

log = logging.getLogger(__name__)

MAX_CHARACTERS = 16 * 1024
SEGMENTS = 3
ENCRYPTED_SEGMENTS = 5
"""Of a JWE (RFC 7516, section 7.1)."""

MAX_CACHED = 10_000
SECRET_ALGORITHM = "HS256"  # noqa: S105  a name
HMAC = get_default_algorithms()[SECRET_ALGORITHM]
KEY_SET_ALGORITHMS = frozenset(name for names in ALGORITHMS.values() for name in names)
ACCESS_TOKEN_TYPES = ("at+jwt", "application/at+jwt")
"""RFC 9068, section 4. Media types ignore case."""

REFUSED_MEMBERS = ("b64", "crit", "enc", "zip")
"""Header members that change what a token means. Others that are unknown are ignored (RFC 7515,
section 4)."""
KEY_MEMBERS = ("jku", "jwk", "x5c", "x5u")
"""Header members by which a token brings its own key (RFC 8725, section 3.10)."""

UNSET = ("undefined", "null", "None", "NaN", "true", "false")
OBJECTS = ("[object Object]", "[object Promise]")
"""What JavaScript and Python write in place of a token that is not there, or not a text."""


@dataclass(frozen=True)
class Header:
    """The header of a token; `key_id` is None for a token signed with the shared secret."""

    algorithm: str
    key_id: str | None
    kind: Kind


class Verifier:
    """Verifies the tokens of one issuer.

    secret: verifies HS256; empty if such tokens are not accepted.
    keys: verifies all other algorithms; None if such tokens are not accepted.
    jwts: whose session JWTs and JWTs of the shared secret are accepted.
    access_tokens: whose OAuth access tokens are accepted; None if such tokens are not.
    clock: seconds since 1970.
    """

    def __init__(
        self,
        *,
        secret: bytes = b"",
        keys: KeyRing | None = None,
        jwts: Accepted = NOBODY,
        access_tokens: Accepted | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.secret = secret
        self.keys = keys
        self.jwts = jwts
        self.access_tokens = access_tokens
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
                check_expiry(claims.expires, self._clock())
            except InvalidToken as refused:
                refused.log["user_id"] = claims.user_id
                raise
            return claims
        self._cache.pop(digest, None)
        return None

    def _examine(self, segments: tuple[str, str, str]) -> tuple[Claims, str | None, Key | None]:
        header = read_header(segments[0])
        accepted = self.accepted(header.kind)
        payload = decode(segments[1], "payload")
        signature = decode(segments[2], "signature")
        key, algorithm, material = self.key_for(header)
        check_signature(segments, signature, algorithm, material)
        claims = verified(read_object(payload, "payload"), header.kind, accepted, self._clock())
        return claims, header.key_id, key

    def accepted(self, kind: Kind) -> Accepted:
        """The issuers and audiences of tokens of this kind."""
        if kind is not Kind.ACCESS:
            return self.jwts
        if self.access_tokens is None:
            raise InvalidToken(
                "wrong_type",
                f"This is an OAuth access token, and they are not accepted here. {FETCH_A_JWT}",
            )
        return self.access_tokens

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
        raise InvalidToken("not_a_jwt", f"{_likeness(token, len(segments))} {FETCH_A_JWT}")
    return segments[0], segments[1], segments[2]


def _likeness(token: str, segments: int) -> str:
    """What a text that is no JWT probably is."""
    if token in UNSET:
        return f"The token is the word {token}: the request was sent before there was a token."
    if token in OBJECTS:
        return "The token is an object that was turned into text: send its token, a string."
    if segments == ENCRYPTED_SEGMENTS:
        return "This is encrypted, like the cookie of a session."
    return "This looks like a Better Auth session token."


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
    """Kind, algorithm and key id, checked against closed lists before any key is looked up."""
    header = read_object(decode(segment, "header"), "header")
    kind = kind_of(header)
    algorithm = algorithm_of(header, kind)
    return Header(algorithm, key_id_of(header), kind)


def kind_of(header: dict[str, Any]) -> Kind:
    """The kind of token, from `typ` (RFC 8725, section 3.11) and who signs it."""
    check_members(header)
    written = header.get("typ", "JWT")
    typ = written.lower() if isinstance(written, str) else ""
    if typ in ACCESS_TOKEN_TYPES:
        return Kind.ACCESS
    if typ == "jwt":
        return Kind.SHARED_SECRET if uses_shared_secret(header) else Kind.SESSION
    if typ == "logout+jwt":
        raise InvalidToken(
            "logout_token",
            f"This is a logout token, which ends sessions and opens nothing. {FETCH_A_JWT}",
        )
    raise InvalidToken(
        "wrong_type", f"This is another kind of token: its typ is not JWT. {FETCH_A_JWT}"
    )


def contains_token(header: dict[str, Any]) -> bool:
    """RFC 7519, section 5.2."""
    content = header.get("cty")
    return isinstance(content, str) and content.lower() in ("jwt", "application/jwt")


def check_members(header: dict[str, Any]) -> None:
    if contains_token(header):
        raise InvalidToken("malformed", "The token contains another token: its cty is JWT.")
    for name in REFUSED_MEMBERS:
        if name in header:
            raise InvalidToken("malformed", f"The header of the token must not have {name}.")
    for name in KEY_MEMBERS:
        if name in header:
            raise InvalidToken(
                "malformed",
                f"The token brings its own key: its header must not have {name}.",
            )


def algorithm_of(header: dict[str, Any], kind: Kind) -> str:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in KEY_SET_ALGORITHMS | {SECRET_ALGORITHM}:
        raise InvalidToken("algorithm_not_allowed", "The algorithm of the token is not accepted.")
    if kind is Kind.ACCESS and uses_shared_secret(header):
        raise InvalidToken(
            "algorithm_not_allowed", "An access token must be signed by a key of the issuer."
        )
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
    if algorithm.verify(signed, material, signature):
        return
    detail = "The signature does not match the token."
    if algorithm is HMAC:
        detail = "The token was signed with another secret than BETTER_AUTH_SECRET, or was changed."
    raise InvalidToken("bad_signature", detail)
