"""The checks of an installation, with advice on how to fix each problem.

A check that raises an exception is reported as a problem, so that it does not hide the others.
"""

import json
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from time import perf_counter
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.db import connections

from authjwt import conf
from authjwt.advice import key_set_advice
from authjwt.exceptions import KeysUnavailable
from authjwt.fetch import fetch, fetch_with_headers
from authjwt.jwks import Key, parse
from authjwt.keys import KeyRing
from authjwt.resource import metadata_url
from authjwt.wording import count, names, plain, shown
from config.operator.diagnosis import database, replica, shards, users
from config.operator.diagnosis.check import Check, milliseconds

MAX_CHARACTERS = 300
HIDDEN = "[hidden]"


def diagnose() -> Iterator[Check]:
    secrets = _secrets()
    for name, run in CHECKS.items():
        try:
            for check in run():
                yield _tidy(check, secrets)
        except Exception as error:  # noqa: BLE001  a broken part must not hide the others
            detail = f"cannot be checked: {type(error).__name__}: {error}"
            yield _tidy(Check(name, "wrong", detail), secrets)


def _environment() -> Iterator[Check]:
    errors = _environment_errors()
    for error in errors:
        yield Check("environment", "wrong", error)
    if not errors:
        yield Check("environment", "ok", "every variable is valid")


def _environment_errors() -> list[str]:
    return [*settings.ENVIRONMENT_ERRORS, *settings.SERVER_ERRORS]


def _debug() -> Iterator[Check]:
    yield Check("debug", "ok", "on: a development machine" if settings.DEBUG else "off")


def _system_checks() -> Iterator[Check]:
    # Django's security checks are for a deployment, and would repeat that a variable is missing.
    complete = not settings.DEBUG and not _environment_errors()
    found = [
        message
        for message in checks.run_checks(include_deployment_checks=True)
        if message.level >= checks.WARNING
        # The errors of the environment have their own lines.
        and message.id != "config.E001"
        and not message.is_silenced()
        and (complete or not str(message.id).startswith("security."))
    ]
    for message in found:
        yield Check("system checks", "wrong", f"{message.id}: {message.msg}", message.hint or "")
    if not found:
        yield Check("system checks", "ok", "nothing found")


def _hosts() -> Iterator[Check]:
    hosts = settings.ALLOWED_HOSTS
    if hosts:
        yield Check("hosts", "ok", ", ".join(hosts))
    else:
        advice = "Set ALLOWED_HOSTS to the names under which clients reach this API."
        yield Check("hosts", "wrong", "none: every request is refused", advice)


def _cors() -> Iterator[Check]:
    origins = [*settings.CORS_ALLOWED_ORIGINS, *settings.CORS_ALLOWED_ORIGIN_REGEXES]
    yield Check("CORS", "ok", ", ".join(origins) or "none: browsers on other origins are blocked")


def _shared_secret() -> Iterator[Check]:
    yield Check("shared secret", "ok", "set" if conf.secret() else "not set")


def _issuer() -> Iterator[Check]:
    urls = conf.key_set_urls()
    if document := conf.key_set():
        yield _configured_keys(document)
        return
    if not urls:
        yield Check("issuer", "ok", "none: only tokens signed with the shared secret are accepted")
        return
    fetched = Fetched()
    try:
        found = KeyRing(*urls, fetch=fetched.fetch).find()
    except (KeysUnavailable, HTTPException) as error:
        yield _no_keys(plain(urls[0]), error)
        yield Check("issuer clock", "not reached", "")
        return
    where = f"at {plain(found.url)} in {milliseconds(fetched.seconds)}"
    yield Check("issuer", "ok", f"{_kind(found.url)}: {_usable(found.keys.values())} {where}")
    yield _clock(
        fetched.headers.get("Date", ""),
        fetched.headers.get("Age", ""),
        fetched.began + fetched.seconds / 2,
    )


class Fetched:
    """The last fetch: its headers, when it began, in seconds since 1970, and how long it took."""

    def fetch(self, url: str) -> bytes:
        self.began, start = time.time(), perf_counter()
        document, self.headers = fetch_with_headers(url)
        self.seconds = perf_counter() - start
        return document


def _kind(url: str) -> str:
    """The kind of issuer, from where its key set is."""
    default, neon = conf.KEY_SET_PATHS
    if url.endswith(neon):
        return "Neon Auth, or a Better Auth that is set up like it"
    return "Better Auth" if url.endswith(default) else "another address than Better Auth's default"


def _configured_keys(document: bytes) -> Check:
    try:
        return Check("issuer", "ok", f"{_usable(parse(document).values())} in BETTER_AUTH_JWKS")
    except ValueError as error:
        advice = "Set BETTER_AUTH_JWKS to the answer of /api/auth/jwks of Better Auth."
        return Check("issuer", "wrong", f"BETTER_AUTH_JWKS: {error}", advice)


