"""System checks: they report every error in the settings that would make tokens fail.

No message contains a secret. They are deployment checks, so that only the commands that need these
settings run them.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004  its name

from authjwt import conf
from authjwt.jwks import parse

TOKENS = "tokens"
"""The tag of these checks."""

URLS = ("BETTER_AUTH_URL", "BETTER_AUTH_JWKS_URL")
SCOPES = ("BETTER_AUTH_READ_SCOPE", "BETTER_AUTH_WRITE_SCOPE")

URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
"""RFC 3986, section 3, as far as matters here."""
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
SCOPE = re.compile(r"[!#-\[\]-~]+")
"""RFC 6749, section 3.3."""

EXAMPLE_WORDS = re.compile(
    "placeholder|development|production|environment|generated?|characters?|minimum|default"
    "|replace|example|password|secrets?|secure|better|strong|string|random|before|please"
    "|change|insert|super|token|local|least|build|auth|docker|demo|test|with|this|here|your|long|time"
    "|very|only|some|chars?|bytes?|keys?|jwt|dev|for|min|the|use|and|my|me|in|is|at|to|an|of|or|a"
)
"""The words in example secrets: `better-auth-secret-12345678901234567890`, which is the default of
Better Auth, `your-secret-key-here-min-32-chars` and similar ones in templates."""

MIN_DIFFERENT_CHARACTERS = 8
GENERATE = "Generate one: openssl rand -base64 32"


@register(TOKENS, deploy=True)
def check_settings(**_: Any) -> list[CheckMessage]:
    # Malformed settings come first: the other checks need well-formed ones.
    return [
        *_key_source(),
        *_secret(),
        *_key_set(),
        *(_malformed() or [*_contradictions(), *_resource(), *_insecure()]),
    ]


def _key_source() -> list[CheckMessage]:
    sources = ("BETTER_AUTH_URL", "BETTER_AUTH_JWKS_URL", "BETTER_AUTH_JWKS", "BETTER_AUTH_SECRET")
    if any(map(conf.setting, sources)):
        return []
    return [
        Error(
            "No token can be verified: neither keys nor a secret are configured.",
            hint="Set BETTER_AUTH_URL (or BETTER_AUTH_JWKS_URL), or BETTER_AUTH_SECRET.",
            id="authjwt.E001",
        )
    ]


def _secret() -> list[CheckMessage]:
    secret = conf.secret()
    if not secret:
        return []
    found: list[CheckMessage] = []
    if len(secret) < conf.MIN_SECRET_BYTES:
        found.append(
            Error(
                f"BETTER_AUTH_SECRET has {len(secret)} bytes, but HS256 requires at least "
                f"{conf.MIN_SECRET_BYTES}.",
                hint=GENERATE,
                id="authjwt.E002",
            )
        )
    if b"-----BEGIN" in secret or secret.lstrip().startswith(b"{"):
        found.append(
            Error(
                "BETTER_AUTH_SECRET looks like a PEM key or a JWK, not like a shared secret.",
                hint="For public keys, set BETTER_AUTH_JWKS_URL.",
                id="authjwt.E003",
            )
        )
    if not settings.DEBUG and _is_example(secret.decode()):
        found.append(
            Error(
                "BETTER_AUTH_SECRET is an example, or as easy to guess as one.",
                hint=GENERATE,
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
                    hint='Set it to the answer of /api/auth/jwks of Better Auth: {"keys": [...]}',
                    id="authjwt.E010",
                )
            ]
    return []


def _is_example(secret: str) -> bool:
    """Whether it is only example words, digits and punctuation, or repeats a few characters.

    A randomly generated secret never is: some of its letters form none of these words.
    """
    rest = EXAMPLE_WORDS.sub("", secret.lower())
    return len(set(secret)) < MIN_DIFFERENT_CHARACTERS or (
        rest != secret.lower() and not any(character.isalpha() for character in rest)
    )


def _configured_urls() -> dict[str, str]:
    return {name: value for name in URLS if (value := conf.setting(name))}


def _malformed() -> list[CheckMessage]:
    found: list[CheckMessage] = [
        Error(
            f"{name} is not an http:// or https:// URL.",
            hint="For example: https://app.example.com",
            id="authjwt.E004",
        )
        for name, value in _configured_urls().items()
        if not _is_url(value)
    ]
    if (issuer := conf.setting("BETTER_AUTH_ISSUER")) and not _is_string_or_uri(issuer):
        found.append(
            Error(
                "BETTER_AUTH_ISSUER is neither a name nor a URI.",
                hint="Set it to what the tokens have in iss, for example https://app.example.com",
                id="authjwt.E004",
            )
        )
    audience: Any = conf.setting("BETTER_AUTH_AUDIENCE")
    if not isinstance(audience, list) or not all(map(_is_string_or_uri, audience)):
        found.append(
            Error(
                "BETTER_AUTH_AUDIENCE must be a list of names or URIs, none of them blank or with "
                "spaces around it.",
                hint='For example: ["https://app.example.com"]',
                id="authjwt.E009",
            )
        )
    return found


def _resource() -> Iterator[CheckMessage]:
    """Checks the settings of OAuth access tokens."""
    resource = conf.resource()
    if not resource:
        return
    if not _is_url(resource) or not resource.isascii() or re.search(r"[?#@\\\"]", resource):
        yield Error(
            "BETTER_AUTH_RESOURCE is not an http:// or https:// URL without query, fragment and "
            "user.",
            hint="Set it to the public URL of this API, as clients name it when they request a "
            "token. For example: https://tasks.example.com/api",
            id="authjwt.E012",
        )
    if not conf.key_set_urls() and not conf.key_set():
        yield Error(
            "BETTER_AUTH_RESOURCE needs the key set of Better Auth, which signs access tokens.",
            hint="Set BETTER_AUTH_URL.",
            id="authjwt.E013",
        )
    elif not conf.origin(conf.authorization_server()):
        yield Error(
            "BETTER_AUTH_RESOURCE needs the URL of the server that issues its access tokens.",
            hint="Set BETTER_AUTH_URL, or BETTER_AUTH_ISSUER if that is a URL.",
            id="authjwt.E014",
        )
    for name in SCOPES:
        if not SCOPE.fullmatch(str(conf.setting(name))):
            yield Error(
                f"{name} is not a scope: printable ASCII without blanks, quotes and backslashes.",
                hint="For example: tasks:read",
                id="authjwt.E015",
            )


def _contradictions() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if (conf.key_set_urls() or conf.key_set()) and not (conf.issuers() and conf.audiences()):
        found.append(
            Error(
                "A key set is configured without the issuer or the audience of its tokens.",
                hint="Set BETTER_AUTH_URL, or BETTER_AUTH_ISSUER and BETTER_AUTH_AUDIENCE.",
                id="authjwt.E005",
            )
        )
    if urlsplit(conf.setting("BETTER_AUTH_URL")).path.rstrip("/").endswith(conf.KEY_SET_PATHS):
        found.append(
            Error(
                "BETTER_AUTH_URL is the URL of a key set, not of the Better Auth server.",
                hint="Set BETTER_AUTH_URL to the part before /api/auth/jwks.",
                id="authjwt.E007",
            )
        )
    key_set = conf.setting("BETTER_AUTH_JWKS_URL")
    if conf.key_set() and key_set:
        found.append(
            Error(
                "BETTER_AUTH_JWKS and BETTER_AUTH_JWKS_URL are both set.",
                hint="Keep only one of them.",
                id="authjwt.E011",
            )
        )
    if key_set and urlsplit(key_set).path in ("", "/"):
        found.append(
            Error(
                "BETTER_AUTH_JWKS_URL has no path, so it is a home page and not a key set.",
                hint="Better Auth serves its key set at /api/auth/jwks.",
                id="authjwt.E008",
            )
        )
    return found


def _insecure() -> list[CheckMessage]:
    if settings.DEBUG:
        return []
    urls = _configured_urls()
    if conf.origin(issuer := conf.setting("BETTER_AUTH_ISSUER")):
        urls["BETTER_AUTH_ISSUER"] = issuer
    return [
        Warning(
            f"{name} does not use https: anybody on the network path can replace the keys.",
            hint="Use https, unless the network up to this host is private.",
            id="authjwt.W001",
        )
        for name, value in urls.items()
        if urlsplit(value).scheme == "http" and not _is_loopback(str(urlsplit(value).hostname))
    ]


def _is_url(value: str) -> bool:
    """A URL with a host and, if there is a port, a valid one; without any white space."""
    return bool(conf.origin(value)) and not re.search(r"[\s\x00-\x1f\x7f]", value)


def _is_string_or_uri(value: Any) -> bool:
    """Any text is a name, but one with a colon must be a URI (RFC 7519, section 2)."""
    if not isinstance(value, str) or value != value.strip() or CONTROL_CHARACTERS.search(value):
        return False
    if value.lower().startswith(("http:", "https:")):
        return _is_url(value)
    return bool(URI.fullmatch(value)) if ":" in value else value != ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
