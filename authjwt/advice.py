"""For each rule about tokens: what was found, what was expected, and how to fix it.

Nothing here decides whether a token is good: `authjwt.tokens` does. No text holds the token, a key
or a secret.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from authjwt import conf, user_ids
from authjwt.claims import ID_TOKEN_CLAIMS, MAX_TIMESTAMP, Kind, name_of_user_claim, scopes_of
from authjwt.conf import LEEWAY
from authjwt.exceptions import FETCH_A_JWT, InvalidToken, KeysUnavailable
from authjwt.jwks import MAX_KID_CHARACTERS
from authjwt.keys import KeyRing
from authjwt.tokens import (
    ACCESS_TOKEN_TYPES,
    KEY_MEMBERS,
    KEY_SET_ALGORITHMS,
    MAX_CHARACTERS,
    OBJECTS,
    REFUSED_MEMBERS,
    SECRET_ALGORITHM,
    SEGMENTS,
    UNSET,
    Verifier,
    contains_token,
    decode,
    kind_of,
    read_object,
    split,
    uses_shared_secret,
)
from authjwt.wording import address, count, date, distance, names, plain, shown

MAX_LISTED = 10
MIN_TIMESTAMP = -62_135_596_800
"""The first second of the year 1, the earliest that Python's dates can show."""


@dataclass(frozen=True)
class Text:
    """What a line of the report says after its status."""

    found: str = ""
    expected: str = ""
    advice: str = ""


