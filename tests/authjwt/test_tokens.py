"""Valid and invalid tokens: their user, or why they are refused (RFC 8725, RFC 7519)."""

import json
import logging
import os
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jwt.utils import base64url_decode

from authjwt import tokens
from authjwt.claims import Accepted, Claims
from authjwt.conf import LEEWAY
from authjwt.exceptions import REASONS, InvalidToken, KeysUnavailable, Reason
from authjwt.jwks import Key
from authjwt.keys import MAX_AGE, KeyRing
from authjwt.tokens import Verifier
from tests.authjwt.conftest import (
    ALGORITHMS,
    BAD_ANSWERS,
    ORIGIN,
    Clock,
    Issuer,
    Signer,
    at_once,
    b64,
    claims,
    document,
    segment,
    settle,
    signed,
    signer,
)
from tests.people import SECRET

HS256 = "HS256"
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "200"))
OURS = Accepted({ORIGIN, f"{ORIGIN}/"}, {ORIGIN, f"{ORIGIN}/"})
KEYS = tuple(signer(algorithm) for algorithm in ALGORITHMS)


def hs256(message: bytes, secret: bytes = SECRET.encode()) -> bytes:
    return tokens.HMAC.sign(message, secret)


def hs256_token(payload: Any = None, header: Any = None, secret: bytes = SECRET.encode()) -> str:
    """A token signed with the shared secret, like those of a frontend that signs its own."""
    now = int(time.time())
    return signed(
        {"alg": HS256} if header is None else header,
        {"user_id": "alice", "iat": now, "exp": now + 900} if payload is None else payload,
        lambda message: hs256(message, secret),
    )


def good(algorithm: str, payload: Any = None, header: Any = None) -> str:
    if algorithm == HS256:
        return hs256_token(payload, header)
    return signer(algorithm).token(payload, header)


class KeySetInMemory:
    """A key set in memory, for tests that are not about fetching."""

    def __init__(self, *signers: Signer) -> None:
        self.ring = KeyRing(
            "https://app.example.com/api/auth/jwks",
            fetch=lambda _: document(*signers),
            clock=Clock(),
        )


@pytest.fixture(scope="module")
def ring() -> KeyRing:
    return KeySetInMemory(*KEYS).ring


@pytest.fixture
def verifier(ring: KeyRing) -> Verifier:
    """Accepts both kinds of token."""
    return Verifier(
        secret=SECRET.encode(),
        keys=ring,
        jwts=OURS,
    )


def reason_of(verifier: Verifier, token: str) -> Reason:
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(token)
    assert caught.value.detail.isascii()
    assert '"' not in caught.value.detail
    return caught.value.reason


# Good tokens


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, HS256])
def test_a_good_token_names_its_user(algorithm: str, verifier: Verifier) -> None:
    payload = claims()

    assert verifier.verify(good(algorithm, payload)) == Claims("alice", payload["exp"])


@pytest.mark.django_db
@pytest.mark.parametrize("algorithm", [*ALGORITHMS, HS256])
def test_a_good_token_opens_its_users_tasks(algorithm: str, accepting: Issuer) -> None:
    accepting.lists(*KEYS)

    response = Client().get(
        "/api/alice/tasks", headers={"Authorization": f"Bearer {good(algorithm)}"}
    )

    assert response.status_code == 200
    assert response.json() == {"tasks": [], "count": 0, "next_cursor": None}


@pytest.mark.parametrize("algorithm", ["PS256", "RS256"])
def test_an_older_rsa_key_without_alg_verifies_both_paddings(algorithm: str) -> None:
    rsa = signer("RS256")
    ring = KeyRing("", fetch=lambda _: document(rsa.jwk(alg=...)), clock=Clock())
    verifier = Verifier(keys=ring, jwts=Accepted({ORIGIN}, {ORIGIN}))
    token = signed(
        rsa.header(alg=algorithm), claims(), lambda message: rsa.sign(message, algorithm)
    )

    assert verifier.verify(token).user_id == "alice"


@pytest.mark.parametrize(
    "member",
    [
        pytest.param({"x5t": "AAAA", "x5t#S256": "AAAA"}, id="fingerprints"),
        pytest.param({"cat": "cl_B7d4PD111AAA"}, id="another_issuer"),
        pytest.param({"cty": "json"}, id="content_type"),
        pytest.param({"cty": 1, "iss": "https://evil.example", "sub": "bob"}, id="claims"),
        pytest.param({"unheard_of": {"crit": ["exp"]}, "": 1}, id="unheard_of"),
    ],
)
@pytest.mark.parametrize("algorithm", ["EdDSA", HS256])
def test_unknown_header_members_are_ignored(
    algorithm: str, member: dict[str, Any], verifier: Verifier
) -> None:
    """RFC 7515, section 4."""
    header = {"alg": algorithm, "kid": f"key-{algorithm}", **member}

    assert verifier.verify(good(algorithm, header=header)).user_id == "alice"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "Jwt"])
def test_typ_may_be_jwt_in_any_case(typ: str, verifier: Verifier) -> None:
    assert verifier.verify(signer().token(header=signer().header(typ=typ))).user_id == "alice"


def test_a_token_of_the_secret_may_carry_a_key_id(verifier: Verifier) -> None:
    assert verifier.verify(hs256_token(header={"alg": HS256, "kid": "any"})).user_id == "alice"


