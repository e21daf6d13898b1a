"""Why a token is refused: checks the verifier's rules one by one, in its order.

The rules are the functions that the verifier calls. What an operator reads about each of them is in
`authjwt.advice`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from authjwt import advice
from authjwt.bearer import check_owner
from authjwt.exceptions import Forbidden, InvalidToken, KeysUnavailable
from authjwt.jwks import parse
from authjwt.keys import KeyRing
from authjwt.report import Status
from authjwt.tokens import (
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
        self.failure: InvalidToken | KeysUnavailable | Forbidden | None = None
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
                except (InvalidToken, KeysUnavailable, Forbidden) as failure:
                    self.failure = failure
                    status = "wrong"
                else:
                    status = "ok"
            yield Line(rule.name, status, rule.text())

    def _rules(self) -> Iterator[Rule]:
        token, verifier, now = self._token, self._verifier, self._now
        segments, claims, required = token.segments, token.claims, token.from_key_set
        issuers, audiences = verifier.issuers, verifier.audiences
        yield Rule("form", lambda: split(token.text), lambda: advice.form(token))
        yield Rule(
            "header",
            lambda: check_header(read_object(decode(segments[0], "header"), "header")),
            lambda: advice.header(token),
        )
        yield Rule(
            "algorithm",
            lambda: algorithm_of(token.header),
            lambda: advice.algorithm(token, verifier),
        )
        yield Rule("key id", lambda: key_id_of(token.header), lambda: advice.key_id(token))
        yield Rule("key", self._find_key, lambda: advice.key(token, verifier, now, self.failure))
        yield Rule("signature", self._check_signature, lambda: advice.signature(token))
        yield Rule(
            "payload",
            lambda: read_object(decode(segments[1], "payload"), "payload"),
            lambda: advice.payload(token),
        )
        yield Rule("exp", self._check_expiry, lambda: advice.expiry(token, now, self.failure))
        yield Rule(
            "nbf, iat", lambda: check_times(claims, now), lambda: advice.beginning(token, now)
        )
        yield Rule(
            "issuer",
            lambda: check_issuer(claims, issuers, required=required),
            lambda: advice.issuer(token, issuers),
        )
        yield Rule(
            "audience",
            lambda: check_audience(claims, audiences, required=required),
            lambda: advice.audience(token, audiences),
        )
        yield Rule("user", self._user_of, lambda: advice.user(token))
        if self._user is not None:
            yield Rule("path", lambda: check_owner(self._user_of(), self._user), self._path_text)

    def _find_key(self) -> None:
        """Fetches the key set itself, so that the cause of a failure is known."""
        header = read_header(self._token.segments[0])
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

    def _check_signature(self) -> None:
        segments = self._token.segments
        check_signature(segments, decode(segments[2], "signature"), *self._signer)

    def _check_expiry(self) -> None:
        claims = self._token.claims
        check_times({name: claims[name] for name in ("exp",) if name in claims}, self._now)

    def _user_of(self) -> str:
        return user_of(self._token.claims, from_key_set=self._token.from_key_set)

    def _path_text(self) -> advice.Text:
        try:
            return advice.path(self._user_of(), str(self._user))
        except InvalidToken:
            return advice.Text()
