"""The checks of the database, and of the connection to it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import ip_address
from statistics import median
from time import perf_counter
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from authjwt.wording import count
from config.operator.diagnosis.check import Check, milliseconds
from config.operator.diagnosis.shards import is_proxy
from config.server.connection import Cause, cause_of
from tasks.operations.installation import COMMENT, REVISION, State
from tasks.operations.role import TIMEOUTS, Role
from tasks.operations.shards import Shard

ROUND_TRIPS = 5
MIN_VERSION = 15

TLS_VERSION = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
ALLOWED_CONNECTIONS = """
    SELECT least(
        current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true), '0')::int,
        (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
    )
"""
HAS_TABLE_PRIVILEGES = (
    "SELECT has_table_privilege('public.tasks_task', 'SELECT, INSERT, UPDATE, DELETE')"
)
TABLE = "SELECT to_regclass('tasks_task')::oid = to_regclass('public.tasks_task')::oid"
TRIGGERS = [
    "task_derive_on_insert",
    "task_derive_on_update",
    "task_record",
    "task_record_loss",
]
INACTIVE_TRIGGERS = f"""
    SELECT string_agg(name, ', ') FROM unnest(ARRAY{TRIGGERS}) AS name WHERE NOT EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = 'public.tasks_task'::regclass AND tgname = name AND tgenabled IN ('O', 'A'))