def of_length(characters: int) -> str:
    """A good token of exactly this length, or one less if base64 cannot have this length."""
    filling = 0
    while True:
        missing = characters - len(hs256_token({**claims(), "image": "x" * filling}))
        if missing <= 1:
            return hs256_token({**claims(), "image": "x" * filling})
        filling += max(1, missing * 3 // 4 - 2)


def test_a_token_of_almost_16_kb_is_read(verifier: Verifier) -> None:
    token = of_length(16 * 1024)

    assert len(token) in (16 * 1024, 16 * 1024 - 1)
    assert verifier.verify(token).user_id == "alice"


def test_a_token_of_more_than_16_kb_is_refused(verifier: Verifier) -> None:
    token = of_length(16 * 1024 + 2)

    assert len(token) > 16 * 1024
    assert reason_of(verifier, token) == "malformed"


def test_a_token_of_a_megabyte_is_refused_quickly(verifier: Verifier) -> None:
    token = hs256_token({**claims(), "image": "x" * 1_000_000})
    start = time.perf_counter()

    for _ in range(100):
        assert reason_of(verifier, token) == "malformed"

    assert time.perf_counter() - start < 0.1


# Bad tokens: a name, the reason, the token

Case = tuple[Reason, Callable[[], str]]


def with_header_members(**members: Any) -> Callable[[], str]:
    """A key-set token that is good except for its header."""
    return lambda: signer().token(header=signer().header(**members))


def claiming(**changes: Any) -> Callable[[], str]:
    """A key-set token that is good except for its claims."""
    return lambda: signer().token(claims(**changes))


def written(**changes: str) -> Callable[[], str]:
    """A key-set token whose claims are written as raw JSON."""
    return lambda: signer().token(text(**changes))


def from_secret(**changes: Any) -> Callable[[], str]:
    """A token of the secret that is good except for its claims."""
    return lambda: hs256_token(claims(**changes))


def by_stranger(algorithm: str) -> Callable[[], str]:
    return lambda: impostor(algorithm).token()


def with_payload(payload: bytes) -> Callable[[], str]:
    return lambda: signer().token(payload)


def with_header(header: bytes) -> Callable[[], str]:
    return lambda: signer().token(header=header)


def with_signature(change: Callable[[str], str], algorithm: str = "EdDSA") -> Callable[[], str]:
    def build() -> str:
        message, _, signature = good(algorithm).rpartition(".")
        return f"{message}.{change(signature)}"

    return build


def confused(secret: Callable[[Signer], bytes], algorithm: str = "RS256") -> Callable[[], str]:
    """HS256 with the public key, which everybody knows, as the secret (RFC 8725, 2.1)."""

    def build() -> str:
        key = signer(algorithm)
        return hs256_token(claims(), {"alg": HS256, "kid": key.kid}, secret(key))

    return build


def impostor(algorithm: str) -> Signer:
    """A stranger's key under the id of a listed one."""
    return Signer(algorithm, f"key-{algorithm}", signer(algorithm, "stranger").private)


def text(**changes: str) -> bytes:
    """A payload whose given claims are raw JSON."""
    whole = {name: json.dumps(value) for name, value in claims().items()} | changes
    return (
        f"{{{', '.join(f'{json.dumps(name)}: {value}' for name, value in whole.items())}}}".encode()
    )


def flipped(signature: str) -> str:
    raw = bytearray(base64url_decode(signature))
    raw[len(raw) // 2] ^= 1
    return b64(bytes(raw))


def spare_bits(signature: str) -> str:
    """The same bytes, with the unused bits of the last character set (RFC 4648, 3.5)."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = signature[:-1] + alphabet[alphabet.index(signature[-1]) | 1]
    assert other != signature
    assert base64url_decode(other) == base64url_decode(signature)
    return other


def unsigned(alg: Any) -> Callable[[], str]:
    return lambda: signed({"alg": alg, "kid": "key-EdDSA"}, claims(), lambda _: b"")


def cookie_cache() -> str:
    """The session of Better Auth's default cookie cache, signed with the shared secret."""
    now = int(time.time())
    return hs256_token(
        {
            "session": {"id": "s", "userId": "alice", "token": "t"},
            "user": {"id": "alice", "email": "alice@example.com"},
            "updatedAt": now * 1000,
            "version": "1",
            "iat": now,
            "exp": now + 300,
        }
    )


NO_ALGORITHM: dict[str, Any] = {
    "none": "none",
    "None": "None",
    "NONE": "NONE",
    "nOnE": "nOnE",
    "empty": "",
    "null": None,
    "list": ["EdDSA"],
    "number": 1,
    "object": {},
    "true": True,
    "blank": " none",
}
WRONG: dict[str, Reason] = {"iss": "wrong_issuer", "aud": "wrong_audience"}

REFUSED: dict[str, Case] = {
    # RFC 8725, 3.1: the verifier chooses the algorithms
    **{
        f"alg_{name}": ("algorithm_not_allowed", unsigned(alg))
        for name, alg in NO_ALGORITHM.items()
    },
    "alg_none_signed": ("algorithm_not_allowed", with_header_members(alg="none")),
    "alg_none_with_secret": ("algorithm_not_allowed", lambda: hs256_token(header={"alg": "none"})),
    "alg_missing": ("algorithm_not_allowed", with_header_members(alg=...)),
    "alg_lower_case": ("algorithm_not_allowed", with_header_members(alg="eddsa")),
    "alg_hs256_lower_case": ("algorithm_not_allowed", lambda: hs256_token(header={"alg": "hs256"})),
    **{
        f"alg_{alg}": ("algorithm_not_allowed", with_header_members(alg=alg))
        for alg in ("HS384", "HS512", "RS384", "RS512", "PS384", "PS512", "ES384", "ES256K",
                    "Ed448", "RSA-OAEP", "dir")
    },
    # RFC 8725, 2.1: the public key as a shared secret
    "public_pem_as_secret": ("bad_signature", confused(
        lambda key: key.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))),
    "public_pem_stripped_as_secret": ("bad_signature", confused(
        lambda key: key.public.public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip())),
    "public_der_as_secret": ("bad_signature", confused(
        lambda key: key.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))),
    "public_pkcs1_as_secret": ("bad_signature", confused(
        lambda key: key.public.public_bytes(Encoding.PEM, PublicFormat.PKCS1))),
    "public_jwk_as_secret": ("bad_signature", confused(lambda key: json.dumps(key.jwk()).encode())),
    "public_bytes_as_secret": ("bad_signature", confused(
        lambda key: key.public.public_bytes_raw(), "EdDSA")),
    "key_set_as_secret": ("bad_signature", confused(lambda _: document(*KEYS))),
    "key_id_as_secret": ("bad_signature", confused(lambda key: key.kid.encode())),
    "empty_secret": ("bad_signature", confused(lambda _: b"")),
    "another_secret": ("bad_signature", lambda: hs256_token(secret=b"s" * 32)),
    # RFC 8725, 3.2: the key determines the algorithm
    "ps256_for_an_rs256_key": ("algorithm_not_allowed", lambda: signed(
        signer("RS256").header(alg="PS256"), claims(),
        lambda message: signer("RS256").sign(message, "PS256"))),
    "rs256_for_a_ps256_key": ("algorithm_not_allowed", lambda: signed(
        signer("PS256").header(alg="RS256"), claims(),
        lambda message: signer("PS256").sign(message, "RS256"))),
    "es256_for_a_p521_key": ("algorithm_not_allowed", lambda: signer("ES256").token(
        header={"alg": "ES256", "kid": "key-ES512"})),
    "eddsa_for_an_rsa_key": ("algorithm_not_allowed", lambda: signer("EdDSA").token(
        header={"alg": "EdDSA", "kid": "key-RS256"})),
    "another_listed_key": ("bad_signature", lambda: signed(
        signer("EdDSA").header(), claims(), signer("EdDSA", "stranger").sign)),
    **{
        f"impostor_{algorithm}": ("bad_signature", by_stranger(algorithm))
        for algorithm in ALGORITHMS
    },
    "unknown_key": ("unknown_key", lambda: signer("EdDSA", "unlisted").token()),
    "key_id_of_another_case": ("unknown_key", with_header_members(kid="KEY-EdDSA")),
    # RFC 8725, 2.10 and 3.10: no token brings its own key
    "embedded_jwk": ("malformed", lambda: impostor("EdDSA").token(
        header=signer().header(jwk=impostor("EdDSA").jwk()))),
    "embedded_jwk_of_the_listed_key": ("malformed", with_header_members(jwk=signer().jwk())),
    **{
        f"header_{case}": ("malformed", with_header_members(**{case.removesuffix("_true"): value}))
        for case, value in {
            "jku": "https://evil.example/jwks", "x5u": "https://evil.example/cert",
            "x5c": ["MIIB"], "crit": ["exp"], "b64": False, "b64_true": True, "zip": "DEF",
            "enc": "A256GCM",
        }.items()
    },
    **{
        f"header_cty_{cty}": ("malformed", with_header_members(cty=cty))
        for cty in ("JWT", "jwt", "application/jwt")
    },
    "crit_empty": ("malformed", with_header_members(crit=[])),
    "crit_b64_unencoded_payload": ("malformed", with_header_members(crit=["b64"], b64=False)),
    # RFC 8725, 2.8 and 3.8: a token in a token, an encrypted token
    "nested": ("malformed", lambda: signer().token(signer().token().encode(),
                                                    signer().header(cty="JWT"))),
    "nested_without_cty": ("malformed", lambda: signer().token(signer().token().encode())),
    "encrypted": ("not_a_jwt", lambda: ".".join(
        [segment({"alg": "dir", "enc": "A256GCM", "kid": "key-EdDSA"}), "", *["AAAA"] * 3])),
    # RFC 8725, 3.11: each kind of token has its type
    **{
        f"typ_{name}": ("wrong_type", with_header_members(typ=typ))
        for name, typ in {
            "access_token": "at+jwt", "access_token_in_full": "application/at+jwt",
            "dpop": "dpop+jwt", "empty": "", "null": None,
            "cookie_cache": "better-auth.session-cache+jwt", "list": ["JWT"], "number": 1,
            "blank": "JWT ", "jws": "JOSE",
        }.items()
    },
    "typ_cookie_cache_of_the_secret": ("wrong_type", lambda: hs256_token(
        claims(), {"alg": HS256, "typ": "better-auth.session-cache+jwt"})),
    # Header: which key?
    "kid_missing": ("malformed", with_header_members(kid=...)),
    "kid_empty": ("malformed", with_header_members(kid="")),
    "kid_null": ("malformed", with_header_members(kid=None)),
    "kid_number": ("malformed", with_header_members(kid=1)),
    "kid_list": ("malformed", with_header_members(kid=["key-EdDSA"])),
    "kid_object": ("malformed", with_header_members(kid={})),
    "kid_long": ("malformed", with_header_members(kid="k" * 256)),
    "kid_path": ("unknown_key", with_header_members(kid="../../../../dev/null")),
    "kid_query": ("unknown_key", with_header_members(kid="' OR 1=1 --")),
    "kid_nul": ("unknown_key", with_header_members(kid="key-EdDSA\x00")),
    "kid_surrogate": ("unknown_key", with_header_members(kid="\ud800")),
    # Form
    "empty": ("malformed", lambda: ""),
    "dots": ("malformed", lambda: ".."),
    "empty_header": ("malformed", lambda: "." + signer().token().partition(".")[2]),
    "empty_payload": ("malformed", with_payload(b"")),
    "opaque_session_token": ("not_a_jwt", lambda: "7Qk2VbW4sJ9xTzR1nLpYcD8mFhGa6E3u"),
    "session_cookie": ("not_a_jwt", lambda: "7Qk2VbW4sJ9xTzR1.c2lnbmF0dXJlb2Z0aGVjb29raWU%3D"),
    "two_segments": ("not_a_jwt", lambda: signer().token().rpartition(".")[0]),
    "four_segments": ("not_a_jwt", lambda: signer().token() + ".AAAA"),
    "words": ("not_a_jwt", lambda: "undefined"),
    "object_as_text": ("not_a_jwt", lambda: "[object Object]"),
    "quoted": ("malformed", lambda: f'"{signer().token()}"'),
    "another_token_beside": ("not_a_jwt", lambda: f"{signer().token()}, Bearer {hs256_token()}"),
    "blank_inside": ("malformed", lambda: signer().token().replace(".", ". ", 1)),
    "line_break": ("malformed", lambda: signer().token().replace(".", ".\n", 1)),
    "not_ascii": ("malformed", lambda: signer().token().replace(".", ".\u00e9", 1)),
    "fullwidth_dots": ("malformed", lambda: signer().token().replace(".", "\uff0e")),
    "header_padded": ("malformed", lambda: segment(signer().header()) + "==." +
                      signer().token().partition(".")[2]),
    "header_not_json": ("malformed", with_header(b"alg: EdDSA")),
    "header_number": ("malformed", with_header(b"1")),
    "header_null": ("malformed", with_header(b"null")),
    "header_text": ("malformed", with_header(b'"EdDSA"')),
    "header_list": ("malformed", with_header(b'[{"alg": "EdDSA", "kid": "key-EdDSA"}]')),
    "header_deep": ("malformed", with_header(b"[" * 5_000)),
    "header_utf_16": ("malformed", lambda: signer().token(
        header=json.dumps(signer().header()).encode("utf-16"))),
    "header_utf_16_le": ("malformed", lambda: signer().token(
        header=json.dumps(signer().header()).encode("utf-16-le"))),
    "header_with_bom": ("malformed", lambda: signer().token(
        header=json.dumps(signer().header()).encode("utf-8-sig"))),
    "header_not_utf_8": ("malformed", with_header(b'{"alg": "EdDSA", "kid": "\xff"}')),
    "header_alg_twice": ("malformed", with_header(
        b'{"alg": "none", "alg": "EdDSA", "kid": "key-EdDSA"}')),
    "header_kid_twice": ("malformed", with_header(
        b'{"alg": "EdDSA", "kid": "other", "kid": "key-EdDSA"}')),
    "payload_not_json": ("malformed", with_payload(b"sub=alice")),
    "payload_number": ("malformed", with_payload(b"1")),
    "payload_null": ("malformed", with_payload(b"null")),
    "payload_text": ("malformed", with_payload(b'"alice"')),
    "payload_list": ("malformed", lambda: signer().token([claims()])),
    "payload_deep": ("malformed", with_payload(b"[" * 5_000)),
    "payload_utf_16": ("malformed", lambda: signer().token(json.dumps(claims()).encode("utf-16"))),
    "payload_not_utf_8": ("malformed", lambda: signer().token(text(name='"\xff"').replace(
        "\xff".encode(), b"\xff"))),
    "payload_sub_twice": ("malformed", lambda: signer().token(
        text().replace(b"{", b'{"sub": "bob", ', 1))),
    "payload_exp_twice": ("malformed", lambda: signer().token(
        text().replace(b"{", b'{"exp": 1, ', 1))),
    "payload_twice_inside": ("malformed", lambda: signer().token(
        text(name='{"a": 1, "a": 2}'))),
    "payload_trailing": ("malformed", lambda: signer().token(text() + b"{}")),
    # Times
    **{
        f"exp_{name}": ("malformed", written(exp=value))
        for name, value in {
            "text": '"4102444800"', "float": "4102444800.5", "float_whole": "4102444800.0",
            "exponent": "4e9", "infinity": "Infinity", "minus_infinity": "-Infinity",
            "too_large_a_float": "1e999", "nan": "NaN", "ten_to_the_30": "1" + "0" * 30,
            "after_the_year_9999": "253402300800", "digits_without_end": "9" * 5000,
            "null": "null", "true": "true", "false": "false", "list": "[4102444800]",
            "object": "{}", "empty_text": '""',
        }.items()
    },
    "exp_missing": ("malformed", claiming(exp=...)),
    "exp_zero": ("expired", claiming(exp=0)),
    "exp_negative": ("expired", claiming(exp=-1)),
    "exp_long_ago": ("expired", claiming(exp=-(10**30))),
    "exp_over": ("expired", lambda: signer().token(claims(exp=int(time.time()) - LEEWAY - 1))),
    **{
        f"{claim}_{name}": ("malformed", written(**{claim: value}))
        for claim in ("nbf", "iat")
        for name, value in {
            "text": '"0"', "float": "0.5", "null": "null", "true": "true", "false": "false",
            "nan": "NaN", "infinity": "Infinity", "ten_to_the_30": "1" + "0" * 30, "list": "[]",
        }.items()
    },
    "nbf_ahead": ("not_yet_valid", lambda: signer().token(claims(
        nbf=int(time.time()) + LEEWAY + 5))),
    "iat_ahead": ("not_yet_valid", lambda: signer().token(claims(
        iat=int(time.time()) + LEEWAY + 5))),
    "nbf_in_9999": ("not_yet_valid", claiming(nbf=253402300799, exp=253402300799)),
    "secret_exp_missing": ("malformed", lambda: hs256_token({"user_id": "alice"})),
    "secret_exp_text": ("malformed", lambda: hs256_token(
        {"user_id": "alice", "exp": "4102444800"})),
    "secret_exp_over": ("expired", lambda: hs256_token({"user_id": "alice", "exp": 1})),
    # Issuer and audience
    **{
        f"{claim}_{name}": (reason, claiming(**{claim: value}))
        for claim, reason in WRONG.items()
        for name, value in {
            "missing": ..., "null": None, "empty": "", "number": 1, "true": True, "object": {},
            "another": "https://evil.example", "upper_case": ORIGIN.upper(),
            "host_in_upper_case": "https://APP.example.com", "path": f"{ORIGIN}/api/auth",
            "two_slashes": f"{ORIGIN}//", "http": "http://app.example.com",
            "port": f"{ORIGIN}:443", "longer_host": f"{ORIGIN}.evil.example",
            "user": "https://app.example.com@evil.example", "blank": f" {ORIGIN}",
            "part": ORIGIN[:-1], "empty_list": [], "list_of_others": ["https://evil.example"],
            "list_of_numbers": [1, 2], "list_of_lists": [[ORIGIN]], "list_of_null": [None],
            "object_of_ours": {ORIGIN: True},
        }.items()
    },
    "iss_list": ("wrong_issuer", claiming(iss=[ORIGIN])),
    "aud_list_with_a_number": ("wrong_audience", claiming(aud=[ORIGIN, 1])),
    "aud_list_with_a_list": ("wrong_audience", claiming(aud=[ORIGIN, []])),
    "aud_cookie_cache": ("wrong_audience", claiming(aud="better-auth:session-cache")),
    "aud_client_id": ("wrong_audience", claiming(aud="some-oauth-client")),
    "logout_token": ("logout_token", with_header_members(typ="logout+jwt")),
    "logout_token_upper_case": ("logout_token", with_header_members(typ="Logout+JWT")),
    # OpenID Connect Core, 3.3.2.11: an ID token is for its client
    "id_token": ("id_token", claiming(aud="some-oauth-client", at_hash="MTIzNDU2Nzg5MDEyMzQ1Ng")),
    "id_token_for_us": ("id_token", claiming(at_hash="MTIzNDU2Nzg5MDEyMzQ1Ng", nonce="n")),
    "id_token_with_c_hash": ("id_token", claiming(c_hash="MTIzNDU2Nzg5MDEyMzQ1Ng")),
    "id_token_of_the_secret": ("id_token", from_secret(at_hash="MTIzNDU2Nzg5MDEyMzQ1Ng")),
    "secret_another_iss": ("wrong_issuer", lambda: hs256_token(claims(iss="https://evil.example"))),
    "secret_another_aud": ("wrong_audience", lambda: hs256_token(claims(aud="https://evil.example"))),
    "secret_null_iss": ("wrong_issuer", lambda: hs256_token(claims(iss=None))),
    "secret_null_aud": ("wrong_audience", lambda: hs256_token(claims(aud=None))),
    # Subject
    **{
        f"sub_{name}": ("no_subject", claiming(sub=sub, user_id="alice"))
        for name, sub in {
            "missing": ..., "null": None, "empty": "", "blank": " \t ", "no_break_space": "\u00a0",
            "long": "s" * 256, "number": 1, "float": 1.5, "true": True, "list": ["alice"],
            "object": {"id": "alice"}, "nul": "alice\x00", "line_break": "alice\n",
            "escape": "\x1b[31malice", "delete": "alice\x7f", "c1": "alice\x85",
            "high_surrogate": "\ud800", "low_surrogate": "alice\udfff",
        }.items()
    },
    **{
        f"secret_sub_{name}": ("no_subject", from_secret(sub=sub, user_id="alice"))
        for name, sub in {"null": None, "empty": "", "blank": " ", "number": 1}.items()
    },
    **{
        f"secret_user_id_{name}": ("no_subject", from_secret(sub=..., user_id=user))
        for name, user in {
            "missing": ..., "null": None, "empty": "", "blank": " ", "number": 1, "list": ["alice"],
            "long": "s" * 256, "nul": "\x00",
        }.items()
    },
    "secret_other_names_of_the_user": ("no_subject", lambda: hs256_token(
        claims(sub=..., userId="alice", id="alice", email="alice@example.com"))),
    "secret_cookie_cache": ("no_subject", cookie_cache),
    # Signature
    "signature_empty": ("malformed", with_signature(lambda _: "")),
    "signature_padded": ("malformed", with_signature(lambda signature: signature + "==")),
    "signature_one_pad": ("malformed", with_signature(lambda signature: signature + "=")),
    "signature_spare_bits": ("malformed", with_signature(spare_bits)),
    "signature_spare_bits_es256": ("malformed", with_signature(spare_bits, "ES256")),
    "signature_spare_bits_hs256": ("malformed", with_signature(spare_bits, HS256)),
    "signature_of_base64": ("malformed", with_signature(lambda signature: "+/" + signature[2:])),
    "signature_impossible_length": ("malformed", with_signature(lambda signature: signature[:-1])),
    "signature_blank": ("malformed", with_signature(
        lambda signature: f"{signature[:2]} {signature[2:]}")),
    **{
        f"signature_{name}_{algorithm}": ("bad_signature", with_signature(change, algorithm))
        for algorithm in (*ALGORITHMS, HS256)
        for name, change in {
            "flipped": flipped,
            "truncated": lambda signature: b64(base64url_decode(signature)[:-1]),
            "prolonged": lambda signature: b64(base64url_decode(signature) + b"\x00"),
            "zero": lambda signature: b64(bytes(len(base64url_decode(signature)))),
            "one_byte": lambda _: "AA",
            "endless": lambda _: b64(b"\x01" * 9000),
        }.items()
    },
    "signature_der_es256": ("bad_signature", lambda: signed(
        signer("ES256").header(), claims(),
        lambda message: signer("ES256").private.sign(message, ECDSA(SHA256())))),
    "signature_of_other_claims": ("bad_signature", lambda: ".".join([
        *signer().token(claims(sub="bob")).split(".")[:2],
        signer().token().rpartition(".")[2]])),
    "signature_of_another_header": ("bad_signature", lambda: ".".join([
        segment(signer().header(typ="JWT")), *signer().token().split(".")[1:]])),
}  # fmt: skip


