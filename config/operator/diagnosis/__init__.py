"""What an operator wants to know of an installation: each thing in a line, and how to mend it.

A look may find anything, but never raises: what is broken is what it is there to tell.
"""

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
from authjwt.exceptions import KeysUnavailable
from authjwt.keys import Key, ask, parse
from authjwt.wording import count, plain
from config.operator.diagnosis import database
from config.operator.diagnosis.check import Check, milliseconds

MOST_CHARACTERS = 300
HIDDEN = "[hidden]"


def diagnose() -> Iterator[Check]:
    secrets = _secrets()
    for name, look in LOOKS.items():
        try:
            for check in look():
                yield _tidy(check, secrets)
        except Exception as error:  # noqa: BLE001  a broken part must not hide the others
            detail = f"cannot be looked at: {type(error).__name__}: {error}"
            yield _tidy(Check(name, "wrong", detail), secrets)


def _environment() -> Iterator[Check]:
    faults = _faults()
    for fault in faults:
        yield Check("environment", "wrong", fault)
    if not faults:
        yield Check("environment", "ok", "every variable can be read")


def _faults() -> list[str]:
    return [*settings.ENVIRONMENT_ERRORS, *settings.SERVER_ERRORS]


def _debug() -> Iterator[Check]:
    yield Check("debug", "ok", "on: a machine of development" if settings.DEBUG else "off")


def _system_checks() -> Iterator[Check]:
    # Of a variable that is missing, its line says enough; Django's own are for a deployment.
    complete = not settings.DEBUG and not _faults()
    found = [
        message
        for message in checks.run_checks(include_deployment_checks=True)
        if message.level >= checks.WARNING
        # The faults of the environment have lines of their own.
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
    yield Check("CORS", "ok", ", ".join(origins) or "none: browsers on other origins are kept out")


def _shared_secret() -> Iterator[Check]:
    yield Check("shared secret", "ok", "set" if conf.secret() else "not set")


def _issuer() -> Iterator[Check]:
    url = conf.key_set_url()
    if document := conf.key_set():
        yield _given_keys(document)
        return
    if not url:
        yield Check("issuer", "ok", "none: only tokens of the shared secret are accepted")
        return
    before, start = time.time(), perf_counter()
    try:
        document, headers = ask(url)
        seconds = perf_counter() - start
        keys = parse(document).values()
    except (KeysUnavailable, HTTPException, ValueError) as error:
        yield _no_keys(plain(url), error)
        yield Check("issuer clock", "not reached", "")
        return
    yield Check("issuer", "ok", f"{_usable(keys)} at {plain(url)} in {milliseconds(seconds)}")
    yield _clock(headers.get("Date", ""), headers.get("Age", ""), before + seconds / 2)


def _given_keys(document: bytes) -> Check:
    try:
        return Check("issuer", "ok", f"{_usable(parse(document).values())} in BETTER_AUTH_JWKS")
    except ValueError as error:
        advice = "Set BETTER_AUTH_JWKS to what /api/auth/jwks of Better Auth answers."
        return Check("issuer", "wrong", f"BETTER_AUTH_JWKS: {error}", advice)


def _usable(keys: Collection[Key]) -> str:
    algorithms = ", ".join(sorted({name for key in keys for name in key.algorithms}))
    return f"{count(len(keys), 'usable key')} ({algorithms})"


def _no_keys(url: str, error: Exception) -> Check:
    advice = (
        f"Make {url} answer on this machine, or set BETTER_AUTH_JWKS_URL to where the key set "
        "can be reached from here."
        if isinstance(error.__cause__, OSError)
        else "Set BETTER_AUTH_URL to the address of Better Auth, with its jwt plugin switched on; "
        "or BETTER_AUTH_JWKS_URL where the key set is elsewhere."
    )
    return Check("issuer", "wrong", f"no keys at {url}: {error}", advice)


def _clock(date: str, age: str, now: float) -> Check:
    """The issuer's clock against ours, from whole seconds (RFC 9110, section 6.6.1).

    An answer out of a cache is older by its Age (RFC 9111, section 5.1).
    """
    try:
        # Half a second is what the header leaves out on the average.
        theirs = parsedate_to_datetime(date).timestamp() + 0.5 + int(age or 0)
    except ValueError:
        return Check("issuer clock", "not reached", "the issuer does not tell its time")
    ahead = round(theirs - now)
    detail = f"{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} ours"
    if abs(ahead) <= 1:
        detail = "as ours, to a second"
    if abs(ahead) <= conf.LEEWAY:
        return Check("issuer clock", "ok", detail)
    advice = f"Set both clocks by NTP: more than {conf.LEEWAY} s apart, good tokens are refused."
    return Check("issuer clock", "wrong", detail, advice)


def _secrets() -> list[str]:
    """What must not be read in any line, whatever text of a library it comes in."""
    urls = (settings.BETTER_AUTH_URL, settings.BETTER_AUTH_JWKS_URL, settings.BETTER_AUTH_ISSUER)
    known = [
        settings.SECRET_KEY,
        *settings.SECRET_KEY_FALLBACKS,
        settings.BETTER_AUTH_SECRET,
        *(connections[alias].settings_dict.get("PASSWORD") for alias in connections),
        *(_password(url) for url in urls),
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
    return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 3]}..."


LOOKS: dict[str, Callable[[], Iterator[Check]]] = {
    "environment": _environment,
    "debug": _debug,
    "system checks": _system_checks,
    "hosts": _hosts,
    "CORS": _cors,
    "shared secret": _shared_secret,
    "issuer": _issuer,
    "database": database.look,
}