"""  # noqa: S608  of constants

MIGRATE = "Run python manage.py migrate."
CONNECTION_ADVICE: dict[Cause, str] = {
    "refused": "Start PostgreSQL, or set the host and port of DATABASE_URL: nothing listens there.",
    "dns": "Set the host of DATABASE_URL: this name has no address.",
    "password": "Set the user and password of DATABASE_URL, with special characters as %XX.",
    "tls": "Set sslmode in DATABASE_URL to one that the server accepts, or fix its certificate.",
    "too_many": "Lower DATABASE_CONNECTIONS, or raise max_connections of the server.",
    "timeout": "Set the host and port of DATABASE_URL, or open the firewall: nothing answers.",
    "no_connection": "Set DATABASE_URL to a PostgreSQL that this machine may connect to.",
}
MISSING = "Create it, or set the user and database of DATABASE_URL."


def checks() -> Iterator[Check]:
    """On a new connection, so that the time to connect can be measured."""
    wrapper = connections["default"].copy()
    if wrapper.settings_dict.get("EMBEDDED") and not settings.DEBUG:
        detail = "the embedded PostgreSQL, which is for development"
        yield Check("database", "wrong", detail, "Set DATABASE_URL to your own PostgreSQL.")
        yield from _unreached()
        return
    try:
        # Starts the embedded server, which must not count as time to connect.
        wrapper.get_connection_params()
        start = perf_counter()
        wrapper.ensure_connection()
        connected = perf_counter() - start
        round_trip = median(_round_trip(wrapper) for _ in range(ROUND_TRIPS))
    except (Error, ImproperlyConfigured) as error:
        cause = _cause(error)
        yield Check("database", "wrong", f"cannot be reached: {cause}", connection_advice(cause))
        yield from _unreached()
    else:
        detail = f"connected in {milliseconds(connected)}, round trip {milliseconds(round_trip)}"
        yield Check("database", "ok", f"{detail} (median of {ROUND_TRIPS})")
        for name, check in CHECKS.items():
            yield _run(name, check, wrapper)
    finally:
        wrapper.close()


def _run(
    name: str, check: Callable[[BaseDatabaseWrapper], Check], wrapper: BaseDatabaseWrapper
) -> Check:
    """Catches errors of the database, so that one broken part does not hide the others."""
    try:
        return check(wrapper)
    except Error as error:
        return Check(name, "wrong", f"cannot be checked: {_cause(error)}")


def connection_advice(message: str) -> str:
    return MISSING if "does not exist" in message else CONNECTION_ADVICE[cause_of(message)]


def _cause(error: Exception) -> str:
    """The message without the questions of libpq, which begin with a tab."""
    return " ".join(line for line in str(error).splitlines() if line[:1] != "\t")


def _unreached() -> Iterator[Check]:
    for name in CHECKS:
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
    number = wrapper.connection.info.server_version
    embedded = ", embedded" if wrapper.settings_dict.get("EMBEDDED") else ""
    return server_version(
        number // 10_000, f"PostgreSQL {number // 10_000}.{number % 10_000}{embedded}"
    )


def server_version(major: int, detail: str) -> Check:
    if major < MIN_VERSION:
        advice = f"Upgrade it: {MIN_VERSION} is the oldest version that this project supports."
        return Check("server", "wrong", detail, advice)
    return Check("server", "ok", detail)


def _encoding(wrapper: BaseDatabaseWrapper) -> Check:
    encoding = _value(wrapper, "SHOW server_encoding")
    if encoding == "UTF8":
        return Check("encoding", "ok", encoding)
    detail = f"{encoding}: it cannot store every text that a client sends"
    advice = "Create a database with ENCODING 'UTF8', and move the data by pg_dump and pg_restore."
    return Check("encoding", "wrong", detail, advice)


def is_pooled(wrapper: BaseDatabaseWrapper) -> bool:
    """Whether another server process answers than the one that accepted the connection."""
    return bool(_value(wrapper, "SELECT pg_backend_pid()") != wrapper.connection.info.backend_pid)


def _pooler(wrapper: BaseDatabaseWrapper) -> Check:
    return Check("pooler", "ok", "one in between" if is_pooled(wrapper) else "none: direct")


def _tls(wrapper: BaseDatabaseWrapper) -> Check:
    link = wrapper.connection.pgconn
    if not link.ssl_in_use:
        return in_the_clear(link.hostaddr.decode())
    # Behind a proxy, the server only knows about the TLS of the proxy's connection.
    direct = not is_pooled(wrapper) and _value(wrapper, TLS_VERSION)
    return Check("TLS", "ok", f"on, {direct or 'as far as the proxy in front of the server'}")


def in_the_clear(address: str) -> Check:
    """`address` is empty for a socket of this machine."""
    if address and ip_address(address).is_global:
        detail = f"off, although {address} is a public address"
        return Check("TLS", "wrong", detail, "Add ?sslmode=require to DATABASE_URL.")
    return Check("TLS", "ok", "off, on a private network")


def connections_allowed() -> int | None:
    """None if the database cannot be reached, or if a pooler is in between."""
    wrapper = connections["default"].copy()
    try:
        return None if is_pooled(wrapper) else _value(wrapper, ALLOWED_CONNECTIONS)
    except Error:
        return None
    finally:
        wrapper.close()


def shard() -> Shard | None:
    """Which part of the tasks the database of DATABASE_URL has; None if all, or not reached."""
    wrapper = connections["default"].copy()
    try:
        return Shard.of(wrapper)
    except Error:
        return None
    finally:
        wrapper.close()


def _connections(wrapper: BaseDatabaseWrapper) -> Check:
    allowed = _value(wrapper, ALLOWED_CONNECTIONS)
    workers, per_worker = settings.WEB_CONCURRENCY, settings.DATABASE_CONNECTIONS
    needed = workers * per_worker
    detail = f"{allowed} allowed, {needed} needed ({workers} workers with {per_worker} each)"
    if needed <= allowed or is_pooled(wrapper):
        return Check("connections", "ok", detail)
    advice = (
        "Lower DATABASE_CONNECTIONS or WEB_CONCURRENCY, raise max_connections, or put a pooler "
        "in between."
    )
    return Check("connections", "warning", detail, advice)


def _migrations(wrapper: BaseDatabaseWrapper) -> Check:
    executor = MigrationExecutor(wrapper)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        first = plan[0][0]
        unapplied = count(len(plan), "migration")
        detail = f"{unapplied} not applied, from {first.app_label}.{first.name} on"
        return Check("migrations", "wrong", detail, MIGRATE)
    if not _value(wrapper, TABLE):
        detail = (
            f"the tables are not in public: search_path is {_value(wrapper, 'SHOW search_path')}"
        )
        advice = "Make the search_path of the user in DATABASE_URL begin with public."
        return Check("migrations", "wrong", detail, advice)
    if inactive := _value(wrapper, INACTIVE_TRIGGERS):
        detail = f"triggers of tasks_task are missing or disabled: {inactive}"
        advice = (
            "Run ALTER TABLE public.tasks_task ENABLE TRIGGER USER. If that does not help, restore "
            "the schema from a backup."
        )
        return Check("migrations", "wrong", detail, advice)
    return Check("migrations", "ok", "all applied")


def _operations(wrapper: BaseDatabaseWrapper) -> Check:
    """The functions of the API, and the roles that may call them."""
    role = Role(wrapper)
    state = State.of(wrapper, role.name if role.is_there else role.owner)
    problem = "" if state and state.is_complete else _problem_of(state)
    if problem:
        return Check("operations", "wrong", problem, MIGRATE)
    return Check("operations", "ok", f"all installed, revision {REVISION}")


def _problem_of(state: State | None) -> str:
    if state is None:
        return "there is no schema tasks_api"
    if state.missing:
        return f"missing: {', '.join(state.missing)}"
    if state.comment != COMMENT:
        return f"from another release: {state.comment or 'the schema tasks_api has no comment'}"
    if state.public:
        return f"everybody may call {', '.join(state.public)}"
    return f"the role of the API may not call {', '.join(state.forbidden) or 'them'}"


def _role(wrapper: BaseDatabaseWrapper) -> Check:
    """Connects as this role: whether it can sign in, its timeouts and its privileges."""
    name, role = "role of the API", Role(wrapper)
    try:
        timeouts = role.timeouts()
    except OperationalError as error:
        advice = MIGRATE if role.is_derived else "Set the user and password of API_DATABASE_URL."
        return Check(name, "wrong", f"{role.name} cannot sign in: {_cause(error)}", advice)
    return _rights(role, timeouts, name)


def _rights(role: Role, timeouts: dict[str, str], name: str) -> Check:
    actual = ", ".join(f"{setting} {value}" for setting, value in timeouts.items())
    if role.is_owner:
        detail = f"{role.name}, which owns the tables: PostgreSQL does not isolate the users"
        advice = (
            "API_DATABASE_URL names this role. Without it, migrate creates one for the API alone."
        )
        return Check(name, "warning", detail, advice)
    with closing(role.connect()) as api:
        if is_proxy(api):
            return Check(name, "ok", f"{role.name}: operations only, at the proxy of the shards")
    if timeouts != TIMEOUTS:
        expected = ", ".join(f"{setting} {value}" for setting, value in TIMEOUTS.items())
        return Check(name, "wrong", f"{role.name} has {actual}; expected: {expected}", MIGRATE)
    with closing(role.connect()) as api:
        if _value(api, HAS_TABLE_PRIVILEGES):
            advice = f"Revoke the table privileges of {role.name}, or set API_DATABASE_URL."
            return Check(name, "wrong", f"{role.name} can access the tables of all users", advice)
    if role.is_derived and not role.is_marked:
        detail = f"{role.name} does not belong to this project, according to its comment"
        return Check(name, "wrong", detail, MIGRATE)
    return Check(name, "ok", f"{role.name}: operations only, {actual}")


CHECKS: dict[str, Callable[[BaseDatabaseWrapper], Check]] = {
    "server": _server,
    "encoding": _encoding,
    "pooler": _pooler,
    "TLS": _tls,
    "connections": _connections,
    "migrations": _migrations,
    "operations": _operations,
    "role of the API": _role,
}
"""The checks that need a connection."""
