"""Why a token is refused: the verifier's rules one by one and in its order, for an operator.

No rule stands here: `_rules` names the functions that the verifier calls. What this adds is what
was expected, what was found and how to mend it; never the token, a key or a secret.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from authjwt import user_ids
from authjwt.bearer import check_owner
from authjwt.conf import LEEWAY
from authjwt.exceptions import Forbidden, InvalidToken, KeysUnavailable
from authjwt.keys import MOST_KID_CHARACTERS, KeyRing, parse
from authjwt.tokens import (
    FETCH_A_JWT,
    HEADER_MEMBERS,
    KEY_SET_ALGORITHMS,
    LATEST,
    MOST_CHARACTERS,
    SECRET_ALGORITHM,
    Verifier,
    algorithm_of,
    check_audience,
    check_header,
    check_issuer,
    check_signature,
    check_times,
    decode,
    key_id_of,
    read_header,
    read_object,
    split,
    user_of,
)
from authjwt.wording import address, count, date, distance, plain, shown

if TYPE_CHECKING:
    from jwt.algorithms import Algorithm

MOST_LISTED = 10
EARLIEST = -62_135_596_800
"""The first second of the year 1, where Python's dates begin."""


@dataclass(frozen=True)
class Text:
    """What a line says beside its status."""

    found: str = ""
    expected: str = ""
    advice: str = ""


@dataclass(frozen=True)
class Line:
    rule: str
    status: Literal["ok", "wrong", "not reached"]
    text: Text


