"""The settings of this package, read at each access so that `override_settings` works.

BETTER_AUTH_URL       where Better Auth runs; implies JWKS_URL, ISSUER and AUDIENCE
BETTER_AUTH_JWKS_URL  the URL of its key set
BETTER_AUTH_JWKS      the key set itself as JSON, if it cannot be fetched
BETTER_AUTH_ISSUER    what `iss` must be
BETTER_AUTH_AUDIENCE  a list; `aud` must contain one of its items
BETTER_AUTH_SECRET    verifies HS256 tokens

BETTER_AUTH_RESOURCE     the URI of this API; with it, OAuth access tokens are accepted
BETTER_AUTH_READ_SCOPE   the scope that an access token needs to read
BETTER_AUTH_WRITE_SCOPE  the scope that it needs for everything else

Each may be left out.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

DEFAULTS: dict[str, Any] = {
    "BETTER_AUTH_AUDIENCE": [],
    "BETTER_AUTH_READ_SCOPE": "read",
    "BETTER_AUTH_WRITE_SCOPE": "write",
}
"""Of the settings that are not empty, or no text, by default."""

LEEWAY = 30
"""Seconds by which the clocks of issuer and verifier may differ."""

MIN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: an HS256 key is at least as long as the hash."""

API_PATH = "/api/auth"
"""Where Better Auth serves if its base URL has no path.

With a path, it adds nothing (`withPath` in packages/better-auth/src/utils/url.ts).
"""

WITHOUT_PATH = re.compile("https?://[^/]+", re.IGNORECASE)

KEY_SET_PATHS = ("/jwks", "/.well-known/jwks.json")
"""Where Better Auth has its key set by default, and where Neon Auth has it."""

READ_METHODS = ("GET", "HEAD")


def setting(name: str) -> Any:
    return getattr(settings, name, DEFAULTS.get(name, ""))


def secret() -> bytes:
    return str(setting("BETTER_AUTH_SECRET")).encode()


def key_set() -> bytes:
    """The configured key set as JSON; empty if it is fetched."""
    return str(setting("BETTER_AUTH_JWKS")).encode()


def key_set_urls() -> tuple[str, ...]:
    """The URLs where the key set may be, the likeliest first; empty if none is configured."""
    if configured := setting("BETTER_AUTH_JWKS_URL"):
        return (configured,)
    base = base_url()
    return tuple(f"{base}{path}" for path in KEY_SET_PATHS) if base else ()


def base_url() -> str:
    """Where the endpoints of Better Auth are; empty if that is not configured."""
    return _base(setting("BETTER_AUTH_URL"))


def issuers() -> frozenset[str]:
    """Every accepted spelling of `iss`; empty if no issuer is configured."""
    return _spellings(_issuer())


def audiences() -> frozenset[str]:
    configured = setting("BETTER_AUTH_AUDIENCE") or [setting("BETTER_AUTH_URL")]
    return frozenset().union(*map(_spellings, configured))


def resource() -> str:
    """The URI of this API; empty if OAuth access tokens are not accepted."""
    return str(setting("BETTER_AUTH_RESOURCE"))


def resource_audiences() -> frozenset[str]:
    """The spellings of the resource in `aud`. Its origin is not one: that is another resource."""
    return _with_and_without_slash(resource().rstrip("/")) if resource() else frozenset()


def access_token_issuers() -> frozenset[str]:
    """Better Auth writes its base URL into access tokens, and its origin into session JWTs."""
    return issuers() | _spellings(_base(_issuer()))


def authorization_server() -> str:
    """The issuer whose OAuth metadata (RFC 8414) clients read; empty if it has no URL."""
    configured = setting("BETTER_AUTH_ISSUER")
    return configured if origin(configured) else base_url()


def scope_for(method: str) -> str:
    """The scope that an access token needs for a request with this method."""
    return str(setting(f"BETTER_AUTH_{'READ' if method in READ_METHODS else 'WRITE'}_SCOPE"))


def scopes() -> list[str]:
    return [scope_for("GET"), scope_for("POST")]


def _issuer() -> str:
    return str(setting("BETTER_AUTH_ISSUER") or setting("BETTER_AUTH_URL"))


def _base(url: str) -> str:
    """The base URL of the Better Auth that is at `url`; a name as it is."""
    written = url.rstrip("/")
    return f"{written}{API_PATH}" if WITHOUT_PATH.fullmatch(written) else written


def _spellings(configured: str) -> frozenset[str]:
    """A URL and its origin, each with and without a trailing slash; other texts as they are.

    Better Auth signs the origin of its base URL (`getOrigin`, the host in lower case);
    releases before 1.4 signed the base URL as it was written.
    """
    written = configured.rstrip("/")
    if not written:
        return frozenset()
    if not (host := origin(written)):
        return frozenset({configured})
    return _with_and_without_slash(written, host)


def _with_and_without_slash(*urls: str) -> frozenset[str]:
    return frozenset({*urls, *(f"{url}/" for url in urls)})


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
