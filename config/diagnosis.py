"""What an operator wants to know of an installation: each thing in a line, and how to mend it.

A look may find anything, but never raises: what is broken is what it is there to tell.
"""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from ipaddress import ip_address
from statistics import median
from time import perf_counter
from typing import Any, Literal
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from authjwt import conf
from authjwt.exceptions import KeysUnavailable
from authjwt.keys import Key, ask, parse
from authjwt.wording import count, plain
from config.database import is_pooled

ROUND_TRIPS = 5
MOST_CHARACTERS = 300
HIDDEN = "[hidden]"

TLS_VERSION = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

CONNECTION_ADVICE = (
    ("refused", "Start PostgreSQL, or set the host and port of DATABASE_URL: nothing listens."),
    ("resolve host", "Set the host of DATABASE_URL: this name has no address."),
    ("password", "Set the user and password of DATABASE_URL, special characters as %XX."),
    ("does not exist", "Create it, or set the user and database of DATABASE_URL."),
    ("", "Set DATABASE_URL to a PostgreSQL that this machine may connect to."),
)
"""By a word of libpq's message, since a failed connection has no SQLSTATE."""


@dataclass(frozen=True)
class Check:
    name: str
    status: Literal["ok", "wrong", "not reached"]
    detail: str
    advice: str = ""


RIGHTS = """
    SELECT has_schema_privilege('api', 'USAGE') AND NOT has_table_privilege('tasks_task', 'SELECT')
"""


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
    for fault in settings.ENVIRONMENT_FAULTS:
        yield Check("environment", "wrong", fault)
    if not settings.ENVIRONMENT_FAULTS:
        yield Check("environment", "ok", "every variable can be read")


def _debug() -> Iterator[Check]:
    yield Check("debug", "ok", "on: a machine of development" if settings.DEBUG else "off")


def _system_checks() -> Iterator[Check]:
    # Of a variable that is missing, its line says enough.
    complete = not settings.DEBUG and not settings.ENVIRONMENT_FAULTS
    found = [
        message
        for message in checks.run_checks(include_deployment_checks=complete)
        if message.level >= checks.WARNING
        # The faults of the environment have lines of their own.
        and message.id != "config.E001"
        and not message.is_silenced()
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
    yield Check("issuer", "ok", f"{_usable(keys)} at {plain(url)} in {_ms(seconds)}")
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


def _database() -> Iterator[Check]:
    """On a connection of its own, so that what connecting costs is seen."""
    wrapper = connections["default"].copy()
    if wrapper.settings_dict.get("EMBEDDED") and not settings.DEBUG:
        detail = "the embedded PostgreSQL, which is for development"
        yield Check("database", "wrong", detail, "Set DATABASE_URL to a PostgreSQL of yours.")
        yield from _unreached()
        return
    try:
        # Starts the embedded server, which connecting is not to be blamed for.
        wrapper.get_connection_params()
        start = perf_counter()
        wrapper.ensure_connection()
        connected = perf_counter() - start
        round_trip = median(_round_trip(wrapper) for _ in range(ROUND_TRIPS))
    except (Error, ImproperlyConfigured) as error:
        # What libpq asks back stands behind a tab.
        cause = " ".join(line for line in str(error).splitlines() if line[:1] != "\t")
        yield Check("database", "wrong", f"cannot be reached: {cause}", connection_advice(cause))
        yield from _unreached()
    else:
        detail = f"connected in {_ms(connected)}, round trip {_ms(round_trip)}"
        yield Check("database", "ok", f"{detail} (median of {ROUND_TRIPS})")
        for look in CONNECTED.values():
            yield look(wrapper)
    finally:
        wrapper.close()


def connection_advice(cause: str) -> str:
    return next(advice for word, advice in CONNECTION_ADVICE if word in cause)


def _unreached() -> Iterator[Check]:
    for name in CONNECTED:
        yield Check(name, "not reached", "")


def _round_trip(wrapper: BaseDatabaseWrapper) -> float:
    start = perf_counter()
    _value(wrapper, "SELECT 1")
    return perf_counter() - start


def _value(wrapper: BaseDatabaseWrapper, statement: str) -> Any:
    with wrapper.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def _server(wrapper: BaseDatabaseWrapper) -> Check:
    version = _value(wrapper, "SHOW server_version")
    embedded = ", embedded" if wrapper.settings_dict.get("EMBEDDED") else ""
    return Check("server", "ok", f"PostgreSQL {version}{embedded}")


def _pooler(wrapper: BaseDatabaseWrapper) -> Check:
    pooled = is_pooled(wrapper.settings_dict)
    return Check("pooler", "ok", "PgBouncer, as DATABASE_URL says" if pooled else "none: direct")


def _tls(wrapper: BaseDatabaseWrapper) -> Check:
    link = wrapper.connection.pgconn
    if not link.ssl_in_use:
        return in_the_clear(link.hostaddr.decode())
    # A server behind a proxy tells of the proxy's connection, if of any.
    direct = not is_pooled(wrapper.settings_dict) and _value(wrapper, TLS_VERSION)
    return Check("TLS", "ok", f"on, {direct or 'as far as the proxy before the server'}")


def in_the_clear(address: str) -> Check:
    """`address` is empty for a socket of this machine."""
    if address and ip_address(address).is_global:
        detail = f"off, and the way to {address} is public"
        return Check("TLS", "wrong", detail, "Add ?sslmode=require to DATABASE_URL.")
    return Check("TLS", "ok", "off, on a private way")


def _migrations(wrapper: BaseDatabaseWrapper) -> Check:
    executor = MigrationExecutor(wrapper)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not plan:
        return Check("migrations", "ok", "all applied")
    first = plan[0][0]
    detail = f"{count(len(plan), 'migration')} not applied, from {first.app_label}.{first.name} on"
    return Check("migrations", "wrong", detail, "Run: python manage.py migrate")


def _role(_owner: BaseDatabaseWrapper) -> Check:
    """The role of the API, on a connection of its own: its password, its rights, its timeouts."""
    name = "role of the API"
    advice = "Run: python manage.py migrate. It makes the role, and its password of SECRET_KEY."
    wrapper = connections.create_connection("api")
    try:
        timeout = _value(wrapper, "SHOW statement_timeout")
        rights = _value(wrapper, RIGHTS)
        role = _value(wrapper, "SELECT current_user")
    except Error as error:
        cause = " ".join(line for line in str(error).splitlines() if line[:1] != "\t")
        return Check(name, "wrong", f"cannot be used: {cause}", advice)
    finally:
        wrapper.close()
    if not rights or timeout == "0":
        return Check(name, "wrong", f"{role} has other rights or timeouts than it needs", advice)
    return Check(name, "ok", f"{role}: six operations, statements of at most {timeout}")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.{1 if seconds >= 0.01 else 2}f} ms"  # noqa: PLR2004


def _secrets() -> list[str]:
    """What must not be read in any line, whatever text of a library it comes in."""
    urls = (settings.BETTER_AUTH_URL, settings.BETTER_AUTH_JWKS_URL, settings.BETTER_AUTH_ISSUER)
    known = [
        settings.SECRET_KEY,
        settings.BETTER_AUTH_SECRET,
        connections["default"].settings_dict.get("PASSWORD"),
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
    "database": _database,
}
CONNECTED: dict[str, Callable[[BaseDatabaseWrapper], Check]] = {
    "server": _server,
    "pooler": _pooler,
    "TLS": _tls,
    "migrations": _migrations,
    "role of the API": _role,
}
"""What can be seen once the database is reached."""
