"""Tokens that break each rule in turn, with a real issuer and real keys."""

import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from authjwt import user_ids
from authjwt.bearer import verifier
from authjwt.conf import LEEWAY
from authjwt.exceptions import InvalidToken
from authjwt.explanation import Explanation
from authjwt.wording import address, distance, plain, shown

ROOT = Path(__file__).parent.parent.parent
NOW = 1_769_860_800  # 2026-01-31 12:00:00 UTC
ED, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
EC = generate_private_key(SECP256R1())
SECRET = "0123456789abcdef0123456789abcdef-check"
RULES = [
    "form",
    "header",
    "algorithm",
    "key id",
    "key",
    "signature",
    "payload",
    "exp",
    "nbf, iat",
    "issuer",
    "audience",
    "user",
]
ASYMMETRIC = "ES256, ES512, EdDSA, PS256, RS256"


class Issuer:
    """Lists two keys at `{origin}/api/auth/jwks`; `document` is its answer."""

    def __init__(self) -> None:
        keys = {
            "ed": OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True),
            "ec": ECAlgorithm.to_jwk(EC.public_key(), as_dict=True),
        }
        listed = [{**jwk, "kid": kid} for kid, jwk in keys.items()]
        self.document = json.dumps({"keys": listed}).encode()
        self.fetches = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                self.send_response(200 if self.path == "/api/auth/jwks" else 404)
                self.end_headers()
                self.wfile.write(issuer.document)

            def log_message(self, *_: Any) -> None:
                """Keeps the output of the tests clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"

    def token(self, now: int, /, *without: str, key: Any = ED, **claims: Any) -> str:
        header = {"alg": "EdDSA", "kid": "ed", **claims.pop("header", {})}
        times = {"iat": now, "exp": now + 900}
        payload = {"sub": "alice", **times, "iss": self.origin, "aud": self.origin, **claims}
        return signed(header, {k: v for k, v in payload.items() if k not in without}, key)


def signed(header: Mapping[str, Any], payload: Any, key: Any) -> str:
    """A token with exactly these members, some of which PyJWT would refuse to write."""
    first = ".".join(segment(json.dumps(part).encode()) for part in (header, payload))
    algorithm = jwt.get_algorithm_by_name("HS256" if isinstance(key, bytes) else "EdDSA")
    return f"{first}.{segment(algorithm.sign(first.encode(), key))}"


def segment(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def shared(now: int, secret: str = SECRET, **claims: Any) -> str:
    return signed({"alg": "HS256"}, {"exp": now + 900, **claims}, secret.encode())


@pytest.fixture
def issuer(settings: Any) -> Iterator[Issuer]:
    issuer = Issuer()
    settings.BETTER_AUTH_URL = issuer.origin
    settings.BETTER_AUTH_SECRET = SECRET
    thread = threading.Thread(target=issuer.server.serve_forever, args=[0.01])
    thread.start()
    yield issuer
    issuer.server.shutdown()
    thread.join()
    issuer.server.server_close()


@dataclass
class Case:
    """A token, the rule that it breaks, and the texts; `ORIGIN` is replaced by the issuer's."""

    token: Callable[[Issuer, int], str]
    rule: str
    found: str
    expected: str
    advice: str
    failure: str
    settings: dict[str, Any] = field(default_factory=dict)


FETCH = "Fetch a JWT from /api/auth/token and send that."
FORM = "3 segments, at most 16384 characters"
HEADER = "a JSON object without b64, crit, enc, zip, jku, jwk, x5c, x5u; typ absent or JWT"
ALGORITHMS = (
    f"{ASYMMETRIC} (enabled by BETTER_AUTH_URL: on), HS256 (enabled by BETTER_AUTH_SECRET: on)"
)
SIGN_WITH_ONE = (
    "Sign with one of these: the first ones are for keyPairConfig of Better Auth's jwt plugin, "
    "the last one is for a frontend that signs with the shared secret."
)
BARE = (
    "Send only the value of token in the answer of /api/auth/token: "
    "no quotes, no braces, no line breaks."
)
AT = "2026-01-31 12:00:00 UTC"
LATER = "later than 2026-01-31 11:59:30 UTC"
NOT_AFTER = "not after 2026-01-31 12:00:30 UTC"
SUBJECT = f"sub: a string; it {user_ids.RULE}"
LEAVE_SUB = "Leave sub as Better Auth sets it (getSubject of the jwt plugin): the user id."