@pytest.mark.parametrize(("reason", "token"), REFUSED.values(), ids=REFUSED)
def test_a_bad_token_is_refused(
    reason: Reason, token: Callable[[], str], verifier: Verifier, caplog: pytest.LogCaptureFixture
) -> None:
    assert reason_of(verifier, token()) == reason
    assert caplog.records == []


@pytest.mark.parametrize(("reason", "token"), REFUSED.values(), ids=REFUSED)
def test_a_bad_token_is_a_401_with_the_reason(
    reason: Reason, token: Callable[[], str], http: Client
) -> None:
    response = http.get("/api/alice/tasks", headers={"Authorization": f"Bearer {token()}"})

    body = response.json()
    assert response.status_code == 401
    assert (body["error_code"], body["reason"]) == ("AUTH_INVALID", reason)
    assert response["WWW-Authenticate"] == (
        f'Bearer error="invalid_token", error_description="{reason}: {body["detail"]}"'
    )


@pytest.fixture
def http(settings: Any, ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client of the project, which accepts both kinds of token."""
    settings.BETTER_AUTH_URL = ORIGIN
    monkeypatch.setattr("authjwt.bearer.KeyRing", lambda *_: ring)
    return Client()


def test_each_reason_has_a_test() -> None:
    of_access_tokens = {"client_token", "bound_token"}  # in test_access_tokens.py
    assert {reason for reason, _ in REFUSED.values()} == set(REASONS) - of_access_tokens


@pytest.mark.parametrize(
    ("token", "detail"),
    [
        pytest.param(
            lambda: hs256_token(claims(sub=7)),
            "The sub of the token is a number: it needs a string in sub or user_id.",
            id="sub_is_a_number",
        ),
        pytest.param(
            lambda: hs256_token(claims(sub=..., user_id=7)),
            "The user_id of the token is a number: it needs a string in sub or user_id.",
            id="user_id_is_a_number",
        ),
        pytest.param(
            lambda: signer().token(claims(sub=7.5, user_id="alice")),
            "The sub of the token is a number: it needs a string in sub.",
            id="sub_of_the_key_set_is_a_number",
        ),
        pytest.param(
            lambda: hs256_token(claims(sub=..., userId="alice", id="alice")),
            "The token has userId, which is not read: it needs a string in sub or user_id.",
            id="userId",
        ),
        pytest.param(
            lambda: hs256_token(claims(sub=..., id="alice", name="Alice")),
            "The token has id, which is not read: it needs a string in sub or user_id.",
            id="id",
        ),
        pytest.param(
            lambda: hs256_token(claims(sub=...)),
            "The token names no user: it needs a string in sub or user_id. "
            "Fetch a JWT from /api/auth/token and send that.",
            id="nobody",
        ),
        pytest.param(
            lambda: hs256_token(claims(sub="", user_id="alice")),
            "The sub of the token is not a user id: it must have 1 to 255 characters, "
            "not only white space, and no control characters.",
            id="empty",
        ),
        pytest.param(
            cookie_cache,
            "This is the cookie cache of a session. "
            "Fetch a JWT from /api/auth/token and send that.",
            id="cookie_cache",
        ),
        pytest.param(
            lambda: signer().token(header=signer().header(typ="logout+jwt")),
            "This is a logout token, which ends sessions and opens nothing. "
            "Fetch a JWT from /api/auth/token and send that.",
            id="logout_token",
        ),
        pytest.param(
            lambda: signer().token(claims(at_hash="MTIzNDU2Nzg5MDEyMzQ1Ng")),
            "This is an ID token, which is for the client alone. "
            "Fetch a JWT from /api/auth/token and send that.",
            id="id_token",
        ),
        pytest.param(
            lambda: signer().token(claims(iss="http://127.0.0.1:3000")),
            f"The token comes from another issuer than {ORIGIN}.",
            id="issuer",
        ),
        pytest.param(
            lambda: signer().token(claims(aud="mobile")),
            f"The token is for another audience than {ORIGIN}.",
            id="audience",
        ),
        *(
            pytest.param(
                lambda word=word: word,
                f"The token is the word {word}: the request was sent before there was a token. "
                "Fetch a JWT from /api/auth/token and send that.",
                id=word,
            )
            for word in ("undefined", "null")
        ),
        pytest.param(
            lambda: "[object Object]",
            "The token is an object that was turned into text: send its token, a string. "
            "Fetch a JWT from /api/auth/token and send that.",
            id="object",
        ),
        pytest.param(
            lambda: "e.e.e.e.e",
            "This is encrypted, like the cookie of a session. "
            "Fetch a JWT from /api/auth/token and send that.",
            id="encrypted",
        ),
    ],
)
def test_a_refusal_says_what_to_do(
    token: Callable[[], str], detail: str, verifier: Verifier
) -> None:
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(token())

    assert caught.value.detail == detail


def test_only_the_log_says_what_the_token_has_instead(verifier: Verifier) -> None:
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(signer().token(claims(iss="http://127.0.0.1:3000/\x00" + "x" * 200)))

    issuer = caught.value.log["issuer"]
    assert issuer.startswith('"http://127.0.0.1:3000/\\u0000xxx')
    assert len(issuer) == 100
    assert caught.value.log == {"issuer": issuer, "expected": ORIGIN, "user_id": "alice"}


@pytest.mark.parametrize("name", ["Caf\u00e9", 'my "app"', "back\\slash"])
def test_a_name_that_no_header_can_have_is_left_out(ring: KeyRing, name: str) -> None:
    verifier = Verifier(keys=ring, jwts=Accepted({name}, {ORIGIN}))

    assert verifier.verify(signer().token(claims(iss=name))).user_id == "alice"
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(signer().token())
    assert caught.value.detail == "The token comes from another issuer."


# Which kind of token is accepted


def test_without_a_secret_hs256_tokens_are_refused(ring: KeyRing) -> None:
    verifier = Verifier(keys=ring, jwts=Accepted({ORIGIN}, {ORIGIN}))

    assert reason_of(verifier, hs256_token(claims())) == "algorithm_not_allowed"
    assert reason_of(verifier, hs256_token(claims(), secret=b"")) == "algorithm_not_allowed"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_without_a_key_set_other_tokens_are_refused(algorithm: str) -> None:
    verifier = Verifier(secret=SECRET.encode())

    assert reason_of(verifier, good(algorithm)) == "algorithm_not_allowed"


def test_without_secret_and_key_set_every_token_is_refused() -> None:
    assert reason_of(Verifier(), hs256_token()) == "algorithm_not_allowed"
    assert reason_of(Verifier(), signer().token()) == "algorithm_not_allowed"


def test_a_token_of_the_secret_never_fetches_keys(issuer: Issuer) -> None:
    verifier = Verifier(secret=SECRET.encode(), keys=KeyRing(issuer.url))

    assert verifier.verify(hs256_token()).user_id == "alice"
    assert reason_of(verifier, hs256_token(secret=b"s" * 32)) == "bad_signature"
    assert issuer.requests == []


@pytest.mark.parametrize(
    "name", [name for name in REFUSED if name.startswith(("alg_", "typ_", "header_", "crit_"))]
)
def test_a_bad_header_never_fetches_keys(name: str, issuer: Issuer) -> None:
    verifier = Verifier(keys=KeyRing(issuer.url), jwts=Accepted({ORIGIN}, {ORIGIN}))

    reason_of(verifier, REFUSED[name][1]())

    assert issuer.requests == []


# Users


@pytest.mark.parametrize(
    "user",
    [
        pytest.param("7Qk2VbW4sJ9xTzR1nLpYcD8mFhGa6E3u", id="better_auth"),
        pytest.param("0b8f6a1f-4c1b-4c7e-9d5c-3a2b1f0e9d8c", id="uuid"),
        pytest.param("42", id="digits"),
        pytest.param("s" * 255, id="255_characters"),
        pytest.param("a/b c+d%2F?e#f", id="punctuation"),
        pytest.param(" alice ", id="blanks_around"),
        pytest.param("\u0623\u0644\u064a\u0633 \U0001f600", id="unicode"),
        pytest.param("\U0001f600" * 255, id="255_emoji"),
    ],
)
@pytest.mark.parametrize("algorithm", ["EdDSA", HS256])
def test_a_user_may_have_any_readable_id(algorithm: str, user: str, verifier: Verifier) -> None:
    assert verifier.verify(good(algorithm, claims(sub=user))).user_id == user


def test_user_id_in_a_profile_is_not_the_user(verifier: Verifier) -> None:
    token = signer().token(claims(user_id="bob", id="bob", email="bob@example.com"))

    assert verifier.verify(token).user_id == "alice"


def test_user_id_in_a_profile_does_not_open_tasks(http: Client) -> None:
    token = signer().token(claims(user_id="bob"))

    response = http.get("/api/bob/tasks", headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == 403


@pytest.mark.django_db
def test_user_id_in_a_profile_does_not_lock_its_owner_out(http: Client) -> None:
    token = signer().token(claims(user_id="bob"))

    response = http.get("/api/alice/tasks", headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == 200


def test_a_token_of_the_secret_may_name_its_user_in_user_id(verifier: Verifier) -> None:
    assert verifier.verify(hs256_token(claims(sub=..., user_id="alice"))).user_id == "alice"


def test_a_token_of_the_secret_with_both_names_its_user_in_sub(verifier: Verifier) -> None:
    assert verifier.verify(hs256_token(claims(sub="alice", user_id="bob"))).user_id == "alice"


# Times


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param({"exp": 1001}, None, id="fresh"),
        pytest.param({"exp": 1000}, None, id="exp_now"),
        pytest.param({"exp": 971}, None, id="exp_within_leeway"),
        pytest.param({"exp": 970}, "expired", id="exp_at_leeway"),
        pytest.param({"exp": 9000, "nbf": 1030}, None, id="nbf_at_leeway"),
        pytest.param({"exp": 9000, "nbf": 1031}, "not_yet_valid", id="nbf_beyond_leeway"),
        pytest.param({"exp": 9000, "iat": 1030}, None, id="iat_at_leeway"),
        pytest.param({"exp": 9000, "iat": 1031}, "not_yet_valid", id="iat_beyond_leeway"),
        pytest.param({"exp": 9000, "iat": -5, "nbf": 0}, None, id="long_ago"),
        pytest.param({"exp": 253402300799}, None, id="exp_in_9999"),
        pytest.param({"exp": 970, "nbf": 9000}, "expired", id="both"),
    ],
)
def test_clocks_may_differ_by_half_a_minute(payload: dict[str, int], reason: Reason | None) -> None:
    verifier = Verifier(secret=SECRET.encode(), clock=Clock(1000))
    token = hs256_token({"sub": "alice", **payload})

    if reason:
        assert reason_of(verifier, token) == reason
    else:
        assert verifier.verify(token) == Claims("alice", payload["exp"])


# Issuer and audience


@pytest.mark.parametrize(
    ("algorithm", "changes"),
    [
        pytest.param("EdDSA", {"iss": f"{ORIGIN}/"}, id="iss_with_slash"),
        pytest.param("EdDSA", {"aud": f"{ORIGIN}/"}, id="aud_with_slash"),
        pytest.param("EdDSA", {"aud": [ORIGIN]}, id="aud_in_a_list"),
        pytest.param("EdDSA", {"aud": ["https://other.example", ORIGIN]}, id="one_of_two"),
        pytest.param(HS256, {"iss": ..., "aud": ...}, id="secret_without_both"),
        pytest.param(HS256, {"iss": ORIGIN, "aud": ...}, id="secret_with_iss"),
        pytest.param(HS256, {"iss": ..., "aud": [ORIGIN]}, id="secret_with_aud"),
    ],
)
def test_issuer_and_audience_are_ours(
    algorithm: str, changes: dict[str, Any], verifier: Verifier
) -> None:
    assert verifier.verify(good(algorithm, claims(**changes))).user_id == "alice"


def test_without_configured_issuer_a_token_of_the_secret_may_have_any() -> None:
    verifier = Verifier(secret=SECRET.encode())

    assert verifier.verify(hs256_token(claims(iss="anybody", aud=[1]))).user_id == "alice"


@pytest.mark.parametrize(
    ("issuers", "audiences", "reason"),
    [
        ((), {ORIGIN}, "wrong_issuer"),
        ({ORIGIN}, (), "wrong_audience"),
    ],
)
def test_without_configured_issuer_or_audience_a_key_set_token_is_refused(
    ring: KeyRing, issuers: Any, audiences: Any, reason: Reason
) -> None:
    verifier = Verifier(keys=ring, jwts=Accepted(issuers, audiences))

    assert reason_of(verifier, signer().token()) == reason
    assert reason_of(verifier, signer().token(claims(iss=..., aud=...))) in (
        "wrong_issuer",
        "wrong_audience",
    )


# Cached tokens


def forget_the_algorithms(ring: KeyRing) -> None:
    """From now on no signature verifies, so a token that is accepted comes from the cache."""
    for key in ring.keys.values():
        algorithms: Any = key.algorithms
        algorithms.clear()


@pytest.fixture
def own_ring() -> KeyRing:
    ring = KeySetInMemory(*KEYS).ring
    ring.load()
    return ring


def verifier_of(ring: KeyRing, clock: Clock) -> Verifier:
    return Verifier(keys=ring, jwts=Accepted({ORIGIN}, {ORIGIN}), clock=clock)


def test_a_verified_token_is_cached(own_ring: KeyRing) -> None:
    verifier = verifier_of(own_ring, Clock(time.time()))
    token = signer().token()
    first = verifier.verify(token)
    forget_the_algorithms(own_ring)

    assert verifier.verify(token) is first
    assert reason_of(verifier, signer().token(claims(name="a"))) == "algorithm_not_allowed"


@pytest.mark.parametrize("algorithm", ["EdDSA", HS256])
def test_a_cached_token_expires_on_time(algorithm: str, verifier: Verifier) -> None:
    clock = Clock(1000)
    timed = Verifier(
        secret=verifier.secret,
        keys=verifier.keys,
        jwts=OURS,
        clock=clock,
    )
    token = good(algorithm, claims(iat=1000, exp=1900))
    timed.verify(token)

    clock.now = 1900 + LEEWAY - 0.001
    assert timed.verify(token).user_id == "alice"
    clock.now = 1900 + LEEWAY
    assert reason_of(timed, token) == "expired"


def test_a_refused_token_is_not_cached(own_ring: KeyRing) -> None:
    clock = Clock(1000)
    verifier = verifier_of(own_ring, clock)
    token = signer().token(claims(iat=1100, exp=1900))

    assert reason_of(verifier, token) == "not_yet_valid"
    clock.now = 1100
    assert verifier.verify(token).user_id == "alice"


def test_a_cached_token_is_dropped_with_its_key(issuer: Issuer, clock: Clock) -> None:
    ring = KeyRing(issuer.url, clock=clock)
    verifier = Verifier(keys=ring, jwts=Accepted({ORIGIN}, {ORIGIN}))
    other = signer("ES256")
    token = signer().token()
    issuer.lists(signer(), other)
    verifier.verify(token)
    issuer.lists(other)
    clock.now += MAX_AGE
    verifier.verify(token)
    settle()

    assert reason_of(verifier, token) == "unknown_key"
    assert reason_of(verifier, token) == "unknown_key"
    assert verifier.verify(other.token()).user_id == "alice"


def test_a_cached_token_is_dropped_when_its_key_changes(issuer: Issuer, clock: Clock) -> None:
    ring = KeyRing(issuer.url, clock=clock)
    verifier = Verifier(keys=ring, jwts=Accepted({ORIGIN}, {ORIGIN}))
    token = signer().token()
    verifier.verify(token)
    issuer.lists(impostor("EdDSA"))
    clock.now += MAX_AGE
    verifier.verify(token)
    settle()

    assert reason_of(verifier, token) == "bad_signature"


def test_a_cached_token_survives_an_outage(issuer: Issuer, clock: Clock) -> None:
    ring = KeyRing(issuer.url, clock=clock)
    verifier = Verifier(keys=ring, jwts=Accepted({ORIGIN}, {ORIGIN}))
    token = signer().token()
    verifier.verify(token)
    issuer.answer = BAD_ANSWERS["500"]
    clock.now += 3600

    assert verifier.verify(token).user_id == "alice"
    settle()
    assert verifier.verify(token).user_id == "alice"


def test_the_cache_has_a_limit(own_ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_CACHED", 4)
    verifier = verifier_of(own_ring, Clock(time.time()))
    seen = [signer().token(claims(name=str(number))) for number in range(10)]
    for token in seen:
        verifier.verify(token)
    forget_the_algorithms(own_ring)

    cached = []
    for token in seen:
        try:
            verifier.verify(token)
        except InvalidToken:
            continue
        cached.append(token)
    assert cached == seen[8:]


def test_threads_may_share_a_verifier(own_ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_CACHED", 4)
    verifier = verifier_of(own_ring, Clock(time.time()))
    people = [f"user-{number}" for number in range(8)]
    theirs = {person: signer().token(claims(sub=person)) for person in people}

    def ask(number: int) -> set[str]:
        return {verifier.verify(theirs[people[number]]).user_id for _ in range(200)}

    assert at_once(8, ask) == [{person} for person in people]


# The safety net


class UnexpectedError(Exception):
    """An error that no rule raises."""


@pytest.mark.parametrize("cached", [False, True])
def test_an_unexpected_error_refuses_the_token_and_is_logged_without_it(
    cached: bool,  # noqa: FBT001  a parameter of the table
    own_ring: KeyRing,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: Any,
) -> None:
    verifier = verifier_of(own_ring, Clock(time.time()))
    token = signer().token()
    if cached:
        verifier.verify(token)

    def fail(_kid: str) -> Key | None:
        raise UnexpectedError(token)

    monkeypatch.setattr(own_ring, "get", fail)
    with caplog.at_level(logging.DEBUG):
        assert reason_of(verifier, token) == "malformed"

    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "UnexpectedError in the token verifier" in caplog.text
    assert "keys.get(" in caplog.text
    assert not any(part in caplog.text for part in token.split("."))


def test_an_unexpected_error_is_a_401_and_not_a_500(
    http: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise UnexpectedError

    monkeypatch.setattr(tokens, "read_header", fail)

    response = http.get("/api/alice/tasks", headers={"Authorization": f"Bearer {hs256_token()}"})

    assert response.status_code == 401
    assert response.json()["reason"] == "malformed"


def test_an_outage_is_not_an_unexpected_error(issuer: Issuer) -> None:
    issuer.answer = BAD_ANSWERS["500"]
    verifier = Verifier(keys=KeyRing(issuer.url), jwts=Accepted({ORIGIN}, {ORIGIN}))

    with pytest.raises(KeysUnavailable):
        verifier.verify(signer().token())


# However a token of mallory is changed, it never becomes the token of another user

lenient = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
algorithms = st.sampled_from([*ALGORITHMS, HS256])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["alice", "mallory", ORIGIN, "JWT", *ALGORITHMS, HS256, "none"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
claim_names = st.sampled_from(
    ["sub", "user_id", "exp", "nbf", "iat", "iss", "aud", "id", "email", "typ"]
) | st.text(max_size=8)
header_names = st.sampled_from(
    ["alg", "kid", "typ", "jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "cty"]
) | st.text(max_size=8)


@pytest.fixture(scope="module")
def user_of_token(ring: KeyRing) -> Callable[[str], str | None]:
    """The user of a token, or None if it is refused for a known reason."""
    verifier = Verifier(secret=SECRET.encode(), keys=ring, jwts=Accepted({ORIGIN}, {ORIGIN}))

    def try_token(token: str) -> str | None:
        with pytest.MonkeyPatch.context() as patch:
            # The safety net would hide what it catches.
            patch.setattr(tokens.log, "error", lambda *args: pytest.fail(str(args)))
            try:
                return verifier.verify(token).user_id
            except InvalidToken:
                return None

    return try_token


@lenient
@given(data=st.data(), algorithm=algorithms)
def test_a_token_with_a_changed_character_is_refused(
    user_of_token: Callable[[str], str | None], data: st.DataObject, algorithm: str
) -> None:
    token = good(algorithm, claims(sub="mallory"))
    start = data.draw(st.integers(0, len(token)))
    end = data.draw(st.integers(start, min(len(token), start + 3)))
    inserted = data.draw(
        st.text(max_size=3)
        | st.text("ABCDwxyz0189-_=.+/ ", max_size=3)
        | st.text(st.characters(codec=None, categories=["Cs"]), max_size=2)
    )
    changed = token[:start] + inserted + token[end:]
    assume(changed != token)

    assert user_of_token(changed) is None


@lenient
@given(data=st.data(), algorithm=algorithms)
def test_a_token_with_a_flipped_bit_is_refused(
    user_of_token: Callable[[str], str | None], data: st.DataObject, algorithm: str
) -> None:
    segments = good(algorithm, claims(sub="mallory")).split(".")
    which = data.draw(st.integers(0, 2))
    raw = bytearray(urlsafe_b64decode(segments[which] + "=="))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    segments[which] = b64(bytes(raw))

    assert user_of_token(".".join(segments)) is None


@lenient
@given(
    algorithm=algorithms,
    changes=st.dictionaries(claim_names, values, max_size=4),
    left_out=st.sets(claim_names, max_size=2),
)
def test_any_signed_claims_are_their_subjects_or_refused(
    user_of_token: Callable[[str], str | None],
    algorithm: str,
    changes: dict[str, Any],
    left_out: set[str],
) -> None:
    whole = {**claims(sub="mallory"), **changes}
    payload = {name: value for name, value in whole.items() if name not in left_out}

    user = user_of_token(good(algorithm, payload))

    if user is not None:
        named = "user_id" if algorithm == HS256 and "sub" not in payload else "sub"
        assert user == payload[named]
        assert isinstance(payload["exp"], int)
        assert payload["exp"] > time.time() - LEEWAY - 1
        for claim in ("iss", "aud"):
            actual: Any = payload.get(claim, ORIGIN if algorithm == HS256 else None)
            assert actual == ORIGIN or (claim == "aud" and ORIGIN in actual)


@lenient
@given(
    algorithm=algorithms,
    changes=st.dictionaries(claim_names, values, max_size=4),
    forged=st.sampled_from(["stranger", "original", "nothing", "pem", "jwk"]),
)
def test_claims_that_the_issuer_did_not_sign_are_refused(
    user_of_token: Callable[[str], str | None], algorithm: str, changes: dict[str, Any], forged: str
) -> None:
    key = signer("EdDSA" if algorithm == HS256 else algorithm)
    genuine = claims(sub="mallory")
    payload = {**genuine, **changes}
    header = {"alg": HS256} if algorithm == HS256 else key.header()
    if forged == "stranger":
        token = signed(header, payload, signer(key.algorithm, "stranger").sign)
    elif forged == "original":
        assume(segment(payload) != segment(genuine))
        message = f"{segment(header)}.{segment(payload)}"
        token = f"{message}.{good(algorithm, genuine).rpartition('.')[2]}"
    elif forged == "nothing":
        token = signed({**header, "alg": "none"}, payload, lambda _: b"")
    else:
        secret = (
            json.dumps(key.jwk()).encode()
            if forged == "jwk"
            else key.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        token = hs256_token(payload, {**header, "alg": HS256}, secret)

    assert user_of_token(token) is None


@lenient
@given(
    algorithm=algorithms,
    changes=st.dictionaries(header_names, values, min_size=1, max_size=3),
    left_out=st.sets(header_names, max_size=2),
)
def test_a_signed_header_never_changes_the_user(
    user_of_token: Callable[[str], str | None],
    algorithm: str,
    changes: dict[str, Any],
    left_out: set[str],
) -> None:
    key = signer("EdDSA" if algorithm == HS256 else algorithm)
    genuine = {"alg": HS256} if algorithm == HS256 else key.header()
    whole = {**genuine, **changes}
    header = {name: value for name, value in whole.items() if name not in left_out}

    user = user_of_token(good(algorithm, claims(sub="mallory"), header))

    if user is not None:
        assert user == "mallory"
        assert header["alg"] == algorithm
        assert header.keys().isdisjoint(tokens.REFUSED_MEMBERS + tokens.KEY_MEMBERS)
        assert algorithm == HS256 or header["kid"] == key.kid


@lenient
@given(token=st.text(max_size=80) | st.lists(st.binary(max_size=40).map(b64)).map(".".join))
def test_noise_is_refused(user_of_token: Callable[[str], str | None], token: str) -> None:
    assert user_of_token(token) is None
