"""Breaks each part of the installation in turn, with a real issuer and a real PostgreSQL."""

import json
import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.management import call_command
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from config.database import derived_role
from config.operator.diagnosis.database import connection_advice, in_the_clear, server_version
from tasks import people
from tasks.operations.installation import COMMENT, MARK, REVISION
from tests.authjwt.conftest import signer
from tests.better_auth.users import NO_USERS, BetterAuthUsers
from tests.commands import execute
from tests.processes import manage
from tests.server import connect, database_address, database_url

ROOT = Path(__file__).parents[3]
EC = generate_private_key(SECP256R1())
KEYS = [
    {**OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate().public_key(), as_dict=True), "kid": "ed"},
    {**ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": "ec"},
    {"kty": "oct", "k": "c2VjcmV0", "kid": "unusable"},
]
CONNECTED = (
    "server",
    "encoding",
    "pooler",
    "TLS",
    "connections",
    "migrations",
    "operations",
    "role of the API",
)
NAMES = [
    "environment",
    "debug",
    "system checks",
    "hosts",
    "CORS",
    "shared secret",
    "issuer",
    "issuer clock",
    "session tokens",
    "access tokens",
    "database",
    *CONNECTED,
    "users",
]

TIMEOUTS = "statement_timeout 2s, lock_timeout {}, idle_in_transaction_session_timeout 5s"

pytestmark = pytest.mark.django_db(databases=["default", "api"])


class Issuer:
    """Answers every request with `document` and `headers`, or only those for the path `only`.

    metadata: those of the OAuth provider.
    """

    def __init__(self) -> None:
        self.status = 200
        self.only = ""
        self.metadata: dict[str, Any] | None = None
        self.document = json.dumps({"keys": KEYS}).encode()
        self.headers: Callable[[], dict[str, str]] = lambda: dated(0)
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_there = issuer.only in ("", self.path)
                document = issuer.document
                if self.path.endswith("/.well-known/oauth-authorization-server"):
                    is_there = issuer.metadata is not None
                    document = json.dumps(issuer.metadata).encode()
                self.send_response_only(issuer.status if is_there else 404)
                for name, value in issuer.headers().items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *_: Any) -> None:
                """Keeps the output of the tests clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"


def dated(seconds: float, **more: str) -> dict[str, str]:
    now = datetime.now(UTC) + timedelta(seconds=seconds)
    return {"Date": format_datetime(now, usegmt=True), **more}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever, args=[0.01])
    thread.start()
    yield issuer
    issuer.server.shutdown()
    thread.join()
    issuer.server.server_close()


@pytest.fixture(autouse=True)
def _working_installation(settings: Any, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A development machine without problems."""
    settings.DEBUG = True
    settings.ENVIRONMENT_ERRORS = []
    settings.SERVER_ERRORS = []
    settings.ALLOWED_HOSTS = ["tasks.example.com"]
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.com"]
    settings.CORS_ALLOWED_ORIGIN_REGEXES = []
    settings.BETTER_AUTH_URL = issuer.origin
    monkeypatch.delenv("PGOPTIONS", raising=False)