CASES = [
    pytest.param(
        Case(
            lambda _issuer, _now: "",
            "form",
            "0 segments, 0 characters",
            FORM,
            "Pipe the token into standard input, which was empty.",
            "malformed: There is no token after the word Bearer.",
        ),
        id="nothing",
    ),
    pytest.param(
        Case(
            lambda _issuer, _now: "hT3kV0mB9cQx2LrNfYwZ5sJd8aGpEu1R",
            "form",
            "1 segment, 32 characters",
            FORM,
            f"This may be a session token of Better Auth. {FETCH}",
            f"not_a_jwt: This looks like a Better Auth session token. {FETCH}",
        ),
        id="session-token",
    ),
    pytest.param(
        Case(
            lambda _issuer, _now: "secret1.secret2.secret3.secret4.secret5",
            "form",
            "5 segments, 39 characters",
            FORM,
            f"This may be an encrypted cookie of Better Auth. {FETCH}",
            f"not_a_jwt: This is encrypted, like the cookie of a session. {FETCH}",
        ),
        id="encrypted-cookie",
    ),
    pytest.param(
        Case(
            lambda _issuer, _now: "x" * 16385,
            "form",
            "1 segment, 16385 characters",
            FORM,
            "Keep large profile fields, such as a picture as data: URL, out of the token "
            "(definePayload of Better Auth's jwt plugin).",
            "malformed: The token has more than 16384 characters.",
        ),
        id="too-long",
    ),
    pytest.param(
        Case(
            lambda _issuer, _now: '{"token": "aaaa.bbbb.cccc"}',
            "header",
            "unreadable",
            HEADER,
            BARE,
            "malformed: The header of the token is not base64url.",
        ),
        id="json-around-it",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, header={"typ": "dpop+jwt"}),
            "header",
            'typ "dpop+jwt"',
            HEADER,
            f"This token is not meant for an API. {FETCH}",
            f"wrong_type: This is another kind of token: its typ is not JWT. {FETCH}",
        ),
        id="typ",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, header={"typ": "logout+jwt"}),
            "header",
            'typ "logout+jwt"',
            HEADER,
            f"This token is not meant for an API. {FETCH}",
            f"logout_token: This is a logout token, which ends sessions and opens nothing. {FETCH}",
        ),
        id="logout-token",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, at_hash="MTIzNDU2"),
            "payload",
            "6 claims",
            "a JSON object without at_hash and c_hash, which ID tokens have",
            "Send access_token, with the resource of this API, or a JWT of /api/auth/token.",
            f"id_token: This is an ID token, which is for the client alone. {FETCH}",
        ),
        id="id-token",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(
                now, header={"crit": ["b64"], "b64": False, "cty": "JWT"}
            ),
            "header",
            "no typ, and b64, crit, cty",
            HEADER,
            "Sign tokens with only alg and kid in the header, as Better Auth does.",
            "malformed: The token contains another token: its cty is JWT.",
        ),
        id="members",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, header={"alg": "HS512"}),
            "algorithm",
            '"HS512"',
            ALGORITHMS,
            SIGN_WITH_ONE,
            "algorithm_not_allowed: The algorithm of the token is not accepted.",
        ),
        id="algorithm",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, header={"alg": "none"}),
            "algorithm",
            '"none"',
            f"{ASYMMETRIC} (enabled by BETTER_AUTH_URL: off), "
            "HS256 (enabled by BETTER_AUTH_SECRET: off)",
            SIGN_WITH_ONE,
            "algorithm_not_allowed: The algorithm of the token is not accepted.",
            {"BETTER_AUTH_URL": "", "BETTER_AUTH_SECRET": ""},
        ),
        id="algorithm-with-neither-source",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, header={"kid": ""}),
            "key id",
            '""',
            "a string of 1 to 255 characters",
            "Write the id of the key into the header as kid, as Better Auth's jwt plugin does.",
            "malformed: The token does not say which key signed it: it has no valid kid.",
        ),
        id="key-id",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, header={"kid": "old"}),
            "key",
            f'only "ed", "ec", fetched {AT} from ORIGIN/api/auth/jwks',
            'a key "old" for "EdDSA" at ORIGIN/api/auth/jwks',
            "Sign in again to get a token of a current key, or set BETTER_AUTH_URL "
            "to the issuer that signed this one.",
            "unknown_key: The issuer does not list the key that signed this token. Sign in again.",
        ),
        id="unknown-key",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, header={"kid": "ec"}),
            "key",
            f'"ec" for ES256, fetched {AT} from ORIGIN/api/auth/jwks',
            'a key "ec" for "EdDSA" at ORIGIN/api/auth/jwks',
            'Fetch a new token: this key does not sign with "EdDSA".',
            "algorithm_not_allowed: The algorithm of the token does not match its key.",
        ),
        id="key-of-another-algorithm",
    ),
    pytest.param(
        Case(
            lambda _issuer, now: shared(now, sub="alice"),
            "key",
            "BETTER_AUTH_SECRET is not set",
            "BETTER_AUTH_SECRET is set",
            "Set BETTER_AUTH_SECRET to the secret that signs these tokens, "
            f"or use tokens of the key set. {FETCH}",
            "algorithm_not_allowed: "
            f"Tokens signed with a shared secret (HS256) are not accepted here. {FETCH}",
            {"BETTER_AUTH_SECRET": ""},
        ),
        id="no-secret",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now),
            "key",
            "neither BETTER_AUTH_URL nor BETTER_AUTH_JWKS_URL is set",
            "the key set of the issuer",
            "Set BETTER_AUTH_URL to the address of Better Auth, whose keys sign this token.",
            "algorithm_not_allowed: "
            "Only tokens signed with the shared secret (HS256) are accepted here.",
            {"BETTER_AUTH_URL": ""},
        ),
        id="no-key-set",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, key=OTHER),
            "signature",
            "86 characters",
            "one that matches the token",
            "Fetch a new token and send all of it: this one was changed or cut off, "
            "or comes from another issuer whose key has the same id.",
            "bad_signature: The signature does not match the token.",
        ),
        id="signature",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now)[:-1] + "!",
            "signature",
            "86 characters",
            "one that matches the token",
            "Fetch a new token and send all of it: this one was changed or cut off, "
            "or comes from another issuer whose key has the same id.",
            "malformed: The signature of the token is not base64url.",
        ),
        id="signature-not-base64url",
    ),
    pytest.param(
        Case(
            lambda _issuer, now: shared(now, SECRET + "\n", sub="alice"),
            "signature",
            "43 characters",
            "one that matches the token",
            "Set BETTER_AUTH_SECRET to exactly the secret that the issuer signs with: "
            "the one of the same environment, without quotes around it.",
            "bad_signature: "
            "The token was signed with another secret than BETTER_AUTH_SECRET, or was changed.",
        ),
        id="another-secret",
    ),
    pytest.param(
        Case(
            lambda _issuer, _now: signed({"alg": "EdDSA", "kid": "ed"}, ["alice"], ED),
            "payload",
            "0 claims",
            "a JSON object without duplicate names",
            "Sign a JSON object: this issuer signed something else.",
            "malformed: The payload of the token is not a JSON object.",
        ),
        id="payload",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, exp=now - 720),
            "exp",
            "2026-01-31 11:48:00 UTC, 12 min ago",
            LATER,
            "Fetch a new token from /api/auth/token whenever the answer is a 401. "
            "If this token is new, correct the clocks.",
            "expired: The token has expired. Fetch a new one.",
        ),
        id="expired",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, exp=-(10**300)),
            "exp",
            f"-1{'0' * 95}...",
            LATER,
            "Fetch a new token from /api/auth/token whenever the answer is a 401. "
            "If this token is new, correct the clocks.",
            "expired: The token has expired. Fetch a new one.",
        ),
        id="expired-before-the-calendar",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, "exp"),
            "exp",
            "none",
            LATER,
            "Sign tokens that expire: add exp, in seconds since 1970.",
            "malformed: The token never expires: it has no exp.",
        ),
        id="no-exp",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, exp="tomorrow"),
            "exp",
            '"tomorrow"',
            LATER,
            "Write exp as a whole number of seconds, without quotes or a fraction.",
            "malformed: exp must be a whole number of seconds since 1970.",
        ),
        id="exp-as-text",
    ),
    pytest.param(
        Case(
            lambda issuer, _now: issuer.token(NOW, exp=NOW * 1000),
            "exp",
            "1769860800000",
            LATER,
            "Write exp in seconds since 1970: this looks like milliseconds.",
            "malformed: exp must be a whole number of seconds since 1970.",
        ),
        id="exp-in-milliseconds",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, iat=now + 95),
            "nbf, iat",
            "iat 2026-01-31 12:01:35 UTC, in 95 s",
            NOT_AFTER,
            "Correct the clocks: the issuer's is 95 s ahead of the one here, and 30 s are allowed.",
            "not_yet_valid: The token is not valid yet: a clock may be wrong.",
        ),
        id="iat",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, nbf=now + 600),
            "nbf, iat",
            "nbf 2026-01-31 12:10:00 UTC, in 10 min; iat 2026-01-31 12:00:00 UTC, 0 s ago",
            NOT_AFTER,
            "Correct the clocks: the issuer's is 600 s ahead of the one here, "
            "and 30 s are allowed.",
            "not_yet_valid: The token is not valid yet: a clock may be wrong.",
        ),
        id="nbf",
    ),
    pytest.param(
        Case(
            lambda issuer, _now: issuer.token(NOW, exp=NOW + 10**9, iat=NOW * 1000),
            "nbf, iat",
            "iat 1769860800000",
            NOT_AFTER,
            "Write nbf and iat as whole numbers of seconds since 1970, not milliseconds.",
            "malformed: iat must be a whole number of seconds since 1970.",
        ),
        id="iat-in-milliseconds",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, iss="https://a.example"),
            "issuer",
            '"https://a.example"',
            "ORIGIN",
            'Sign in at ORIGIN, or set BETTER_AUTH_ISSUER to "https://a.example" '
            "if you trust that issuer.",
            "wrong_issuer: The token comes from another issuer than ORIGIN.",
        ),
        id="issuer",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, "iss"),
            "issuer",
            "none",
            "ORIGIN",
            "Configure the issuer to write iss: ORIGIN.",
            "wrong_issuer: The token comes from another issuer than ORIGIN.",
        ),
        id="no-issuer",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, aud=["https://a.example", "mobile"]),
            "audience",
            '["https://a.example", "mobile"]',
            "ORIGIN",
            'If ["https://a.example", "mobile"] means this API, set BETTER_AUTH_AUDIENCE to it. '
            "Otherwise issue tokens for ORIGIN (audience of Better Auth's jwt plugin).",
            "wrong_audience: The token is for another audience than ORIGIN.",
        ),
        id="audience",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, "aud"),
            "audience",
            "none",
            "ORIGIN",
            "Configure the issuer to write aud: ORIGIN.",
            "wrong_audience: The token is for another audience than ORIGIN.",
        ),
        id="no-audience",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, "sub", user_id="alice"),
            "user",
            "sub none",
            SUBJECT,
            LEAVE_SUB,
            f"no_subject: The token names no user: it needs a string in sub. {FETCH}",
        ),
        id="no-sub",
    ),
    pytest.param(
        Case(
            lambda issuer, now: issuer.token(now, sub="alice\x00"),
            "user",
            'sub "alice\\u0000"',
            SUBJECT,
            LEAVE_SUB,
            f"no_subject: The sub of the token is not a user id: it {user_ids.RULE}.",
        ),
        id="control-character",
    ),
    pytest.param(
        Case(
            lambda _issuer, now: shared(now, session={}, user={}),
            "user",
            "user_id none",
            f"sub or user_id: a string; it {user_ids.RULE}",
            f"This is the cookie cache of a session. {FETCH}",
            f"no_subject: This is the cookie cache of a session. {FETCH}",
        ),
        id="cookie-cache",
    ),
    pytest.param(
        Case(
            lambda _issuer, now: shared(now, user_id=7),
            "user",
            "user_id 7",
            f"sub or user_id: a string; it {user_ids.RULE}",
            "Write the user id into the token as sub or user_id, as a string.",
            "no_subject: The user_id of the token is a number: "
            "it needs a string in sub or user_id.",
        ),
        id="number-as-user",
    ),
]


