"""System checks: every fault of the settings that would make tokens fail, told at the start.

None of them prints a secret. They are deployment checks, so that only the commands that need these
settings run them.
"""

import re
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004  its name

from authjwt import conf
from authjwt.jwks import parse

TOKENS = "tokens"
"""The tag of these checks."""

URLS = ("BETTER_AUTH_URL", "BETTER_AUTH_JWKS_URL", "BETTER_AUTH_ISSUER")

FILLING = re.compile(
    "placeholder|development|production|environment|generated?|characters?|minimum|default"
    "|replace|example|password|secrets?|secure|better|strong|string|random|before|please"
    "|change|insert|super|token|local|least|build|auth|docker|demo|test|with|this|here|your|long|time"
    "|very|only|some|chars?|bytes?|keys?|jwt|dev|for|min|the|use|and|my|me|in|is|at|to|an|of|or|a"
)
"""The words that example secrets are made of: `better-auth-secret-12345678901234567890`, the
default of Better Auth, `your-secret-key-here-min-32-chars` and their like in templates."""

LEAST_DIFFERENT_CHARACTERS = 8


@register(TOKENS, deploy=True)
def check_settings(**_: Any) -> list[CheckMessage]:
    # What has no form contradicts nothing yet.
    return [
        *_key_source(),
        *_secret(),
        *_key_set(),
        *(_malformed() or [*_contradictions(), *_insecure()]),
    ]


def _key_source() -> list[CheckMessage]:
    if settings.BETTER_AUTH_URL or settings.BETTER_AUTH_JWKS_URL or conf.key_set() or conf.secret():
        return []
    return [
        Error(
            "No token could be verified.",
            hint="Set BETTER_AUTH_URL (or BETTER_AUTH_JWKS_URL), or BETTER_AUTH_SECRET.",
            id="authjwt.E001",
        )
    ]


def _secret() -> list[CheckMessage]:
    secret = conf.secret()
    if not secret:
        return []
    found: list[CheckMessage] = []
    if len(secret) < conf.LEAST_SECRET_BYTES:
        found.append(
            Error(
                f"BETTER_AUTH_SECRET has {len(secret)} bytes, and {conf.LEAST_SECRET_BYTES} are "
                "the least for HS256.",
                hint="openssl rand -base64 32 makes a good one.",
                id="authjwt.E002",
            )
        )
    if b"-----BEGIN" in secret or secret.lstrip().startswith(b"{"):
        found.append(
            Error(
                "BETTER_AUTH_SECRET looks like a PEM or a JWK, which are no shared secrets.",
                hint="For public keys set BETTER_AUTH_JWKS_URL.",
                id="authjwt.E003",
            )
        )
    if not settings.DEBUG and _is_example(secret.decode()):
        found.append(
            Error(
                "BETTER_AUTH_SECRET is an example, or as easily guessed as one.",
                hint="openssl rand -base64 32 makes a good one.",
                id="authjwt.E006",
            )
        )
    return found


def _key_set() -> list[CheckMessage]:
    if document := conf.key_set():
        try:
            parse(document)
        except ValueError as error:
            return [
                Error(
                    f"BETTER_AUTH_JWKS: {error}.",
                    hint='It is JSON, {"keys": [...]}, as /api/auth/jwks of Better Auth answers.',
                    id="authjwt.E010",
                )
            ]
    return []


def _is_example(secret: str) -> bool:
    """Nothing but filling words, digits and punctuation, or the same few characters again.

    What a random generator makes is never that: some letters of it are no such words.
    """
    rest = FILLING.sub("", secret.lower())
    return len(set(secret)) < LEAST_DIFFERENT_CHARACTERS or (
        rest != secret.lower() and not any(character.isalpha() for character in rest)
    )


def _given() -> dict[str, str]:
    return {name: value for name in URLS if (value := getattr(settings, name))}


def _malformed() -> list[CheckMessage]:
    found: list[CheckMessage] = [
        Error(
            f"{name} is not an http:// or https:// URL.",
            hint="For instance https://app.example.com",
            id="authjwt.E004",
        )
        for name, value in _given().items()
        if not _is_url(value)
    ]
    audience: Any = settings.BETTER_AUTH_AUDIENCE
    if not isinstance(audience, list) or not all(map(_is_name, audience)):
        found.append(
            Error(
                "BETTER_AUTH_AUDIENCE must be a list of strings, none of them blank or padded.",
                hint='For instance ["https://app.example.com"]',
                id="authjwt.E009",
            )
        )
    return found


def _contradictions() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if (conf.key_set_url() or conf.key_set()) and not (conf.issuers() and conf.audiences()):
        found.append(
            Error(
                "The key set is known, but not whom its tokens must come from and be made for.",
                hint="Set BETTER_AUTH_URL, or BETTER_AUTH_ISSUER and BETTER_AUTH_AUDIENCE.",
                id="authjwt.E005",
            )
        )
    if urlsplit(settings.BETTER_AUTH_URL).path.rstrip("/").endswith("/jwks"):
        found.append(
            Error(
                "BETTER_AUTH_URL is the address of a key set, and not of the server.",
                hint="Set BETTER_AUTH_URL to what stands before /api/auth/jwks.",
                id="authjwt.E007",
            )
        )
    if conf.key_set() and settings.BETTER_AUTH_JWKS_URL:
        found.append(
            Error(
                "BETTER_AUTH_JWKS and BETTER_AUTH_JWKS_URL both say which keys count.",
                hint="Keep one of them.",
                id="authjwt.E011",
            )
        )
    key_set = settings.BETTER_AUTH_JWKS_URL
    if key_set and urlsplit(key_set).path in ("", "/"):
        found.append(
            Error(
                "BETTER_AUTH_JWKS_URL has no path: that is a home page, and no key set.",
                hint="Better Auth serves its key set at /api/auth/jwks.",
                id="authjwt.E008",
            )
        )
    return found


def _insecure() -> list[CheckMessage]:
    if settings.DEBUG:
        return []
    return [
        Warning(
            f"{name} is not https: whoever is on the way can bring their own keys.",
            hint="Use https, unless the way to this host is a network of your own.",
            id="authjwt.W001",
        )
        for name, value in _given().items()
        if urlsplit(value).scheme == "http" and not _is_loopback(str(urlsplit(value).hostname))
    ]


def _is_url(value: str) -> bool:
    """An address with a host and, where there is one, a port; nothing around it or in between."""
    return bool(conf.origin(value)) and not re.search(r"[\s\x00-\x1f\x7f]", value)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value == value.strip() != ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