class Explanation:
    """A token held against the rules.

    user: whose path it should open; None leaves that rule out.
    now: seconds since 1970.
    failure: what the verifier raised, once the lines are read; None for a good token.
    """

    def __init__(self, token: str, verifier: Verifier, now: float, user: str | None = None) -> None:
        self.failure: InvalidToken | KeysUnavailable | Forbidden | None = None
        self._token = token
        self._verifier = verifier
        self._now = now
        self._path = user
        try:
            self._segments = split(token)
        except InvalidToken:
            self._segments = ("", "", "")
        # To be shown only: a rule reads for itself.
        self._header = _peek(self._segments[0])
        self._claims = _peek(self._segments[1])
        self._from_key_set = self._header.get("alg") != SECRET_ALGORITHM
        self._signer: tuple[Algorithm, Any]

    def lines(self) -> Iterator[Line]:
        for rule, check, text in self._rules():
            if self.failure:
                yield Line(rule, "not reached", text())
                continue
            try:
                check()
            except (InvalidToken, KeysUnavailable, Forbidden) as failure:
                self.failure = failure
                yield Line(rule, "wrong", text())
            else:
                yield Line(rule, "ok", text())

    def _rules(self) -> Iterator[tuple[str, Callable[[], object], Callable[[], Text]]]:
        verifier, claims, required = self._verifier, self._claims, self._from_key_set
        expiry = {name: claims[name] for name in ("exp",) if name in claims}
        yield "form", lambda: split(self._token), self._form
        yield (
            "header",
            lambda: check_header(read_object(decode(self._segments[0], "header"), "header")),
            self._type_and_members,
        )
        yield "algorithm", lambda: algorithm_of(self._header), self._algorithm
        yield "key id", lambda: key_id_of(self._header), self._key_id
        yield "key", self._find_key, self._key_source
        yield "signature", self._check_signature, self._signature
        yield (
            "payload",
            lambda: read_object(decode(self._segments[1], "payload"), "payload"),
            self._payload,
        )
        yield "exp", lambda: check_times(expiry, self._now), self._expiry
        yield "nbf, iat", lambda: check_times(claims, self._now), self._beginning
        yield (
            "issuer",
            lambda: check_issuer(claims, verifier.issuers, required=required),
            self._issuer,
        )
        yield (
            "audience",
            lambda: check_audience(claims, verifier.audiences, required=required),
            self._audience,
        )
        yield "user", self._user_of, self._user
        if self._path is not None:
            yield "path", lambda: check_owner(self._user_of(), self._path), self._owner

    def _check_signature(self) -> None:
        signature = decode(self._segments[2], "signature")
        check_signature(self._segments, signature, *self._signer)

    def _find_key(self) -> None:
        """Fetches the key set itself, so that the cause of a failure can be told."""
        header = read_header(self._segments[0])
        if header.key_id is not None and self._verifier.keys:
            url = self._verifier.keys.url
            document = self._verifier.keys.fetch(url)
            try:
                parse(document)
            except ValueError as error:
                raise KeysUnavailable(str(error)) from error
            self._verifier.keys = KeyRing(url, fetch=lambda _: document)
            self._verifier.keys.load()
        self._signer = self._verifier.key_for(header)[1:]

    def _user_of(self) -> str:
        return user_of(self._claims, from_key_set=self._from_key_set)

    # The texts, in the order of the rules

    def _form(self) -> Text:
        segments = self._token.count(".") + 1 if self._token else 0
        spaces = ", white space among them" if any(map(str.isspace, self._token)) else ""
        if not self._token:
            advice = "Pipe the token in: nothing came on standard input."
        elif len(self._token) > MOST_CHARACTERS:
            advice = (
                "Keep large profile fields, such as a picture as data: URL, out of the token "
                "(definePayload of Better Auth's jwt plugin)."
            )
        else:
            kind = "an encrypted cookie" if segments == 5 else "a session token"  # noqa: PLR2004
            advice = f"This may be {kind} of Better Auth. {FETCH_A_JWT}"
        return Text(
            f"{count(segments, 'segment')}, {count(len(self._token), 'character')}{spaces}",
            f"3 segments, at most {MOST_CHARACTERS} characters",
            advice,
        )

    def _type_and_members(self) -> Text:
        others = ", ".join(sorted(self._header.keys() - HEADER_MEMBERS))
        found = f"typ {shown(self._header['typ'])}" if "typ" in self._header else "no typ"
        if not self._header:
            found = "unreadable" if self._segments[0] else ""
            advice = (
                "Send the bare token, as /api/auth/token has it in its member token: "
                "no quotes, no braces, no line breaks."
            )
        elif others:
            found += f", and {shown(others)}"
            advice = "Sign tokens whose header has alg and kid only, as Better Auth does."
        else:
            advice = f"This token is made for something else than an API. {FETCH_A_JWT}"
        return Text(found, "a JSON object of alg, kid and typ; typ absent or JWT", advice)

    def _algorithm(self) -> Text:
        accepted = ", ".join(sorted(KEY_SET_ALGORITHMS))
        key_set, secret = (
            "on" if source else "off" for source in (self._verifier.keys, self._verifier.secret)
        )
        return Text(
            shown(self._header.get("alg")) if self._header else "",
            f"{accepted} (BETTER_AUTH_URL switches them on: {key_set}), "
            f"{SECRET_ALGORITHM} (BETTER_AUTH_SECRET: {secret})",
            "Sign with one of these: the first are for keyPairConfig of Better Auth's jwt plugin, "
            "the last for a frontend that signs with the shared secret.",
        )

    def _key_id(self) -> Text:
        if self._header.get("alg") == SECRET_ALGORITHM:
            return Text("not needed with the shared secret")
        return Text(
            shown(self._header.get("kid")) if self._header else "",
            f"a string of 1 to {MOST_KID_CHARACTERS} characters",
            "Write the id of the key into the header as kid; Better Auth's jwt plugin does.",
        )

    def _key_source(self) -> Text:
        if not self._header:
            return Text()
        if not self._from_key_set:
            return Text(
                f"BETTER_AUTH_SECRET is {'set' if self._verifier.secret else 'not set'}",
                "BETTER_AUTH_SECRET is set",
                "Set BETTER_AUTH_SECRET to the secret that signs these tokens. "
                f"Or take no such token: {FETCH_A_JWT}",
            )
        if not self._verifier.keys:
            return Text(
                "neither BETTER_AUTH_URL nor BETTER_AUTH_JWKS_URL is set",
                "the key set of the issuer",
                "Set BETTER_AUTH_URL to the address of Better Auth, whose keys sign this token.",
            )
        return self._listed(self._verifier.keys)

    def _listed(self, ring: KeyRing) -> Text:
        url, key_id, algorithm = plain(ring.url), self._header.get("kid"), self._header.get("alg")
        expected = f"a key {shown(key_id)} for {shown(algorithm)} at {url}"
        if isinstance(self.failure, KeysUnavailable):
            return Text(
                str(self.failure),
                expected,
                f"Make {url} answer on this machine, or set BETTER_AUTH_JWKS_URL "
                "to where the key set can be reached from here.",
            )
        fetched = f"{date(self._now)} from {url}"
        if isinstance(key_id, str) and (key := ring.keys.get(key_id)):
            return Text(
                f"{shown(key_id)} for {', '.join(sorted(key.algorithms))}, fetched {fetched}",
                expected,
                f"Fetch a new token: no signature of {shown(algorithm)} is made by this key.",
            )
        if not ring.keys:
            return Text()
        listed = [shown(name) for name in ring.keys]
        more = f" and {len(listed) - MOST_LISTED} more" if len(listed) > MOST_LISTED else ""
        return Text(
            f"only {', '.join(listed[:MOST_LISTED])}{more}, fetched {fetched}",
            expected,
            "Sign in again for a token of a current key; or set BETTER_AUTH_URL "
            "to the issuer that signed this one.",
        )

    def _signature(self) -> Text:
        length = len(self._segments[2])
        if self._from_key_set:
            advice = (
                "Fetch a new token and send all of it: this one was altered or cut, "
                "or another issuer has a key of the same id."
            )
        else:
            advice = (
                "Set BETTER_AUTH_SECRET to the very text that the issuer signs with: "
                "no quotes around it, and of the same environment."
            )
        return Text(f"{count(length, 'character')}" if length else "", "one that fits", advice)

    def _payload(self) -> Text:
        return Text(
            count(len(self._claims), "claim") if self._claims else "",
            "a JSON object, each name in it once",
            "Sign a JSON object: the issuer signed something else.",
        )

    def _expiry(self) -> Text:
        expires: Any = self._claims.get("exp")
        found = self._moment("exp")
        if self.failure is None and expires <= self._now:
            found += f", within the leeway of {LEEWAY} s"
        if "exp" not in self._claims:
            advice = "Sign tokens that expire: exp, in seconds since 1970."
        elif type(expires) is not int:
            advice = "Write exp as a whole number of seconds, without quotes or a fraction."
        elif expires > LATEST:
            advice = "Write exp in seconds since 1970: this looks like milliseconds."
        else:
            advice = (
                "Fetch a new token from /api/auth/token whenever a request answers 401; "
                "if this one is new, set the clocks right."
            )
        return Text(found, f"later than {date(self._now - LEEWAY)}", advice)

    def _beginning(self) -> Text:
        names = [name for name in ("nbf", "iat") if name in self._claims]
        late = [
            int(value - self._now)
            for name in names
            if type(value := self._claims[name]) is int and self._now < value <= LATEST
        ]
        advice = (
            "Set the clocks right: that of the issuer is "
            f"{max(late)} s ahead of the one here, and {LEEWAY} s are allowed."
            if late
            else "Write nbf and iat as whole numbers of seconds since 1970, not milliseconds."
        )
        return Text(
            "; ".join(f"{name} {self._moment(name)}" for name in names),
            f"not after {date(self._now + LEEWAY)}",
            advice,
        )

    def _issuer(self) -> Text:
        found, expected = self._claim("iss"), _spellings(self._verifier.issuers)
        advice = f"Sign in at {expected}, or set BETTER_AUTH_ISSUER"
        if "iss" in self._claims:
            advice += f" to {found} if that is whom you trust"
        else:
            advice = f"Let the issuer write iss: {expected}"
        return Text(found, expected, f"{advice}.")

    def _audience(self) -> Text:
        found, expected = self._claim("aud"), _spellings(self._verifier.audiences)
        if "aud" in self._claims:
            advice = (
                f"Set BETTER_AUTH_AUDIENCE to what {found} names if this API is meant by it; "
                f"otherwise have tokens made for {expected} (audience of Better Auth's jwt plugin)"
            )
        else:
            advice = f"Let the issuer write aud: {expected}"
        return Text(found, expected, f"{advice}.")

    def _user(self) -> Text:
        name = "sub" if self._from_key_set or "sub" in self._claims else "user_id"
        if "session" in self._claims:
            advice = f"This is the session cache of a cookie. {FETCH_A_JWT}"
        elif self._from_key_set:
            advice = "Leave sub as Better Auth sets it (getSubject of the jwt plugin): the user id."
        else:
            advice = "Sign the user's id as sub, or as user_id."
        return Text(
            f"{name} {self._claim(name)}" if self._claims else "",
            f"{'sub' if self._from_key_set else 'sub or user_id'}: a string of 1 to "
            f"{user_ids.MAX_LENGTH} characters, no control characters",
            advice,
        )

    def _owner(self) -> Text:
        try:
            opens = address(self._user_of())
        except InvalidToken:
            return Text()
        asked = address(str(self._path))
        return Text(
            f"opens {opens}",
            f"opens {asked}",
            f"Send requests to {opens}, or sign in as the user of {asked}.",
        )

    def _claim(self, name: str) -> str:
        if not self._claims:
            return ""
        return shown(self._claims[name]) if name in self._claims else "none"

    def _moment(self, name: str) -> str:
        value = self._claims.get(name)
        if type(value) is not int or not EARLIEST <= value <= LATEST:
            return self._claim(name)
        return f"{date(value)}, {distance(value - self._now)}"


def _peek(segment: str) -> dict[str, Any]:
    try:
        return read_object(decode(segment, "segment"), "segment")
    except InvalidToken:
        return {}


def _spellings(accepted: Collection[str]) -> str:
    """With or without a slash at the end is not told apart, so it is told once."""
    return " or ".join(sorted({plain(name).rstrip("/") for name in accepted})) or "anything"