@pytest.mark.parametrize("wrong", CASES)
def test_a_broken_rule_has_found_expected_and_fix(
    wrong: Case, issuer: Issuer, settings: Any
) -> None:
    for name, value in wrong.settings.items():
        setattr(settings, name, value)
    explanation = Explanation(wrong.token(issuer, NOW), verifier.__wrapped__(), NOW)

    lines = list(explanation.lines())

    index = RULES.index(wrong.rule)
    assert [line.rule for line in lines] == RULES
    assert [line.status for line in lines] == (
        ["ok"] * index + ["wrong"] + ["not reached"] * (len(RULES) - index - 1)
    )
    text = lines[index].text
    assert text.found == wrong.found.replace("ORIGIN", issuer.origin)
    assert text.expected == wrong.expected.replace("ORIGIN", issuer.origin)
    assert text.advice == wrong.advice.replace("ORIGIN", issuer.origin)
    assert str(explanation.failure) == wrong.failure.replace("ORIGIN", issuer.origin)


@pytest.mark.parametrize("wrong", CASES)
def test_command_agrees_with_the_verifier_and_never_prints_the_token(
    wrong: Case, issuer: Issuer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in wrong.settings.items():
        setattr(settings, name, value)
    token = wrong.token(issuer, int(time.time()))

    status, output = check(monkeypatch, token)

    with pytest.raises(InvalidToken) as refused:
        verifier().verify(token)
    assert status == 1
    assert f"\n{wrong.rule:<11}wrong        found     " in f"\n{output}"
    assert output.splitlines()[-1] == f"Refused: {refused.value}"
    assert_nothing_leaks(token, output)


def check(
    monkeypatch: pytest.MonkeyPatch, given: str | bytes, *arguments: str
) -> tuple[int | str | None, str]:
    """The exit status and the output of the command with this standard input."""
    data = given.encode() if isinstance(given, str) else given
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    output = StringIO()
    try:
        call_command("check_token", *arguments, stdout=output, stderr=output, no_color=True)
    except SystemExit as end:
        return end.code, output.getvalue()
    return 0, output.getvalue()


def assert_nothing_leaks(token: str, output: str) -> None:
    assert output.isascii()
    assert all(line.isprintable() for line in output.splitlines())
    for secret in (SECRET, token, *token.split(".")):
        # A segment of a few letters may be part of a word.
        assert len(secret) < 7 or secret not in output


def test_good_token_passes_every_rule(issuer: Issuer) -> None:
    explanation = Explanation(issuer.token(NOW, nbf=NOW), verifier.__wrapped__(), NOW, "alice")

    found = {line.rule: (line.status, line.text.found) for line in explanation.lines()}

    assert explanation.failure is None
    assert found == {
        "form": ("ok", f"3 segments, {len(issuer.token(NOW, nbf=NOW))} characters"),
        "header": ("ok", "no typ: session JWT"),
        "algorithm": ("ok", '"EdDSA"'),
        "key id": ("ok", '"ed"'),
        "key": ("ok", f'"ed" for EdDSA, fetched {AT} from {issuer.origin}/api/auth/jwks'),
        "signature": ("ok", "86 characters"),
        "payload": ("ok", "6 claims"),
        "exp": ("ok", "2026-01-31 12:15:00 UTC, in 15 min"),
        "nbf, iat": ("ok", f"nbf {AT}, 0 s ago; iat {AT}, 0 s ago"),
        "issuer": ("ok", f'"{issuer.origin}"'),
        "audience": ("ok", f'"{issuer.origin}"'),
        "user": ("ok", 'sub "alice"'),
        "path": ("ok", "opens /api/alice/"),
    }
    assert issuer.fetches == 1


def test_token_of_the_shared_secret_needs_no_fetch(issuer: Issuer) -> None:
    token = shared(NOW, user_id="alice", exp=NOW - LEEWAY + 1)
    explanation = Explanation(token, verifier.__wrapped__(), NOW)

    found = {line.rule: (line.status, line.text.found) for line in explanation.lines()}

    assert found == {
        "form": ("ok", f"3 segments, {len(token)} characters"),
        "header": ("ok", "no typ: JWT of the shared secret"),
        "algorithm": ("ok", '"HS256"'),
        "key id": ("ok", "not needed with the shared secret"),
        "key": ("ok", "BETTER_AUTH_SECRET is set"),
        "signature": ("ok", "43 characters"),
        "payload": ("ok", "2 claims"),
        "exp": ("ok", "2026-01-31 11:59:31 UTC, 29 s ago, within the leeway of 30 s"),
        "nbf, iat": ("ok", ""),
        "issuer": ("ok", "none"),
        "audience": ("ok", "none"),
        "user": ("ok", 'user_id "alice"'),
    }
    assert issuer.fetches == 0


def test_claims_after_the_wrong_rule_are_still_shown(issuer: Issuer) -> None:
    token = issuer.token(NOW, header={"kid": "old"}, iss="https://a.example")
    explanation = Explanation(token, verifier.__wrapped__(), NOW)

    found = {line.rule: (line.status, line.text.found) for line in explanation.lines()}

    assert found["issuer"] == ("not reached", '"https://a.example"')


def test_many_keys_are_not_all_listed(issuer: Issuer) -> None:
    jwk = json.loads(issuer.document)["keys"][0]
    keys = [{**jwk, "kid": f"k{number}"} for number in range(12)]
    issuer.document = json.dumps({"keys": keys}).encode()
    explanation = Explanation(issuer.token(NOW), verifier.__wrapped__(), NOW)

    (key,) = [line for line in explanation.lines() if line.rule == "key"]

    names = ", ".join(f'"k{number}"' for number in range(10))
    assert key.text.found.startswith(f"only {names} and 2 more, fetched ")


def test_wrong_path_is_reported_with_the_one_that_the_token_opens(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token(int(time.time()), sub="alice/1")

    status, output = check(monkeypatch, token, "--user", "bob")

    assert status == 1
    assert output.endswith(
        "path       wrong        found     opens /api/alice%2F1/\n"
        "                        expected  opens /api/bob/\n"
        "                        fix       Send requests to /api/alice%2F1/, "
        "or sign in as the user of /api/bob/.\n"
        "\n"
        "Refused: This token belongs to another user.\n"
    )


def test_path_is_not_reached_by_a_token_without_user(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, output = check(monkeypatch, issuer.token(NOW, "sub"), "--user", "bob")

    assert status == 1
    assert "\npath       not reached\n" in output


FORMS = [
    pytest.param("{token}", id="bare"),
    pytest.param("\n  {token}\r\n", id="white-space"),
    pytest.param("Bearer {token}\n", id="bearer"),
    pytest.param("bearer   {token}", id="bearer-in-lower-case"),
    pytest.param("Authorization: Bearer {token}\r\n", id="header"),
    pytest.param("authorization:{token}", id="header-without-scheme"),
]


@pytest.mark.parametrize("form", FORMS)
def test_token_is_extracted_from_pasted_text(
    form: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token(int(time.time()))

    status, output = check(monkeypatch, form.format(token=token), "--user", "alice")

    assert status == 0
    assert output.splitlines()[-1] == "The token is good."
    assert [line[11:13] for line in output.splitlines()[:13]] == ["ok"] * 13
    assert_nothing_leaks(token, output)


def test_line_break_within_the_token_is_reported(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token(int(time.time()))

    status, output = check(monkeypatch, f"{token[:30]}\n{token[30:]}")

    assert status == 1
    assert output.startswith(
        f"form       ok           3 segments, {len(token) + 1} characters, including white space\n"
        "header     wrong        found     unreadable\n"
    )


def test_too_many_bytes_that_are_not_text_are_refused(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, output = check(monkeypatch, b"\xff" * 10**6)

    assert status == 1
    assert output.startswith("form       wrong        found     1 segment, 131072 characters\n")


HOSTILE = [
    pytest.param("\x1b[31mred\x07", '"\\u001b[31mred\\u0007"', id="escape-sequence"),
    pytest.param("\x7f\x9b2J", '"\\u007f\\u009b2J"', id="eight-bit-controls"),
    pytest.param("a\u202eb", '"a\\u202eb"', id="direction"),
    pytest.param("x" * 300, f'"{"x" * 96}...', id="long"),
]


@pytest.mark.parametrize(("claim", "expected"), HOSTILE)
def test_claim_cannot_control_the_terminal(
    claim: str, expected: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token(int(time.time()), iss=claim)

    _, output = check(monkeypatch, token)

    assert f"\nissuer     wrong        found     {expected}\n" in output
    assert_nothing_leaks(token, output)


def test_deeply_nested_claim_is_not_printed() -> None:
    nested: list[Any] = []
    for _ in range(10_000):
        nested = [nested]

    assert shown(nested) == "nested too deeply"


def test_closed_port_leaves_the_token_undecided(
    issuer: Issuer, settings: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        there = f"127.0.0.1:{closed.getsockname()[1]}"
        settings.BETTER_AUTH_JWKS_URL = f"http://user:password@{there}/jwks?key=password"

        status, output = check(monkeypatch, issuer.token(int(time.time())))

    assert status == 1
    assert (
        "key        wrong        found     ConnectionRefusedError while fetching the key set\n"
        f'                        expected  a key "ed" for "EdDSA" at http://{there}/jwks\n'
        f"                        fix       Make sure that this machine can reach http://{there}/jwks"
        ", or set BETTER_AUTH_JWKS_URL to a URL of the key set that it can reach.\n"
    ) in output
    assert output.splitlines()[-1] == (
        "Not decided: ConnectionRefusedError while fetching the key set"
    )
    assert "password" not in output
    assert capfd.readouterr() == ("", "")


def test_page_instead_of_a_key_set_leaves_the_token_undecided(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.document = b"<!doctype html>"

    status, output = check(monkeypatch, issuer.token(int(time.time())))

    assert status == 1
    assert output.splitlines()[-1] == "Not decided: not a JWK set"


def test_keys_are_fetched_again_without_changing_those_of_the_process(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token(int(time.time()))
    verifier().verify(token)
    remembered = verifier().keys
    jwk = json.loads(issuer.document)["keys"][1]
    issuer.document = json.dumps({"keys": [jwk]}).encode()

    status, output = check(monkeypatch, token)

    assert status == 1
    assert '\nkey        wrong        found     only "ec", fetched ' in output
    assert verifier().keys is remembered


def test_a_terminal_shows_how_to_paste_the_token(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyboard, terminal = os.openpty()
    os.write(keyboard, b"not-a-token\n\x04")
    output, hint = StringIO(), StringIO()

    with os.fdopen(terminal) as stdin, os.fdopen(keyboard, "wb"):
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(SystemExit):
            call_command("check_token", stdout=output, stderr=hint)

    assert hint.getvalue() == "Paste the token, then press Enter and Ctrl-D.\n"
    assert output.getvalue().startswith("form       wrong        found     1 segment, 11 char")


def environment(issuer: Issuer) -> dict[str, str]:
    """The environment of a production machine."""
    return {
        "PATH": os.environ["PATH"],
        "SECRET_KEY": "a-long-key-for-this-test-only",
        "ALLOWED_HOSTS": "tasks.example.com",
        "DATABASE_URL": "postgresql://tasks@127.0.0.1:1/tasks",
        "BETTER_AUTH_URL": issuer.origin,
    }


@pytest.mark.parametrize(
    ("sub", "status", "last"),
    [
        pytest.param("alice", 0, "The token is good.", id="good"),
        pytest.param(
            "",
            1,
            f"Refused: no_subject: The sub of the token is not a user id: it {user_ids.RULE}.",
            id="refused",
        ),
    ],
)
def test_exit_status_and_last_line_are_the_verdict(
    sub: str, status: int, last: str, issuer: Issuer
) -> None:
    token = issuer.token(int(time.time()), sub=sub)

    ended = subprocess.run(
        [sys.executable, "manage.py", "check_token"],
        cwd=ROOT,
        env=environment(issuer),
        input=f"Authorization: Bearer {token}\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert (ended.returncode, ended.stderr) == (status, "")
    assert ended.stdout.splitlines()[-1] == last
    assert_nothing_leaks(token, ended.stdout)


def test_token_is_not_accepted_as_an_argument() -> None:
    with pytest.raises(CommandError, match=re.escape("unrecognized arguments: a.b.c")):
        call_command("check_token", "a.b.c")


DISTANCES = [
    pytest.param(-0.5, "0 s ago", id="now"),
    pytest.param(119, "in 119 s", id="seconds"),
    pytest.param(-120, "2 min ago", id="minutes"),
    pytest.param(7200, "in 2 h", id="hours"),
    pytest.param(-(86400 * 2), "2 days ago", id="days"),
]


@pytest.mark.parametrize(("seconds", "expected"), DISTANCES)
def test_distance_has_the_unit_of_its_size(seconds: float, expected: str) -> None:
    assert distance(seconds) == expected


def test_url_is_shown_without_its_secrets() -> None:
    assert plain("https://user:word@a.example:8443/jwks?key=word#word") == (
        "https://a.example:8443/jwks"
    )


def test_address_is_limited_and_encodes_any_text() -> None:
    assert address("a\udc80/é") == "/api/a%3F%2F%C3%A9/"
    assert len(address("x" * 255)) == 100


# OAuth access tokens

RESOURCE = "https://tasks.example.com/api"
ACCESS_RULES = [*RULES[: RULES.index("user")], "binding", "user", "scope"]


def access_token(issuer: Issuer, now: int, *without: str, **claims: Any) -> str:
    ours = {
        "header": {"typ": "at+jwt"},
        "iss": f"{issuer.origin}/api/auth",
        "aud": RESOURCE,
        "client_id": "client",
        "jti": "once",
        "scope": "tasks:read",
    }
    return issuer.token(now, *without, **{**ours, **claims})


def test_good_access_token_passes_every_rule(issuer: Issuer, settings: Any) -> None:
    settings.BETTER_AUTH_RESOURCE = RESOURCE
    token = access_token(issuer, NOW)
    explanation = Explanation(token, verifier.__wrapped__(), NOW, "alice")

    lines = list(explanation.lines())

    assert [line.rule for line in lines] == [*ACCESS_RULES, "path"]
    assert {line.status for line in lines} == {"ok"}
    found = {line.rule: line.text.found for line in lines}
    assert found["header"] == 'typ "at+jwt": access token'
    assert found["issuer"] == f'"{issuer.origin}/api/auth"'
    assert found["audience"] == f'"{RESOURCE}"'
    assert found["binding"] == "cnf none"
    assert found["scope"] == '"tasks:read", for reading'


ACCESS_CASES = [
    pytest.param(
        Case(
            access_token,
            "header",
            'typ "at+jwt": access token',
            HEADER,
            f'If "{RESOURCE}" means this API, set BETTER_AUTH_RESOURCE to its URI. '
            f"Otherwise: {FETCH}",
            f"wrong_type: This is an OAuth access token, and they are not accepted here. {FETCH}",
            {"BETTER_AUTH_RESOURCE": ""},
        ),
        id="switched-off",
    ),
    pytest.param(
        Case(
            lambda issuer, now: access_token(issuer, now, "jti"),
            "payload",
            "7 claims",
            "a JSON object with client_id, jti and iat",
            "Let Better Auth's OAuth provider sign access tokens: it writes all of these.",
            "malformed: An access token needs a string in jti.",
        ),
        id="no-jti",
    ),
    pytest.param(
        Case(
            lambda issuer, now: access_token(issuer, now, iss="https://a.example"),
            "issuer",
            '"https://a.example"',
            "ORIGIN or ORIGIN/api/auth",
            "Sign in at ORIGIN or ORIGIN/api/auth, or set BETTER_AUTH_ISSUER to "
            '"https://a.example" if you trust that issuer.',
            "wrong_issuer: The token comes from another issuer than ORIGIN.",
        ),
        id="access-issuer",
    ),
    pytest.param(
        Case(
            lambda issuer, now: access_token(issuer, now, aud="https://b.example"),
            "audience",
            '"https://b.example"',
            RESOURCE,
            f"Request the access token with resource={RESOURCE}, or set BETTER_AUTH_RESOURCE "
            'if "https://b.example" means this API.',
            f"wrong_audience: The token is for another audience than {RESOURCE}.",
        ),
        id="another-resource",
    ),
    pytest.param(
        Case(
            lambda issuer, now: access_token(issuer, now, cnf={"jkt": "MTIz"}),
            "binding",
            'cnf {"jkt": "MTIz"}',
            "no cnf: a bearer token",
            "Request the access token without a DPoP proof: proofs are not checked here.",
            "bound_token: The token is bound to a key (cnf), so it is no bearer token. "
            "Request an access token without DPoP.",
        ),
        id="bound",
    ),
    pytest.param(
        Case(
            lambda issuer, now: access_token(issuer, now, sub="client"),
            "user",
            'sub "client"',
            SUBJECT,
            "Let a user sign in (authorization code flow). A token that a client got for itself "
            "opens nothing.",
            "client_token: The token belongs to a client, not to a user: its sub is its "
            "client_id. Let a user sign in (authorization code flow).",
        ),
        id="client",
    ),
]


@pytest.mark.parametrize("wrong", ACCESS_CASES)
def test_a_broken_rule_of_access_tokens_is_explained(
    wrong: Case, issuer: Issuer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BETTER_AUTH_RESOURCE = RESOURCE
    for name, value in wrong.settings.items():
        setattr(settings, name, value)
    explanation = Explanation(wrong.token(issuer, NOW), verifier.__wrapped__(), NOW)

    lines = list(explanation.lines())

    assert [line.rule for line in lines] == ACCESS_RULES
    (line,) = [line for line in lines if line.status == "wrong"]
    assert line.rule == wrong.rule
    assert (line.text.found, line.text.expected, line.text.advice) == (
        wrong.found,
        wrong.expected.replace("ORIGIN", issuer.origin),
        wrong.advice.replace("ORIGIN", issuer.origin),
    )
    assert str(explanation.failure) == wrong.failure.replace("ORIGIN", issuer.origin)
    token = wrong.token(issuer, int(time.time()))
    with pytest.raises(InvalidToken) as refused:
        verifier().verify(token)
    status, output = check(monkeypatch, token)
    assert (status, output.splitlines()[-1]) == (1, f"Refused: {refused.value}")
    assert_nothing_leaks(token, output)


def test_access_token_without_a_scope_of_ours_is_explained(
    issuer: Issuer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BETTER_AUTH_RESOURCE = RESOURCE
    token = access_token(issuer, int(time.time()), scope="openid profile")

    status, output = check(monkeypatch, token)

    assert status == 1
    assert (
        'scope      wrong        found     "openid profile", for nothing here\n'
        "                        expected  tasks:read for GET and HEAD, "
        "tasks:write for other methods\n"
        "                        fix       Request the access token with "
        "scope=tasks:read%20tasks:write, or one of the two. "
        "Better Auth grants what scopes of its OAuth provider lists.\n"
    ) in output
    assert output.splitlines()[-1] == (
        "Refused: This needs an access token with the scope tasks:read."
    )


@pytest.mark.parametrize("scope", ["tasks:read", "tasks:write"])
def test_access_token_with_one_scope_is_good(
    scope: str, issuer: Issuer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BETTER_AUTH_RESOURCE = RESOURCE

    status, output = check(monkeypatch, access_token(issuer, int(time.time()), scope=scope))

    assert (status, output.splitlines()[-1]) == (0, "The token is good.")


def test_word_in_place_of_a_token_is_explained(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, output = check(monkeypatch, "Bearer undefined")

    assert "fix       Wait for authClient.token(), and send data.token of its answer." in output