@pytest.fixture
def closed() -> Iterator[int]:
    """A port that is taken, but on which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def examine() -> tuple[int | str | None, dict[str, dict[str, str]]]:
    """The exit status, and the last check with each name."""
    output, errors = StringIO(), StringIO()
    status: int | str | None = 0
    try:
        call_command("doctor", "--json", stdout=output, stderr=errors)
    except SystemExit as end:
        status = end.code
    answer = json.loads(output.getvalue())
    assert set(answer) == {"ok", "checks"}
    assert answer["ok"] is (status == 0)
    assert all(set(check) == {"name", "status", "detail", "advice"} for check in answer["checks"])
    assert errors.getvalue() == ""
    return status, {check["name"]: check for check in answer["checks"]}


def wrong(found: dict[str, dict[str, str]]) -> list[tuple[str, str, str]]:
    return [
        (name, check["detail"], check["advice"])
        for name, check in found.items()
        if check["status"] == "wrong"
    ]


def test_working_installation_is_ok_in_every_line(issuer: Issuer) -> None:
    status, found = examine()

    assert status == 0
    assert list(found) == NAMES
    assert {check["status"] for check in found.values()} == {"ok"}
    assert {check["advice"] for check in found.values()} == {""}
    role = derived_role(connection.settings_dict["NAME"])
    details = {name: re.sub(r"[0-9.]+ ms", "n ms", found[name]["detail"]) for name in NAMES}
    embedded = ", embedded" if "EMBEDDED" in connection.settings_dict else ""
    assert re.fullmatch(rf"PostgreSQL \d+\.\d+{embedded}", details.pop("server"))
    assert re.fullmatch(
        r"97 allowed, \d+ needed \(\d+ workers with 16 each\)", details.pop("connections")
    )
    assert details == {
        "environment": "every variable is valid",
        "debug": "on: a development machine",
        "system checks": "nothing found",
        "hosts": "tasks.example.com",
        "CORS": "https://app.example.com",
        "shared secret": "set",
        "issuer": (
            f"Better Auth: 2 usable keys (ES256, EdDSA) at {issuer.origin}/api/auth/jwks in n ms"
        ),
        "issuer clock": "within a second of ours",
        "session tokens": f"iss {issuer.origin}; aud {issuer.origin}",
        "access tokens": "off: BETTER_AUTH_RESOURCE is not set",
        "database": "connected in n ms, round trip n ms (median of 5)",
        "encoding": "UTF8",
        "pooler": "none: direct",
        "TLS": "off, on a private network",
        "migrations": "all applied",
        "operations": f"all installed, revision {REVISION}",
        "role of the API": (f"{role}: operations only, {TIMEOUTS.format('1500ms')}"),
        "users": f"{NO_USERS} The admin shows ids only.",
    }


def test_users_of_better_auth_are_counted(
    better_auth: BetterAuthUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    better_auth.add("ada", "Ada", "ada@example.com")

    status, found = examine()
    assert status == 0
    assert found["users"]["detail"] == "1 user in public.user of this database, read-only"
    monkeypatch.setattr(people, "MAX_COUNTED", 0)
    _, found = examine()
    assert found["users"]["detail"].startswith("more than 0 users in public.user")


def test_a_table_of_users_that_cannot_be_used_is_a_problem(settings: Any) -> None:
    settings.BETTER_AUTH_USER_TABLE = "auth.users"

    status, found = examine()

    assert status == 1
    detail = (
        "BETTER_AUTH_USER_TABLE names auth.users. The database has no such table, or this service "
        "may not read it."
    )
    advice = (
        "Set BETTER_AUTH_USER_TABLE and BETTER_AUTH_USER_COLUMNS to the names in the schema of "
        "Better Auth, or remove them."
    )
    assert wrong(found) == [("users", detail, advice)]


def test_without_an_issuer_the_shared_secret_is_enough(settings: Any) -> None:
    settings.BETTER_AUTH_URL = ""
    settings.CORS_ALLOWED_ORIGINS = []

    status, found = examine()

    assert status == 0
    assert (
        found["issuer"]["detail"] == "none: only tokens signed with the shared secret are accepted"
    )
    assert "issuer clock" not in found
    assert found["CORS"]["detail"] == "none: browsers on other origins are blocked"


def test_access_tokens_are_described(issuer: Issuer, settings: Any) -> None:
    settings.BETTER_AUTH_RESOURCE = "http://127.0.0.1:8000/api"
    settings.BETTER_AUTH_WRITE_SCOPE = "write:tasks"
    issuer.metadata = {
        "issuer": f"{issuer.origin}/api/auth",
        "scopes_supported": ["openid", "tasks:read", "write:tasks"],
    }

    status, found = examine()

    assert status == 0
    assert found["OAuth provider"]["status"] == "ok"
    assert found["OAuth provider"]["detail"] == f"{issuer.origin}/api/auth"
    assert found["access tokens"]["detail"] == (
        f"aud http://127.0.0.1:8000/api; iss {issuer.origin} or {issuer.origin}/api/auth; "
        "scopes tasks:read, write:tasks; "
        "metadata at http://127.0.0.1:8000/.well-known/oauth-protected-resource/api"
    )


@pytest.mark.parametrize(
    ("metadata", "detail", "advice"),
    [
        pytest.param(
            None,
            "no metadata at ORIGIN/api/auth/.well-known/oauth-authorization-server",
            "Add oauthProvider() of @better-auth/oauth-provider to the plugins of Better Auth.",
            id="no-plugin",
        ),
        pytest.param(
            ["issuer"],
            "no metadata at ORIGIN/api/auth/.well-known/oauth-authorization-server",
            "Add oauthProvider() of @better-auth/oauth-provider to the plugins of Better Auth.",
            id="something-else",
        ),
        pytest.param(
            {"issuer": "https://app.example.com"},
            'calls itself "https://app.example.com", but clients are sent to ORIGIN/api/auth',
            'Set BETTER_AUTH_ISSUER to "https://app.example.com".',
            id="another-issuer",
        ),
        pytest.param(
            {"issuer": "ORIGIN/api/auth", "scopes_supported": ["openid", "tasks:read"]},
            "cannot grant tasks:write",
            "Add them to scopes of oauthProvider() in Better Auth.",
            id="no-scope",
        ),
    ],
)
def test_provider_that_does_not_fit_our_metadata_is_a_warning(
    metadata: Any, detail: str, advice: str, issuer: Issuer, settings: Any
) -> None:
    settings.BETTER_AUTH_RESOURCE = "http://127.0.0.1:8000/api"
    issuer.metadata = json.loads(json.dumps(metadata).replace("ORIGIN", issuer.origin))

    status, found = examine()

    assert status == 0
    assert found["OAuth provider"] == {
        "name": "OAuth provider",
        "status": "warning",
        "detail": detail.replace("ORIGIN", issuer.origin),
        "advice": advice,
    }


def test_key_set_of_neon_auth_is_found(issuer: Issuer, settings: Any) -> None:
    issuer.only = "/neondb/auth/.well-known/jwks.json"
    settings.BETTER_AUTH_URL = f"{issuer.origin}/neondb/auth"

    status, found = examine()

    assert status == 0
    assert found["issuer"]["detail"].startswith("Neon Auth, or a Better Auth that is set up like")
    assert f"{issuer.origin}{issuer.only} in " in found["issuer"]["detail"]
    assert found["issuer clock"]["status"] == "ok"
    assert found["session tokens"]["detail"] == (
        f"iss {issuer.origin} or {issuer.origin}/neondb/auth; "
        f"aud {issuer.origin} or {issuer.origin}/neondb/auth"
    )


def test_issuer_may_be_a_name(settings: Any) -> None:
    settings.BETTER_AUTH_ISSUER = "my-app"

    status, found = examine()

    assert status == 0
    assert found["session tokens"]["detail"].startswith("iss my-app; aud http://127.0.0.1:")


def test_every_error_of_the_environment_has_exactly_one_line(settings: Any) -> None:
    settings.DEBUG = False
    settings.SECRET_KEY = "unset"
    settings.ENVIRONMENT_ERRORS = ["SECRET_KEY must be set.", "PORT must be a whole number."]
    output = StringIO()

    with pytest.raises(SystemExit) as end:
        call_command("doctor", stdout=output, no_color=True)

    assert end.value.code == 1
    assert output.getvalue().startswith(
        "environment        wrong        SECRET_KEY must be set.\n"
        "environment        wrong        PORT must be a whole number.\n"
        "debug              ok           off\n"
        "system checks      ok           nothing found\n"
    )


def test_warning_for_a_deployment_is_a_problem(settings: Any) -> None:
    settings.DEBUG = False
    settings.SECRET_KEY = "kurz"

    _, found = examine()

    assert found["system checks"]["status"] == "wrong"
    assert "security.W0" in found["system checks"]["detail"]


def test_failed_system_check_comes_with_its_hint(settings: Any) -> None:
    settings.BETTER_AUTH_SECRET = "short"

    status, found = examine()

    assert status == 1
    assert wrong(found) == [
        (
            "system checks",
            "authjwt.E002: BETTER_AUTH_SECRET has 5 bytes, but HS256 requires at least 32.",
            "Generate one: openssl rand -base64 32",
        )
    ]


def test_silenced_system_check_stays_silent(settings: Any) -> None:
    settings.BETTER_AUTH_SECRET = "short"
    settings.SILENCED_SYSTEM_CHECKS = [*settings.SILENCED_SYSTEM_CHECKS, "authjwt.E002"]

    status, _ = examine()

    assert status == 0


def test_missing_shared_secret_is_ok(settings: Any) -> None:
    settings.BETTER_AUTH_SECRET = ""

    status, found = examine()

    assert (status, found["shared secret"]["detail"]) == (0, "not set")


def test_no_host_is_a_problem(settings: Any) -> None:
    settings.ALLOWED_HOSTS = []

    status, found = examine()

    assert status == 1
    assert wrong(found) == [
        (
            "hosts",
            "none: every request is refused",
            "Set ALLOWED_HOSTS to the names under which clients reach this API.",
        )
    ]


CANNOT_BE_REACHED = (
    'cannot be reached: connection failed: connection to server at "127.0.0.1", '
    "port {} failed: Connection refused"
)
MAKE_IT_REACHABLE = (
    "Make sure that this machine can reach {}, or set BETTER_AUTH_JWKS_URL "
    "to a URL of the key set that it can reach."
)
WHERE_BETTER_AUTH_IS = (
    "Set BETTER_AUTH_URL to the address of Better Auth, with its jwt plugin enabled, "
    "or BETTER_AUTH_JWKS_URL if the key set is somewhere else."
)


def not_found(issuer: Issuer) -> None:
    issuer.status = 404


def a_page(issuer: Issuer) -> None:
    issuer.document = b"<!doctype html>"


def no_usable_key(issuer: Issuer) -> None:
    issuer.document = json.dumps({"keys": KEYS[2:]}).encode()


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        pytest.param(not_found, "the URL of the key set answered 404", id="404"),
        pytest.param(a_page, "not a JWK set", id="page"),
        pytest.param(no_usable_key, "no usable key in the set", id="no-usable-key"),
    ],
)
def test_answer_that_is_no_key_set_is_a_problem(
    spoil: Callable[[Issuer], None], error: str, issuer: Issuer
) -> None:
    spoil(issuer)

    status, found = examine()

    assert status == 1
    detail = f"no keys at {issuer.origin}/api/auth/jwks: {error}"
    assert wrong(found) == [("issuer", detail, WHERE_BETTER_AUTH_IS)]
    assert found["issuer clock"]["status"] == "not reached"


def test_unreachable_issuer_is_a_problem_without_credentials(settings: Any, closed: int) -> None:
    there = f"127.0.0.1:{closed}"
    settings.BETTER_AUTH_JWKS_URL = f"http://user:hunter2@{there}/jwks?key=hunter2"

    status, found = examine()

    assert status == 1
    assert wrong(found) == [
        (
            "issuer",
            f"no keys at http://{there}/jwks: ConnectionRefusedError while fetching the key set",
            MAKE_IT_REACHABLE.format(f"http://{there}/jwks"),
        )
    ]


def test_invalid_port_is_a_problem_of_settings_and_issuer(settings: Any) -> None:
    settings.BETTER_AUTH_URL = "http://host:abc"

    status, found = examine()

    assert status == 1
    assert wrong(found) == [
        (
            "system checks",
            "authjwt.E004: BETTER_AUTH_URL is not an http:// or https:// URL.",
            "For example: https://app.example.com",
        ),
        (
            "issuer",
            "no keys at http://host:abc/api/auth/jwks: InvalidURL while fetching the key set",
            WHERE_BETTER_AUTH_IS,
        ),
    ]


def test_broken_part_does_not_hide_the_others(settings: Any) -> None:
    settings.BETTER_AUTH_URL = "http://[bad"

    status, found = examine()

    assert status == 1
    assert found["issuer"]["detail"] == "cannot be checked: ValueError: Invalid IPv6 URL"
    assert found["database"]["status"] == "ok"


CLOCKS = [
    pytest.param(lambda: dated(0.2), "ok", "within a second of ours", id="same"),
    pytest.param(lambda: dated(25), "ok", r"2[456] s ahead of ours", id="within-leeway"),
    pytest.param(lambda: dated(95), "wrong", r"9[456] s ahead of ours", id="ahead"),
    pytest.param(lambda: dated(-3600), "wrong", r"3(599|600|601) s behind ours", id="behind"),
    pytest.param(lambda: dated(-600, Age="600"), "ok", "within a second of ours", id="cached"),
    pytest.param(dict, "not reached", "the issuer sends no valid time", id="no-date"),
    pytest.param(
        lambda: {"Date": "soon"}, "not reached", "the issuer sends no valid time", id="no-time"
    ),
    pytest.param(
        lambda: dated(0, Age="old"),
        "not reached",
        "the issuer sends no valid time",
        id="no-age",
    ),
]


@pytest.mark.parametrize(("headers", "status", "detail"), CLOCKS)
def test_clock_of_the_issuer_is_compared_with_ours(
    headers: Callable[[], dict[str, str]], status: str, detail: str, issuer: Issuer
) -> None:
    issuer.headers = headers

    exit_status, found = examine()

    clock = found["issuer clock"]
    assert (exit_status, clock["status"]) == (int(status == "wrong"), status)
    assert re.fullmatch(detail, clock["detail"])
    assert clock["advice"] == (
        "Set both clocks by NTP. Valid tokens are refused if they differ by more than 30 s."
        if status == "wrong"
        else ""
    )


def test_embedded_database_in_production_is_a_problem_and_not_started(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.DEBUG = False
    elsewhere(monkeypatch, EMBEDDED=tmp_path / "never-made")

    status, found = examine()

    assert status == 1
    assert found["database"] == {
        "name": "database",
        "status": "wrong",
        "detail": "the embedded PostgreSQL, which is for development",
        "advice": "Set DATABASE_URL to your own PostgreSQL.",
    }
    assert {found[name]["status"] for name in CONNECTED} == {"not reached"}
    assert list(tmp_path.iterdir()) == []


def elsewhere(monkeypatch: pytest.MonkeyPatch, **config: Any) -> None:
    """Changes the database of the settings, for connections that are opened from now on."""
    host, _ = database_address()
    for name, value in {"EMBEDDED": None, "HOST": host, **config}.items():
        monkeypatch.setitem(connections["default"].settings_dict, name, value)


def test_closed_port_is_a_problem_without_traceback(
    monkeypatch: pytest.MonkeyPatch, closed: int
) -> None:
    elsewhere(monkeypatch, HOST="127.0.0.1", PORT=closed)

    status, found = examine()

    assert status == 1
    assert wrong(found) == [
        (
            "database",
            CANNOT_BE_REACHED.format(closed),
            "Start PostgreSQL, or set the host and port of DATABASE_URL: nothing listens there.",
        )
    ]
    assert {found[name]["status"] for name in CONNECTED} == {"not reached"}


def test_password_is_hidden_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    password = connection.settings_dict["PASSWORD"] or "hunter2"
    elsewhere(monkeypatch, NAME=password, PASSWORD=password)

    status, found = examine()

    assert status == 1
    ((name, detail, advice),) = wrong(found)
    assert name == "database"
    assert detail.endswith('database "[hidden]" does not exist')
    assert advice == "Create it, or set the user and database of DATABASE_URL."
    assert password not in str(found)


ADVICE = [
    pytest.param("failed: Connection refused", "Start PostgreSQL", id="refused"),
    pytest.param("failed to resolve host 'nowhere.invalid'", "Set the host", id="unknown-host"),
    pytest.param("password authentication failed", "Set the user and password", id="password"),
    pytest.param('role "x" does not exist', "Create it", id="role"),
    pytest.param("database system is starting up", "Set DATABASE_URL to a", id="anything-else"),
]


@pytest.mark.parametrize(("cause", "expected"), ADVICE)
def test_advice_fits_the_cause(cause: str, expected: str) -> None:
    assert connection_advice(cause).startswith(expected)


@pytest.mark.django_db(transaction=True, databases=["default", "api"])
def test_migration_that_is_not_applied_is_a_problem() -> None:
    recorder = MigrationRecorder(connection)
    (last,) = (name for app, name in MigrationLoader(connection).graph.leaf_nodes("tasks"))
    recorder.record_unapplied("tasks", last)
    try:
        status, found = examine()
    finally:
        recorder.record_applied("tasks", last)

    assert status == 1
    assert wrong(found) == [
        (
            "migrations",
            f"1 migration not applied, from tasks.{last} on",
            "Run python manage.py migrate.",
        )
    ]


def test_server_that_is_too_old_is_a_problem() -> None:
    assert server_version(15, "PostgreSQL 15.0").status == "ok"
    check = server_version(14, "PostgreSQL 14.9")

    assert (check.status, check.detail) == ("wrong", "PostgreSQL 14.9")
    assert check.advice == "Upgrade it: 15 is the oldest version that this project supports."


def test_too_few_connections_are_a_warning(settings: Any) -> None:
    settings.WEB_CONCURRENCY = 7
    output = StringIO()

    status, found = examine()
    call_command("doctor", stdout=output, no_color=True)

    assert (status, found["connections"]) == (
        0,
        {
            "name": "connections",
            "status": "warning",
            "detail": "97 allowed, 112 needed (7 workers with 16 each)",
            "advice": (
                "Lower DATABASE_CONNECTIONS or WEB_CONCURRENCY, raise max_connections, or put "
                "a pooler in between."
            ),
        },
    )
    assert "note: Lower DATABASE_CONNECTIONS or" in output.getvalue()
    assert output.getvalue().endswith("\n\nAll is well.\n")


def test_host_that_is_no_name_is_a_problem(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["https://tasks.example.com", "[::1]", "localhost"]

    status, found = examine()

    assert status == 1
    assert found["system checks"]["detail"] == (
        "config.E004: ALLOWED_HOSTS must contain only host names, without scheme, port or path: "
        "https://tasks.example.com"
    )


@pytest.mark.django_db(transaction=True, databases=["default", "api"])
def test_tables_that_are_not_in_public_are_a_problem() -> None:
    """The operations look for them there, whatever the search_path of the owner is."""
    database = connection.settings_dict["NAME"]
    execute("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.tasks_task ()")
    execute(f"ALTER ROLE postgres IN DATABASE {database} SET search_path TO elsewhere, public")
    try:
        status, found = examine()
    finally:
        execute(f"ALTER ROLE postgres IN DATABASE {database} RESET search_path")
        execute("DROP SCHEMA elsewhere CASCADE")

    assert status == 1
    assert found["migrations"]["detail"] == (
        "the tables are not in public: search_path is elsewhere, public"
    )


@pytest.mark.django_db(transaction=True, databases=["default", "api"])
def test_a_disabled_trigger_is_a_problem() -> None:
    """Without it `sync` would miss changes."""
    execute("ALTER TABLE tasks_task DISABLE TRIGGER task_record")
    try:
        status, found = examine()
    finally:
        execute("ALTER TABLE tasks_task ENABLE TRIGGER task_record")

    assert status == 1
    assert found["migrations"]["detail"] == (
        "triggers of tasks_task are missing or disabled: task_record"
    )
    assert "ENABLE TRIGGER USER" in found["migrations"]["advice"]


MIGRATE = "Run python manage.py migrate."
READ = "tasks_api.read_task(text, bigint)"
SCHEMA = "COMMENT ON SCHEMA tasks_api IS"
BROKEN_OPERATIONS = {
    "schema": ("ALTER SCHEMA tasks_api RENAME TO another", "there is no schema tasks_api"),
    "function": (f"DROP FUNCTION {READ}", f"missing: {READ}"),
    "digest": (
        f"{SCHEMA} '{MARK}7, digest x'",
        f"from another release: {MARK}7, digest x",
    ),
    "comment": (
        f"{SCHEMA} NULL",
        "from another release: the schema tasks_api has no comment",
    ),
    "execute": (
        f"REVOKE EXECUTE ON FUNCTION {READ} FROM {{role}}",
        f"the role of the API may not call {READ}",
    ),
    "usage": (
        "REVOKE USAGE ON SCHEMA tasks_api FROM {role}",
        "the role of the API may not call them",
    ),
    "public": (f"GRANT EXECUTE ON FUNCTION {READ} TO PUBLIC", f"everybody may call {READ}"),
}


@pytest.mark.django_db(transaction=True, databases=["default", "api"])
@pytest.mark.parametrize(
    ("change", "detail"), BROKEN_OPERATIONS.values(), ids=BROKEN_OPERATIONS.keys()
)
def test_broken_operations_are_a_problem(put_back: None, change: str, detail: str) -> None:
    execute(change.format(role=derived_role(connection.settings_dict["NAME"])))
    back = f"{SCHEMA} '{COMMENT}'" if change.startswith(SCHEMA) else "SELECT 1"

    status, found = examine()
    execute(back)

    assert status == 1
    assert wrong(found) == [("operations", detail, MIGRATE)]


@pytest.mark.django_db(transaction=True, databases=["default", "api"])
@pytest.mark.parametrize(
    ("change", "back", "detail", "advice"),
    [
        pytest.param(
            "GRANT SELECT ON tasks_task TO {role}",
            "REVOKE SELECT ON tasks_task FROM {role}",
            "{role} can access the tables of all users",
            "Revoke the table privileges of {role}, or set API_DATABASE_URL.",
            id="tables",
        ),
        pytest.param(
            "ALTER ROLE {role} IN DATABASE {database} SET lock_timeout TO '1min'",
            "ALTER ROLE {role} IN DATABASE {database} SET lock_timeout TO '1500ms'",
            f"{{role}} has {TIMEOUTS.format('1min')}; expected: {TIMEOUTS.format('1500ms')}",
            MIGRATE,
            id="timeouts",
        ),
        pytest.param(
            "COMMENT ON ROLE {role} IS NULL",
            "COMMENT ON ROLE {role} IS "
            "'better-auth-tasks: role of the API in the database {database}'",
            "{role} does not belong to this project, according to its comment",
            MIGRATE,
            id="comment",
        ),
    ],
)
def test_wrong_privileges_or_settings_of_the_role_are_a_problem(
    change: str, back: str, detail: str, advice: str
) -> None:
    database = connection.settings_dict["NAME"]
    names = {"role": derived_role(database), "database": database}
    execute(change.format(**names))
    try:
        status, found = examine()
    finally:
        execute(back.format(**names))

    assert status == 1
    assert wrong(found) == [("role of the API", detail.format(**names), advice.format(**names))]


@pytest.mark.django_db(transaction=True, databases=["default", "api"])
def test_role_that_cannot_sign_in_is_a_problem(put_back: None) -> None:
    role = derived_role(connection.settings_dict["NAME"])
    execute(f"ALTER ROLE {role} NOLOGIN")

    status, found = examine()

    assert status == 1
    ((name, detail, advice),) = wrong(found)
    assert (name, advice) == ("role of the API", MIGRATE)
    assert detail.startswith(f"{role} cannot sign in: ")
    assert "is not permitted to log in" in detail


def test_disabled_isolation_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    the_owners = {name: connection.settings_dict[name] for name in ("USER", "PASSWORD")}
    for name, value in {"ROLE_IS_DERIVED": False, **the_owners}.items():
        monkeypatch.setitem(connections.settings["api"], name, value)

    status, found = examine()

    assert status == 0
    assert found["role of the API"]["status"] == "warning"
    assert found["role of the API"]["detail"] == (
        "postgres, which owns the tables: PostgreSQL does not isolate the users"
    )


class TLSProxy:
    """Uses TLS with one client at a time, and clear text with the server behind it."""

    def __init__(self, directory: Path) -> None:
        self.behind = database_address()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate(directory))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)

    def serve(self) -> None:
        client, _ = self.listener.accept()
        assert client.recv(8) == b"\0\0\0\x08\x04\xd2\x16\x2f"  # SSLRequest
        client.sendall(b"S")
        with (
            self.context.wrap_socket(client, server_side=True) as secure,
            connect(self.behind) as server,
        ):
            answers = threading.Thread(target=pump, args=[server, secure])
            answers.start()
            pump(secure, server)
            answers.join()


def pump(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65536):
        target.sendall(data)
    if not isinstance(target, ssl.SSLSocket):
        target.shutdown(socket.SHUT_WR)


def certificate(directory: Path) -> Path:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "database")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, EC.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(EC, SHA256())
    )
    key = EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = directory / "certificate.pem"
    path.write_bytes(key + made.public_bytes(Encoding.PEM))
    return path


def test_tls_is_reported_as_far_as_it_reaches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy = TLSProxy(tmp_path)
    options = {**connection.settings_dict["OPTIONS"], "sslmode": "require"}
    elsewhere(
        monkeypatch,
        HOST="127.0.0.1",
        PORT=proxy.port,
        OPTIONS=options,
    )
    proxy.thread.start()

    _, found = examine()

    proxy.thread.join(10)
    proxy.listener.close()
    assert not proxy.thread.is_alive(), "the connection was left open"
    assert found["TLS"]["status"] == "ok"
    assert found["TLS"]["detail"] == "on, as far as the proxy in front of the server"


ADDRESSES = [
    pytest.param("", "ok", id="socket"),
    pytest.param("127.0.0.1", "ok", id="loopback"),
    pytest.param("10.0.0.7", "ok", id="private"),
    pytest.param("fd00::7", "ok", id="private-six"),
    pytest.param("8.8.8.8", "wrong", id="public"),
    pytest.param("2606:4700::1111", "wrong", id="public-six"),
]


@pytest.mark.parametrize(("address", "status"), ADDRESSES)
def test_clear_text_is_a_problem_with_a_public_address(address: str, status: str) -> None:
    check = in_the_clear(address)

    assert check.status == status
    assert check.advice == ("Add ?sslmode=require to DATABASE_URL." if status == "wrong" else "")


def test_line_cannot_control_the_terminal_and_is_limited(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://a.example\x1b[31m\n" + "x" * 400]

    _, found = examine()

    detail = found["CORS"]["detail"]
    assert detail == f"https://a.example?[31m {'x' * 274}..."
    assert len(detail) == 300


def test_text_is_aligned_and_ends_with_a_verdict(settings: Any) -> None:
    sound, broken = StringIO(), StringIO()

    call_command("doctor", stdout=sound, no_color=True)
    settings.ALLOWED_HOSTS = []
    with pytest.raises(SystemExit) as end:
        call_command("doctor", stdout=broken, no_color=True)

    lines = sound.getvalue().splitlines()
    assert lines[-2:] == ["", "All is well."]
    assert [line[:19].rstrip() for line in lines[:-2]] == NAMES
    assert {line[19:32] for line in lines[:-2]} == {"ok           "}
    assert end.value.code == 1
    assert (
        "hosts              wrong        none: every request is refused\n"
        "                                fix: Set ALLOWED_HOSTS to the names under which "
        "clients reach this API.\n"
    ) in broken.getvalue()
    assert broken.getvalue().endswith("\n\n1 problem found.\n")


def production(**variables: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "SECRET_KEY": "a-long-key-of-fifty-characters-or-more-for-this-test-only-0123456789",
        "ALLOWED_HOSTS": "tasks.example.com",
        "CORS_ALLOWED_ORIGINS": "https://app.example.com",
        **variables,
    }


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return manage("doctor", *arguments, env=environment)


def test_working_production_exits_with_zero(issuer: Issuer) -> None:
    parts = urlsplit(database_url())
    password = parts.password or "hunter2"
    netloc = f"postgres:{password}@{parts.netloc.rpartition('@')[2]}"
    url = parts._replace(netloc=netloc).geturl()

    ended = run(production(DATABASE_URL=url, BETTER_AUTH_URL=issuer.origin))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith("\n\nAll is well.\n")
    assert "\ndebug              ok           off\n" in ended.stdout
    assert password not in ended.stdout
    assert "\x1b" not in ended.stdout


def test_broken_production_exits_with_one_and_clean_json(closed: int) -> None:
    environment = production(
        DATABASE_URL=f"postgresql://tasks:hunter2@127.0.0.1:{closed}/tasks",
        BETTER_AUTH_URL=f"http://127.0.0.1:{closed}",
        BETTER_AUTH_SECRET="hunter3-hunter3-hunter3-hunter3-hunter3",
        PORT="http",
    )

    ended = run(environment, "--json")

    assert (ended.returncode, ended.stderr) == (1, "")
    answer = json.loads(ended.stdout)
    assert answer["ok"] is False
    assert [check["name"] for check in answer["checks"] if check["status"] == "wrong"] == [
        "environment",
        "issuer",
        "database",
    ]
    for secret in ("hunter2", "hunter3", environment["SECRET_KEY"]):
        assert secret not in ended.stdout


def test_settings_that_fail_every_check_do_not_stop_the_doctor() -> None:
    ended = run({"PATH": os.environ["PATH"]})

    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout.startswith(
        "environment        wrong        SECRET_KEY (or SECRET_KEY_FILE) must be set.\n"
    )
    assert ended.stdout.endswith(" problems found.\n")


@pytest.mark.parametrize(
    ("document", "status", "detail"),
    [
        (
            json.dumps({"keys": [signer("EdDSA").jwk()]}),
            "ok",
            "1 usable key (EdDSA) in BETTER_AUTH_JWKS",
        ),
        ("{}", "wrong", "BETTER_AUTH_JWKS: not a JWK set"),
    ],
)
def test_configured_key_set_is_checked(
    settings: Any, document: str, status: str, detail: str
) -> None:
    settings.BETTER_AUTH_JWKS = document

    _, found = examine()

    assert (found["issuer"]["status"], found["issuer"]["detail"]) == (status, detail)
