"""The settings of this package, read at access so that `override_settings` works.

BETTER_AUTH_URL       where Better Auth runs: implies the three below
BETTER_AUTH_JWKS_URL  where its key set is
BETTER_AUTH_JWKS      its key set itself, where it cannot be fetched: JSON, never fetched again
BETTER_AUTH_ISSUER    what `iss` must be
BETTER_AUTH_AUDIENCE  a list; `aud` must hold one of them
BETTER_AUTH_SECRET    verifies HS256 tokens
"""

from urllib.parse import urlsplit

from django.conf import settings

LEEWAY = 30
"""Seconds by which the clocks of issuer and verifier may differ."""

LEAST_SECRET_BYTES = 32
"""RFC 7518, section 3.2: a key of HS256 has at least the size of the hash."""


def secret() -> bytes:
    return str(settings.BETTER_AUTH_SECRET).encode()


def key_set() -> bytes:
    """The key set that is configured instead of fetched, or nothing."""
    return str(settings.BETTER_AUTH_JWKS).encode()


def key_set_url() -> str:
    """The URL of the key set, or an empty string.

    Better Auth adds `/api/auth` to a base URL without a path, and nothing to one with a path
    (`withPath` in packages/better-auth/src/utils/url.ts).
    """
    if settings.BETTER_AUTH_JWKS_URL:
        return str(settings.BETTER_AUTH_JWKS_URL)
    base = settings.BETTER_AUTH_URL.rstrip("/")
    if not base:
        return ""
    return f"{base}/jwks" if urlsplit(base).path else f"{base}/api/auth/jwks"


def issuers() -> frozenset[str]:
    """Every spelling of the issuer that a token may carry; empty where none is configured."""
    return _spellings(settings.BETTER_AUTH_ISSUER or settings.BETTER_AUTH_URL)


def audiences() -> frozenset[str]:
    configured = settings.BETTER_AUTH_AUDIENCE or [settings.BETTER_AUTH_URL]
    return frozenset().union(*map(_spellings, configured))


def _spellings(configured: str) -> frozenset[str]:
    """As configured and as its origin, each with and without a slash at the end.

    Better Auth signs the origin of its base URL (`getOrigin`, the host in lower case);
    releases before 1.4 signed the base URL as it was written.
    """
    written = configured.rstrip("/")
    if not written:
        return frozenset()
    spellings = {written, origin(written) or written}
    return frozenset(spellings | {f"{spelling}/" for spelling in spellings})


def origin(url: str) -> str:
    """`scheme://host[:port]` as a browser writes it (the default port left out), or nothing."""
    try:
        parts = urlsplit(url)
        number = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    port = f":{number}" if number and number != default else ""
    return f"{parts.scheme}://{host}{port}"
