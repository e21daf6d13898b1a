"""The settings of this package, read at each access so that `override_settings` works.

BETTER_AUTH_URL       where Better Auth runs; implies JWKS_URL, ISSUER and AUDIENCE
BETTER_AUTH_JWKS_URL  the URL of its key set
BETTER_AUTH_JWKS      the key set itself as JSON, if it cannot be fetched
BETTER_AUTH_ISSUER    what `iss` must be
BETTER_AUTH_AUDIENCE  a list; `aud` must contain one of its items
BETTER_AUTH_SECRET    verifies HS256 tokens
"""

from urllib.parse import urlsplit

from django.conf import settings

LEEWAY = 30
"""Seconds by which the clocks of issuer and verifier may differ."""

MIN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: an HS256 key is at least as long as the hash."""


def secret() -> bytes:
    return str(settings.BETTER_AUTH_SECRET).encode()


def key_set() -> bytes:
    """The configured key set as JSON; empty if it is fetched."""
    return str(settings.BETTER_AUTH_JWKS).encode()


def key_set_url() -> str:
    """The URL of the key set; empty if none is configured.

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
    """Every accepted spelling of `iss`; empty if no issuer is configured."""
    return _spellings(settings.BETTER_AUTH_ISSUER or settings.BETTER_AUTH_URL)


def audiences() -> frozenset[str]:
    configured = settings.BETTER_AUTH_AUDIENCE or [settings.BETTER_AUTH_URL]
    return frozenset().union(*map(_spellings, configured))


def _spellings(configured: str) -> frozenset[str]:
    """The configured URL and its origin, each with and without a trailing slash.

    Better Auth signs the origin of its base URL (`getOrigin`, the host in lower case);
    releases before 1.4 signed the base URL as it was written.
    """
    written = configured.rstrip("/")
    if not written:
        return frozenset()
    spellings = {written, origin(written) or written}
    return frozenset(spellings | {f"{spelling}/" for spelling in spellings})


def origin(url: str) -> str:
    """`scheme://host[:port]` as browsers write it, without the default port; empty if invalid."""
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