class UncheckedToken:
    """A token as far as it can be read without checking any rule.

    Segments, header and claims that cannot be read are empty. `known_kind` is None if the header is
    refused, and `kind` is then what the token probably is.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self.segments = split(text)
        except InvalidToken:
            self.segments = ("", "", "")
        self.header = _read(self.segments[0])
        self.claims = _read(self.segments[1])
        self.from_key_set = not uses_shared_secret(self.header)
        self.known_kind = _kind(self.header)
        self.kind = self.known_kind or (Kind.SESSION if self.from_key_set else Kind.SHARED_SECRET)


def _read(segment: str) -> dict[str, Any]:
    try:
        return read_object(decode(segment, "segment"), "segment")
    except InvalidToken:
        return {}


def _kind(header: dict[str, Any]) -> Kind | None:
    try:
        return kind_of(header)
    except InvalidToken:
        return None


def form(token: UncheckedToken) -> Text:
    segments = token.text.count(".") + 1 if token.text else 0
    spaces = ", including white space" if any(map(str.isspace, token.text)) else ""
    if not token.text:
        advice = "Pipe the token into standard input, which was empty."
    elif len(token.text) > MAX_CHARACTERS:
        advice = (
            "Keep large profile fields, such as a picture as data: URL, out of the token "
            "(definePayload of Better Auth's jwt plugin)."
        )
    elif token.text in UNSET + OBJECTS:
        advice = "Wait for authClient.token(), and send data.token of its answer."
    else:
        kind = "an encrypted cookie" if segments == 5 else "a session token"  # noqa: PLR2004
        advice = f"This may be {kind} of Better Auth. {FETCH_A_JWT}"
    return Text(
        f"{count(segments, 'segment')}, {count(len(token.text), 'character')}{spaces}",
        f"{SEGMENTS} segments, at most {MAX_CHARACTERS} characters",
        advice,
    )


def header(token: UncheckedToken) -> Text:
    refused = [name for name in (*REFUSED_MEMBERS, *KEY_MEMBERS) if name in token.header]
    if contains_token(token.header):
        refused.append("cty")
    found = f"typ {shown(token.header['typ'])}" if "typ" in token.header else "no typ"
    if not token.header:
        found = "unreadable" if token.segments[0] else ""
        advice = (
            "Send only the value of token in the answer of /api/auth/token: "
            "no quotes, no braces, no line breaks."
        )
    elif refused:
        found += f", and {', '.join(refused)}"
        advice = "Sign tokens with only alg and kid in the header, as Better Auth does."
    elif token.kind is Kind.ACCESS:
        resource = shown(token.claims.get("aud"))
        advice = (
            f"If {resource} means this API, set BETTER_AUTH_RESOURCE to its URI. "
            f"Otherwise: {FETCH_A_JWT}"
        )
    else:
        advice = f"This token is not meant for an API. {FETCH_A_JWT}"
    if token.header and token.known_kind:
        found += f": {token.known_kind.value}"
    access = f", or {ACCESS_TOKEN_TYPES[0]}" if conf.resource() else ""
    return Text(
        found,
        f"a JSON object without {', '.join((*REFUSED_MEMBERS, *KEY_MEMBERS))}; "
        f"typ absent or JWT{access}",
        advice,
    )


def algorithm(token: UncheckedToken, verifier: Verifier) -> Text:
    accepted = ", ".join(sorted(KEY_SET_ALGORITHMS))
    key_set, secret = ("on" if source else "off" for source in (verifier.keys, verifier.secret))
    return Text(
        shown(token.header.get("alg")) if token.header else "",
        f"{accepted} (enabled by BETTER_AUTH_URL: {key_set}), "
        f"{SECRET_ALGORITHM} (enabled by BETTER_AUTH_SECRET: {secret})",
        "Sign with one of these: the first ones are for keyPairConfig of Better Auth's jwt plugin, "
        "the last one is for a frontend that signs with the shared secret.",
    )


def key_id(token: UncheckedToken) -> Text:
    if not token.from_key_set:
        return Text("not needed with the shared secret")
    return Text(
        shown(token.header.get("kid")) if token.header else "",
        f"a string of 1 to {MAX_KID_CHARACTERS} characters",
        "Write the id of the key into the header as kid, as Better Auth's jwt plugin does.",
    )


def key(
    token: UncheckedToken, verifier: Verifier, fetched_at: float, failure: Exception | None
) -> Text:
    if not token.header:
        return Text()
    if not token.from_key_set:
        return Text(
            f"BETTER_AUTH_SECRET is {'set' if verifier.secret else 'not set'}",
            "BETTER_AUTH_SECRET is set",
            "Set BETTER_AUTH_SECRET to the secret that signs these tokens, "
            f"or use tokens of the key set. {FETCH_A_JWT}",
        )
    if not verifier.keys:
        return Text(
            "neither BETTER_AUTH_URL nor BETTER_AUTH_JWKS_URL is set",
            "the key set of the issuer",
            "Set BETTER_AUTH_URL to the address of Better Auth, whose keys sign this token.",
        )
    return _listed_key(token, verifier.keys, fetched_at, failure)


def _listed_key(
    token: UncheckedToken, ring: KeyRing, fetched_at: float, failure: Exception | None
) -> Text:
    url, kid, alg = plain(ring.url), token.header.get("kid"), token.header.get("alg")
    expected = f"a key {shown(kid)} for {shown(alg)} at {url}"
    if isinstance(failure, KeysUnavailable):
        return Text(str(failure), expected, key_set_advice(url, failure))
    fetched = f"{date(fetched_at)} from {url}"
    if isinstance(kid, str) and (found := ring.keys.get(kid)):
        return Text(
            f"{shown(kid)} for {', '.join(sorted(found.algorithms))}, fetched {fetched}",
            expected,
            f"Fetch a new token: this key does not sign with {shown(alg)}.",
        )
    if not ring.keys:
        return Text()
    listed = [shown(name) for name in ring.keys]
    more = f" and {len(listed) - MAX_LISTED} more" if len(listed) > MAX_LISTED else ""
    return Text(
        f"only {', '.join(listed[:MAX_LISTED])}{more}, fetched {fetched}",
        expected,
        "Sign in again to get a token of a current key, or set BETTER_AUTH_URL "
        "to the issuer that signed this one.",
    )


def key_set_advice(url: str, failure: Exception) -> str:
    """How to fix a failure to fetch the key set. The text has `url`: it must contain no secret."""
    if isinstance(failure.__cause__, OSError):
        return (
            f"Make sure that this machine can reach {url}, or set BETTER_AUTH_JWKS_URL "
            "to a URL of the key set that it can reach."
        )
    return (
        "Set BETTER_AUTH_URL to the address of Better Auth, with its jwt plugin enabled, "
        "or BETTER_AUTH_JWKS_URL if the key set is somewhere else."
    )


def signature(token: UncheckedToken) -> Text:
    length = len(token.segments[2])
    if token.from_key_set:
        advice = (
            "Fetch a new token and send all of it: this one was changed or cut off, "
            "or comes from another issuer whose key has the same id."
        )
    else:
        advice = (
            "Set BETTER_AUTH_SECRET to exactly the secret that the issuer signs with: "
            "the one of the same environment, without quotes around it."
        )
    return Text(count(length, "character") if length else "", "one that matches the token", advice)


def payload(token: UncheckedToken) -> Text:
    if token.kind is Kind.ACCESS:
        expected = "a JSON object with client_id, jti and iat"
        advice = "Let Better Auth's OAuth provider sign access tokens: it writes all of these."
    elif any(name in token.claims for name in ID_TOKEN_CLAIMS):
        expected = f"a JSON object without {' and '.join(ID_TOKEN_CLAIMS)}, which ID tokens have"
        advice = "Send access_token, with the resource of this API, or a JWT of /api/auth/token."
    else:
        expected = "a JSON object without duplicate names"
        advice = "Sign a JSON object: this issuer signed something else."
    return Text(count(len(token.claims), "claim") if token.segments[1] else "", expected, advice)


def expiry(token: UncheckedToken, now: float, failure: Exception | None) -> Text:
    expires: Any = token.claims.get("exp")
    found = _time(token, "exp", now)
    if failure is None and expires <= now:
        found += f", within the leeway of {LEEWAY} s"
    if "exp" not in token.claims:
        advice = "Sign tokens that expire: add exp, in seconds since 1970."
    elif type(expires) is not int:
        advice = "Write exp as a whole number of seconds, without quotes or a fraction."
    elif expires > MAX_TIMESTAMP:
        advice = "Write exp in seconds since 1970: this looks like milliseconds."
    else:
        advice = (
            "Fetch a new token from /api/auth/token whenever the answer is a 401. "
            "If this token is new, correct the clocks."
        )
    return Text(found, f"later than {date(now - LEEWAY)}", advice)


def beginning(token: UncheckedToken, now: float) -> Text:
    names = [name for name in ("nbf", "iat") if name in token.claims]
    ahead = [
        int(value - now)
        for name in names
        if type(value := token.claims[name]) is int and now < value <= MAX_TIMESTAMP
    ]
    advice = (
        "Correct the clocks: the issuer's is "
        f"{max(ahead)} s ahead of the one here, and {LEEWAY} s are allowed."
        if ahead
        else "Write nbf and iat as whole numbers of seconds since 1970, not milliseconds."
    )
    return Text(
        "; ".join(f"{name} {_time(token, name, now)}" for name in names),
        f"not after {date(now + LEEWAY)}",
        advice,
    )


def issuer(token: UncheckedToken, accepted: Collection[str]) -> Text:
    found, expected = _claim(token, "iss"), names(accepted)
    advice = f"Sign in at {expected}, or set BETTER_AUTH_ISSUER"
    if "iss" in token.claims:
        advice += f" to {found} if you trust that issuer"
    else:
        advice = f"Configure the issuer to write iss: {expected}"
    return Text(found, expected, f"{advice}.")


def audience(token: UncheckedToken, accepted: Collection[str]) -> Text:
    found, expected = _claim(token, "aud"), names(accepted)
    if token.kind is Kind.ACCESS:
        advice = (
            f"Request the access token with resource={expected}, or set BETTER_AUTH_RESOURCE "
            f"if {found} means this API"
        )
    elif "aud" in token.claims:
        advice = (
            f"If {found} means this API, set BETTER_AUTH_AUDIENCE to it. Otherwise "
            f"issue tokens for {expected} (audience of Better Auth's jwt plugin)"
        )
    else:
        advice = f"Configure the issuer to write aud: {expected}"
    return Text(found, expected, f"{advice}.")


def binding(token: UncheckedToken) -> Text:
    return Text(
        f"cnf {_claim(token, 'cnf')}",
        "no cnf: a bearer token",
        "Request the access token without a DPoP proof: proofs are not checked here.",
    )


def scope(token: UncheckedToken) -> Text:
    """Which methods the scopes of an access token allow."""
    read, write = conf.scopes()
    granted = scopes_of(token.claims, token.kind) or frozenset()
    allowed = [
        name for name, needed in (("reading", read), ("writing", write)) if needed in granted
    ]
    return Text(
        f"{_claim(token, 'scope')}, for {' and '.join(allowed) or 'nothing here'}",
        f"{read} for GET and HEAD, {write} for other methods",
        f"Request the access token with scope={read}%20{write}, or one of the two. "
        "Better Auth grants what scopes of its OAuth provider lists.",
    )


def user(token: UncheckedToken) -> Text:
    name = name_of_user_claim(token.claims, token.kind)
    if "session" in token.claims:
        advice = f"This is the cookie cache of a session. {FETCH_A_JWT}"
    elif token.kind is Kind.ACCESS:
        advice = (
            "Let a user sign in (authorization code flow). A token that a client got for itself "
            "opens nothing."
        )
    elif token.from_key_set:
        advice = "Leave sub as Better Auth sets it (getSubject of the jwt plugin): the user id."
    else:
        advice = "Write the user id into the token as sub or user_id, as a string."
    return Text(
        f"{name} {_claim(token, name)}" if token.claims else "",
        f"{'sub' if token.from_key_set else 'sub or user_id'}: a string; it {user_ids.RULE}",
        advice,
    )


def path(owner: str, requested: str) -> Text:
    """owner: the user of the token. requested: the user in the path."""
    opens, asked = address(owner), address(requested)
    return Text(
        f"opens {opens}",
        f"opens {asked}",
        f"Send requests to {opens}, or sign in as the user of {asked}.",
    )


def _claim(token: UncheckedToken, name: str) -> str:
    if not token.claims:
        return ""
    return shown(token.claims[name]) if name in token.claims else "none"


def _time(token: UncheckedToken, name: str, now: float) -> str:
    value = token.claims.get(name)
    if type(value) is not int or not MIN_TIMESTAMP <= value <= MAX_TIMESTAMP:
        return _claim(token, name)
    return f"{date(value)}, {distance(value - now)}"
