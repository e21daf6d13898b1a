"""The Authorization header to claims, and the check that the path belongs to their user."""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from functools import cache
from typing import Any, ClassVar

from django.core.signals import setting_changed
from django.http import HttpRequest

from authjwt import conf
from authjwt.claims import Accepted, Claims
from authjwt.exceptions import (
    ANOTHER_USER,
    Forbidden,
    InsufficientScope,
    InvalidToken,
    MissingToken,
    Reason,
)
from authjwt.keys import KeyRing
from authjwt.tokens import Verifier

log = logging.getLogger(__name__)

LOG_INTERVAL = 60.0
MISSING = "Send a token: Authorization: Bearer <token>. A cookie is not enough."


@cache
def verifier() -> Verifier:
    """The verifier of this process, built from the settings."""
    return Verifier(
        secret=conf.secret(),
        keys=key_ring(),
        jwts=Accepted(conf.issuers(), conf.audiences()),
        access_tokens=access_tokens(),
    )


def key_ring() -> KeyRing | None:
    """The keys of the issuer; None if only tokens signed with the shared secret are accepted."""
    if document := conf.key_set():
        return KeyRing("BETTER_AUTH_JWKS", fetch=lambda _: document)
    urls = conf.key_set_urls()
    return KeyRing(*urls) if urls else None


def access_tokens() -> Accepted | None:
    if not conf.resource():
        return None
    return Accepted(conf.access_token_issuers(), conf.resource_audiences())


def _forget(*, setting: str, **_: Any) -> None:
    if setting.startswith("BETTER_AUTH_"):
        verifier.cache_clear()


setting_changed.connect(_forget)


class Refusals:
    """Counts refused tokens by reason, and logs the counts at most once a minute.

    A flood of bad tokens must not flood the log. The first refusal is logged immediately.

    on_refusal: called with the reason of each refused token.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.counts: Counter[Reason] = Counter()
        self.on_refusal: list[Callable[[Reason], None]] = []
        self._next_log = -math.inf

    def count(self, reason: Reason) -> None:
        for call in self.on_refusal:
            call(reason)
        with self._lock:
            self.counts[reason] += 1
            if self._clock() < self._next_log:
                return
            counts, self.counts = self.counts, Counter()
            self._next_log = self._clock() + LOG_INTERVAL
        log.warning(
            "tokens refused: %s", ", ".join(f"{name} {n}" for name, n in counts.most_common())
        )


refusals = Refusals()


class BearerToken:
    """Accepts requests with a valid token (RFC 6750, section 2.1); raises TokenError otherwise.

    It is an authenticator of django-ninja, which calls it before path, query and body are
    validated, so that a stranger learns nothing from their errors.

    owner: the parameter of the path that must name the user of the token, if there is one.
    """

    openapi_security_schema: ClassVar = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}

    def __init__(self, *, owner: str = "") -> None:
        self.owner = owner

    def __call__(self, request: HttpRequest) -> Claims:
        try:
            claims = verifier().verify(token_of(request))
        except InvalidToken as refused:
            refusals.count(refused.reason)
            raise
        request.auth = claims  # type: ignore[attr-defined]
        if self.owner:
            match = request.resolver_match
            check_owner(claims.user_id, match.kwargs.get(self.owner) if match else None)
        if claims.scopes is not None:
            check_scope(claims.scopes, request.method or "")
        return claims


def check_owner(user_id: str, path_user_id: str | None) -> None:
    if path_user_id != user_id:
        raise Forbidden(ANOTHER_USER)


def check_scope(scopes: Collection[str], method: str) -> None:
    """Whether an access token with these scopes may be used for this method."""
    needed = conf.scope_for(method)
    if needed not in scopes:
        raise InsufficientScope(needed)


def token_of(request: HttpRequest) -> str:
    """What follows `Bearer`. Two headers arrive joined by a comma, which is no valid token."""
    header: str = request.META.get("HTTP_AUTHORIZATION", "")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise MissingToken(MISSING)
    return token.strip(" ")
