"""System checks: every fault of the settings that would make tokens fail, told at the start."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from authjwt import conf

URLS = ("BETTER_AUTH_URL", "BETTER_AUTH_JWKS_URL", "BETTER_AUTH_ISSUER")


@register(Tags.security)
def check_settings(**_: Any) -> list[CheckMessage]:
    # Nothing can be derived from a URL that is none.
    return [*(_urls() or [*_key_source(), *_whose_tokens()]), *_secret()]


def _key_source() -> list[CheckMessage]:
    if conf.key_set_url() or conf.secret():
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
    if len(secret) < conf.LEAST_SECRET_BYTES:
        return [
            Error(
                f"BETTER_AUTH_SECRET has {len(secret)} bytes, and {conf.LEAST_SECRET_BYTES} are "
                "the least for HS256.",
                hint="openssl rand -base64 32 makes a good one.",
                id="authjwt.E002",
            )
        ]
    if b"-----BEGIN" in secret or secret.lstrip().startswith(b"{"):
        return [
            Error(
                "BETTER_AUTH_SECRET looks like a PEM or a JWK, which are no shared secrets.",
                hint="For public keys set BETTER_AUTH_JWKS_URL.",
                id="authjwt.E003",
            )
        ]
    return []


def _urls() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for name in URLS:
        value = getattr(settings, name)
        if value and not _is_url(value):
            found.append(
                Error(
                    f"{name} is not an http:// or https:// URL.",
                    hint="For instance https://app.example.com",
                    id="authjwt.E004",
                )
            )
    return found


def _whose_tokens() -> list[CheckMessage]:
    if not conf.key_set_url() or (conf.issuers() and conf.audiences()):
        return []
    return [
        Error(
            "The key set is known, but not whom its tokens must come from and be made for.",
            hint="Set BETTER_AUTH_URL, or BETTER_AUTH_ISSUER and BETTER_AUTH_AUDIENCE.",
            id="authjwt.E005",
        )
    ]


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
