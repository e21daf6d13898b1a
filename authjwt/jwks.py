"""A JWK set (RFC 7517) to the public keys in it that may verify a token."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

ALGORITHMS: Mapping[tuple[str, str | None], tuple[str, ...]] = {
    ("OKP", "Ed25519"): ("EdDSA",),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-521"): ("ES512",),
    ("RSA", None): ("RS256", "PS256"),
}
"""The algorithms that each type and curve of key may verify (RFC 8725, sections 3.1 and 3.2)."""

MIN_RSA_BITS = 2048
MAX_KID_CHARACTERS = 255
MAX_KEYS = 100


@dataclass(frozen=True)
class Key:
    """A public key, as PyJWT needs it for each algorithm that it may verify, by name."""

    algorithms: Mapping[str, PyJWK]


def parse(document: bytes) -> dict[str, Key]:
    """The usable keys of a JWK set (RFC 7517, section 5) by id.

    Raises ValueError if there is none. Keys that cannot verify a token are skipped: private,
    symmetric, weak and encryption keys, unknown curves, keys without an id.
    """
    try:
        listed = json.loads(document)["keys"]
        found = {jwk["kid"]: key for jwk in listed[:MAX_KEYS] if (key := _usable(jwk))}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("not a JWK set") from error
    if not found:
        raise ValueError("no usable key in the set")
    return found


def _usable(jwk: Any) -> Key | None:
    if not isinstance(jwk, dict) or "d" in jwk or not _is_for_verifying(jwk):
        return None
    kind, curve = str(jwk.get("kty")), jwk.get("crv")
    names = ALGORITHMS.get((kind, None if kind == "RSA" else str(curve)), ())
    try:
        algorithms = {name: PyJWK(jwk, name) for name in names if jwk.get("alg", name) == name}
    except (PyJWTError, ValueError, TypeError):
        return None
    return Key(algorithms) if algorithms and _is_strong(*algorithms.values()) else None


def _is_for_verifying(jwk: dict[str, Any]) -> bool:
    kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
    return (
        isinstance(kid, str)
        and 0 < len(kid) <= MAX_KID_CHARACTERS
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )


def _is_strong(*keys: PyJWK) -> bool:
    return all(
        not isinstance(key.key, RSAPublicKey) or key.key.key_size >= MIN_RSA_BITS for key in keys
    )