def _usable(keys: Collection[Key]) -> str:
    algorithms = ", ".join(sorted({name for key in keys for name in key.algorithms}))
    return f"{count(len(keys), 'usable key')} ({algorithms})"


def _no_keys(url: str, error: Exception) -> Check:
    return Check("issuer", "wrong", f"no keys at {url}: {error}", key_set_advice(url, error))


def _clock(date: str, age: str, now: float) -> Check:
    """Compares the issuer's clock, in whole seconds (RFC 9110, section 6.6.1), with ours.

    An answer from a cache is older by its Age (RFC 9111, section 5.1).
    """
    try:
        # The header leaves out half a second on average.
        theirs = parsedate_to_datetime(date).timestamp() + 0.5 + int(age or 0)
    except ValueError:
        return Check("issuer clock", "not reached", "the issuer sends no valid time")
    ahead = round(theirs - now)
    detail = f"{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} ours"
    if abs(ahead) <= 1:
        detail = "within a second of ours"
    if abs(ahead) <= conf.LEEWAY:
        return Check("issuer clock", "ok", detail)
    advice = (
        "Set both clocks by NTP. Valid tokens are refused if they differ by more than "
        f"{conf.LEEWAY} s."
    )
    return Check("issuer clock", "wrong", detail, advice)


def _tokens() -> Iterator[Check]:
    """The issuers and audiences of each kind of token."""
    if not conf.key_set_urls() and not conf.key_set():
        yield Check("session tokens", "ok", "off: there is no key set")
    else:
        detail = f"iss {names(conf.issuers())}; aud {names(conf.audiences())}"
        yield Check("session tokens", "ok", detail)
    if not conf.resource():
        yield Check("access tokens", "ok", "off: BETTER_AUTH_RESOURCE is not set")
        return
    detail = (
        f"aud {conf.resource()}; iss {names(conf.access_token_issuers())}; "
        f"scopes {', '.join(conf.scopes())}; metadata at {metadata_url()}"
    )
    yield Check("access tokens", "ok", detail)
    if conf.base_url():
        yield _authorization_server(f"{conf.base_url()}/.well-known/oauth-authorization-server")


def _authorization_server(url: str) -> Check:
    """Compares what it says of itself (RFC 8414) with what our metadata say of it."""
    name, ours = "OAuth provider", conf.authorization_server()
    try:
        described = json.loads(fetch(url))
        issuer, scopes = described["issuer"], described.get("scopes_supported", [])
    except (KeysUnavailable, HTTPException, ValueError, TypeError, LookupError):
        advice = "Add oauthProvider() of @better-auth/oauth-provider to the plugins of Better Auth."
        return Check(name, "warning", f"no metadata at {plain(url)}", advice)
    if issuer != ours:
        detail = f"calls itself {shown(issuer)}, but clients are sent to {ours}"
        advice = f"Set BETTER_AUTH_ISSUER to {shown(issuer)}."
        return Check(name, "warning", detail, advice)
    if missing := [scope for scope in conf.scopes() if scope not in scopes]:
        advice = "Add them to scopes of oauthProvider() in Better Auth."
        return Check(name, "warning", f"cannot grant {', '.join(missing)}", advice)
    return Check(name, "ok", issuer)


def _secrets() -> list[str]:
    """What no line may contain, not even in an error message of a library."""
    names = ("URL", "JWKS_URL", "ISSUER", "RESOURCE")
    known = [
        settings.SECRET_KEY,
        *settings.SECRET_KEY_FALLBACKS,
        settings.BETTER_AUTH_SECRET,
        *(connections[alias].settings_dict.get("PASSWORD") for alias in connections),
        *(_password(conf.setting(f"BETTER_AUTH_{name}")) for name in names),
    ]
    return sorted((text for text in known if text), key=len, reverse=True)


def _password(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None


def _tidy(check: Check, secrets: list[str]) -> Check:
    return replace(check, detail=_line(check.detail, secrets), advice=_line(check.advice, secrets))


def _line(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    line = " ".join(text.split())
    line = "".join(char if char.isprintable() else "?" for char in line)
    return line if len(line) <= MAX_CHARACTERS else f"{line[: MAX_CHARACTERS - 3]}..."


CHECKS: dict[str, Callable[[], Iterator[Check]]] = {
    "environment": _environment,
    "debug": _debug,
    "system checks": _system_checks,
    "hosts": _hosts,
    "CORS": _cors,
    "shared secret": _shared_secret,
    "issuer": _issuer,
    "tokens": _tokens,
    "database": database.checks,
    "shards": shards.checks,
    "replica": replica.checks,
    "users": users.checks,
}
