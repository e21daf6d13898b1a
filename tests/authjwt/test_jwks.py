"""Which keys of a set are usable, and for what."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from authjwt.jwks import parse
from tests.authjwt.conftest import ALGORITHMS, b64, document, signer

OLD = signer("EdDSA", "old")
NEW = signer("EdDSA", "new")


def rsa_jwk(bits: int) -> dict[str, Any]:
    private = rsa.generate_private_key(65537, bits)
    return {**RSAAlgorithm.to_jwk(private.public_key(), as_dict=True), "kid": "key"}


def ec_jwk(curve: ec.EllipticCurve) -> dict[str, Any]:
    private = ec.generate_private_key(curve)
    return {**ECAlgorithm.to_jwk(private.public_key(), as_dict=True), "kid": "key"}


def okp_jwk(private: Any) -> dict[str, Any]:
    return {**OKPAlgorithm.to_jwk(private, as_dict=True), "kid": "key"}


USABLE = {
    "eddsa": (signer("EdDSA").jwk(), {"EdDSA"}),
    "es256": (signer("ES256").jwk(), {"ES256"}),
    "es512": (signer("ES512").jwk(), {"ES512"}),
    "ps256": (signer("PS256").jwk(), {"PS256"}),
    "rs256": (signer("RS256").jwk(), {"RS256"}),
    "eddsa_without_alg": (signer("EdDSA").jwk(alg=...), {"EdDSA"}),
    "es256_without_alg": (signer("ES256").jwk(alg=...), {"ES256"}),
    "es512_without_alg": (signer("ES512").jwk(alg=...), {"ES512"}),
    "rsa_without_alg": (signer("RS256").jwk(alg=...), {"PS256", "RS256"}),
    "use_sig": (signer().jwk(use="sig"), {"EdDSA"}),
    "key_ops_verify": (signer().jwk(key_ops=["verify"]), {"EdDSA"}),
    "longest_kid": (signer().jwk(kid="k" * 255), {"EdDSA"}),
    "odd_kid": (signer().jwk(kid="\U0001f511 ../\x00"), {"EdDSA"}),
    "curve_beside_rsa": (signer("RS256").jwk(crv="Ed25519"), {"RS256"}),
    "strangers_members": (signer().jwk(x5c=5, expiresAt=[], ext=True), {"EdDSA"}),
}

UNUSABLE: dict[str, Callable[[], Any]] = {
    "symmetric": lambda: {"kty": "oct", "k": b64(b"s" * 32), "kid": "key", "alg": "HS256"},
    "symmetric_as_eddsa": lambda: {"kty": "oct", "k": b64(b"s" * 32), "kid": "key", "alg": "EdDSA"},
    "use_enc": lambda: signer().jwk(use="enc"),
    "use_null": lambda: signer().jwk(use=None),
    "key_ops_sign": lambda: signer().jwk(key_ops=["sign"]),
    "key_ops_empty": lambda: signer().jwk(key_ops=[]),
    "key_ops_text": lambda: signer().jwk(key_ops="verify"),
    "key_ops_null": lambda: signer().jwk(key_ops=None),
    "weak_rsa": lambda: rsa_jwk(1024),
    "almost_strong_rsa": lambda: rsa_jwk(2040),
    "private_rsa": lambda: (
        {
            **RSAAlgorithm.to_jwk(signer("RS256").private, as_dict=True),
            "kid": "key",
        }
        | {"key_ops": ["verify"]}
    ),
    "private_ec": lambda: {
        **ECAlgorithm.to_jwk(signer("ES256").private, as_dict=True),
        "kid": "key",
    },
    "private_ed25519": lambda: okp_jwk(signer().private),
    "ed448": lambda: okp_jwk(Ed448PrivateKey.generate().public_key()),
    "p_384": lambda: ec_jwk(ec.SECP384R1()),
    "secp256k1": lambda: ec_jwk(ec.SECP256K1()),
    "not_on_the_curve": lambda: signer("ES256").jwk(x=b64(b"\x01" * 32)),
    "short_ed25519": lambda: signer().jwk(x=b64(b"\x01" * 31)),
    "even_exponent": lambda: signer("RS256").jwk(e="Ag"),
    "without_kid": lambda: signer().jwk(kid=...),
    "empty_kid": lambda: signer().jwk(kid=""),
    "long_kid": lambda: signer().jwk(kid="k" * 256),
    "numeric_kid": lambda: signer().jwk(kid=1),
    "null_kid": lambda: signer().jwk(kid=None),
    "list_kid": lambda: signer().jwk(kid=["key"]),
    "alg_of_another_type": lambda: signer().jwk(alg="RS256"),
    "alg_of_another_curve": lambda: signer("ES256").jwk(alg="ES512"),
    "alg_none": lambda: signer().jwk(alg="none"),
    "alg_hs256": lambda: signer("RS256").jwk(alg="HS256"),
    "alg_rs512": lambda: signer("RS256").jwk(alg="RS512"),
    "alg_empty": lambda: signer().jwk(alg=""),
    "alg_null": lambda: signer().jwk(alg=None),
    "alg_list": lambda: signer().jwk(alg=["EdDSA"]),
    "kty_missing": lambda: signer().jwk(kty=...),
    "kty_in_another_case": lambda: signer().jwk(kty="okp"),
    "crv_missing": lambda: signer("ES256").jwk(crv=...),
    "x_missing": lambda: signer().jwk(x=...),
    "n_missing": lambda: signer("RS256").jwk(n=...),
    "a_number": lambda: 1,
    "a_text": lambda: "key",
    "null": lambda: None,
    "a_list": lambda: [signer().jwk()],
    "an_empty_object": dict,
}


@pytest.mark.parametrize(("jwk", "algorithms"), USABLE.values(), ids=USABLE)
def test_a_key_verifies_the_algorithms_of_its_type(
    jwk: dict[str, Any], algorithms: set[str]
) -> None:
    (key,) = parse(document(jwk)).values()

    assert set(key.algorithms) == algorithms


@pytest.mark.parametrize("unusable", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_key_is_skipped(unusable: Callable[[], Any]) -> None:
    found = parse(document(unusable(), OLD, unusable()))

    assert set(found) == {"old"}


@pytest.mark.parametrize("unusable", UNUSABLE.values(), ids=UNUSABLE)
def test_a_set_of_unusable_keys_is_refused(unusable: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="no usable key in the set"):
        parse(document(unusable()))


ABSURD: list[Any] = [
    None, True, 0, -1, 1.5, math.inf, 10**400, "", "A", "=", "AQAB", "\x00", "\ud800", "\u00e9",
    "A" * 10_000, [], [[]], ["verify", []], [{}], {}, {"a": {"b": []}},
]  # fmt: skip


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_absurd_members_raise_only_valueerror(algorithm: str) -> None:
    sound = signer(algorithm).jwk()
    outcomes = set()
    for name in (*sound, "use", "key_ops", "d", "k", "oth", "p", "x5c", "ext"):
        for value in ABSURD:
            try:
                outcomes.add(len(parse(document({**sound, name: value}))))
            except ValueError:
                outcomes.add(0)

    assert outcomes == {0, 1}


def test_the_last_key_with_an_id_counts() -> None:
    found = parse(document(OLD, NEW.jwk(kid="old")))

    (jwk,) = found["old"].algorithms.values()
    assert jwk.key.public_bytes_raw() == NEW.public.public_bytes_raw()


def test_an_unusable_duplicate_does_not_replace_a_key() -> None:
    assert set(parse(document(OLD, OLD.jwk(use="enc")))) == {"old"}


def test_only_the_first_hundred_keys_count() -> None:
    found = parse(document(*(OLD.jwk(kid=f"{number}") for number in range(150))))

    assert list(found) == [f"{number}" for number in range(100)]


def test_a_set_may_have_other_members() -> None:
    found = parse(json.dumps({"keys": [OLD.jwk()], "note": "\u00e9"}).encode())

    assert set(found) == {"old"}
