"""The Authorization header to claims, and the check that they are the owner's."""

from functools import cache
from typing import Any

from django.core.signals import setting_changed
from django.http import HttpRequest
from ninja.security.http import HttpAuthBase

from authjwt import conf
from authjwt.exceptions import Forbidden, MissingToken
from authjwt.keys import KeyRing
from authjwt.tokens import Claims, Verifier


@cache
def verifier() -> Verifier:
    """The verifier of this process, as the settings have it."""
    url = conf.key_set_url()
    return Verifier(
        secret=conf.secret(),
        keys=KeyRing(url) if url else None,
        issuers=conf.issuers(),
        audiences=conf.audiences(),
    )


def _forget(*, setting: str, **_: Any) -> None:
    if setting.startswith("BETTER_AUTH_"):
        verifier.cache_clear()


setting_changed.connect(_forget)


class BearerToken(HttpAuthBase):
    """Lets in whoever the `user_id` of the path belongs to (RFC 6750, section 2.1).

    It runs before path, query and body are looked at; a stranger learns nothing from them.
    """

    openapi_scheme = "bearer"
    openapi_bearerFormat = "JWT"  # noqa: N815  the name of OpenAPI

    def __call__(self, request: HttpRequest) -> Claims:
        claims = verifier().verify(token_of(request))
        request.auth = claims  # type: ignore[attr-defined]
        match = request.resolver_match
        check_owner(claims.user_id, match.kwargs.get("user_id") if match else None)
        return claims


def check_owner(user_id: str, of_path: str | None) -> None:
    if of_path != user_id:
        raise Forbidden("This token belongs to another user.")


def token_of(request: HttpRequest) -> str:
    """What stands after `Bearer`. Two such headers arrive as one with a comma: no token at all."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise MissingToken("Send a token: Authorization: Bearer <token>.")
    return token.strip(" ")
