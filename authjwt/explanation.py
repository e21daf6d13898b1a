"""Why a token is refused: checks the verifier's rules one by one, in its order.

The rules are the functions that the verifier calls. What an operator reads about each of them is in
`authjwt.advice`.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from authjwt import advice
from authjwt.bearer import check_owner, check_scope
from authjwt.claims import (
    NOBODY,
    Accepted,
    Kind,
    check_audience,
    check_binding,
    check_issuer,
    check_kind,
    check_times,
    scopes_of,
    user_of,
)
from authjwt.exceptions import InsufficientScope, InvalidToken, TokenError
from authjwt.keys import KeyRing
from authjwt.report import Status
from authjwt.tokens import (
    Verifier,
    algorithm_of,
    check_signature,
    decode,
    key_id_of,
    kind_of,
    read_header,
    read_object,
    split,
)

if TYPE_CHECKING:
    from jwt.algorithms import Algorithm


@dataclass(frozen=True)
class Line:
    rule: str
    status: Status
    text: advice.Text


class Rule(NamedTuple):
    name: str
    check: Callable[[], object]
    text: Callable[[], advice.Text]


class Explanation:
    """A token checked against each rule.

    user: the user id in the path that the token should open; None skips that rule.
    now: seconds since 1970.
    failure: the error of the first rule that failed, after `lines` was read; None if none did.
    """

    def __init__(self, token: str, verifier: Verifier, now: float, user: str | None = None) -> None:
        self.failure: TokenError | None = None
        self._token = advice.UncheckedToken(token)
        self._verifier = verifier
        self._now = now
        self._user = user
        self._signer: tuple[Algorithm, Any]

    def lines(self) -> Iterator[Line]:
        for rule in self._rules():
            status: Status = "not reached"
            if not self.failure:
                try:
                    rule.check()
                except TokenError as failure:
                    self.failure = failure
                    status = "wrong"
                else:
                    status = "ok"
            yield Line(rule.name, status, rule.text())

    def _rules(self) -> Iterator[Rule]:
        token, verifier, now = self._token, self._verifier, self._now
        segments, claims, kind = token.segments, token.claims, token.kind
        accepted = self._accepted()
        yield Rule("form", lambda: split(token.text), lambda: advice.form(token))
        yield Rule(
            "header",
            self._check_header,
            lambda: advice.header(token),
        )
        yield Rule(
            "algorithm",
            lambda: algorithm_of(token.header, kind),
            lambda: advice.algorithm(token, verifier),
        )
        yield Rule("key id", lambda: key_id_of(token.header), lambda: advice.key_id(token))
        yield Rule("key", self._find_key, lambda: advice.key(token, verifier, now, self.failure))
        yield Rule("signature", self._check_signature, lambda: advice.signature(token))
        yield Rule(
            "payload",
            lambda: check_kind(read_object(decode(segments[1], "payload"), "payload"), kind),
            lambda: advice.payload(token),
        )
        yield Rule("exp", self._check_expiry, lambda: advice.expiry(token, now, self.failure))
        yield Rule(
            "nbf, iat", lambda: check_times(claims, now), lambda: advice.beginning(token, now)
        )
        yield Rule(
            "issuer",
            lambda: check_issuer(claims, kind, accepted.issuers),
            lambda: advice.issuer(token, accepted.issuers),
        )
        yield Rule(
            "audience",
            lambda: check_audience(claims, kind, accepted.audiences),
            lambda: advice.audience(token, accepted.audiences),
        )
        if kind is Kind.ACCESS:
            yield Rule(
                "binding", lambda: check_binding(claims, kind), lambda: advice.binding(token)
            )
        yield Rule("user", self._user_of, lambda: advice.user(token))
        if kind is Kind.ACCESS:
            yield Rule("scope", self._check_scope, lambda: advice.scope(token))
        if self._user is not None:
            yield Rule("path", lambda: check_owner(self._user_of(), self._user), self._path_text)

    def _check_header(self) -> None:
        header = read_object(decode(self._token.segments[0], "header"), "header")
        self._verifier.accepted(kind_of(header))

    def _find_key(self) -> None:
        """Fetches the key set itself, so that the cause of a failure is known."""
        header = read_header(self._token.segments[0])
        if header.key_id is not None and self._verifier.keys:
            found = self._verifier.keys.find()
            self._verifier.keys = KeyRing(found.url, fetch=lambda _: found.document)
            self._verifier.keys.load()
        self._signer = self._verifier.key_for(header)[1:]

    def _check_signature(self) -> None:
        segments = self._token.segments
        check_signature(segments, decode(segments[2], "signature"), *self._signer)

    def _check_expiry(self) -> None:
        claims = self._token.claims
        check_times({name: claims[name] for name in ("exp",) if name in claims}, self._now)

    def _user_of(self) -> str:
        return user_of(self._token.claims, self._token.kind)

    def _accepted(self) -> Accepted:
        try:
            return self._verifier.accepted(self._token.kind)
        except InvalidToken:
            return NOBODY

    def _check_scope(self) -> None:
        """An access token that may either read or write is good for something."""
        scopes = scopes_of(self._token.claims, self._token.kind) or frozenset()
        with suppress(InsufficientScope):
            check_scope(scopes, "POST")
            return
        check_scope(scopes, "GET")

    def _path_text(self) -> advice.Text:
        try:
            return advice.path(self._user_of(), str(self._user))
        except InvalidToken:
            return advice.Text()
