"""A bad configuration is refused, with all of its errors reported together."""

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import Client

from config import checks
from tests import processes
from tests.processes import INHERITED, ROOT
from tests.server import database_url

GOOD = {
    "SECRET_KEY": "a-key-of-fifty-characters-or-more-for-the-tests-only-0123456789",
    "ALLOWED_HOSTS": "tasks.example.com",
    "DATABASE_URL": "postgresql://tasks:hunter2@db.example.com/tasks",
    "BETTER_AUTH_URL": "https://app.example.com",
}


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return processes.manage(*arguments, env={**INHERITED, **environment})


def test_a_good_configuration_passes() -> None:
    done = manage("check", "--deploy", "--fail-level=WARNING", **GOOD)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [("check", "--deploy"), ("serve",)], ids=" ".join)
def test_without_any_variable_all_missing_ones_are_named(command: tuple[str, ...]) -> None:
    done = manage(*command)

    assert done.returncode == 1
    for name in ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"):
        assert f"(config.E001) {name} (or {name}_FILE) must be set." in done.stderr
    assert "(authjwt.E001)" in done.stderr
    assert "Traceback" not in done.stderr


def test_all_errors_are_reported_together_and_no_secret() -> None:
    done = manage(
        "serve",
        **GOOD
        | {
            "DEBUG": "maybe",
            "PORT": "none",
            "HOST": "localhost",
            "WEB_CONCURRENCY": "0",
            "DRAIN_SECONDS": "-1",
            "DATABASE_CONNECTIONS": "1",
            "RATE_LIMIT": "100 per minute",
            "RATE_LIMIT_FAILED": "20/60",
            "SECRET_KEY_FALLBACKS": "x",
            "SECURE_HSTS_PRELOAD": "yes",
            "ADMIN_SECOND_FACTOR": "true",
            "DATABASE_REPLICA_URL": "embedded",
            "DATABASE_URL": "mysql://root:hunter2@db.example.com/tasks",
            "CORS_ALLOWED_ORIGINS": "*, https://*.vercel.app",
            "CORS_ALLOWED_ORIGIN_REGEXES": "(,.*",
            "BETTER_AUTH_SECRET": "hunter2",
        },
    )

    assert done.returncode == 1
    assert done.stderr.startswith("The server cannot start with this configuration:\n\n")
    for error in (
        '(config.E001) DEBUG must be "true" or "false".',
        "(config.E001) PORT must be a whole number from 1 to 65535.",
        "(config.E001) HOST must be an IP address, for instance 0.0.0.0.",
        "(config.E001) WEB_CONCURRENCY must be a whole number from 1 to 256.",
        "(config.E001) DRAIN_SECONDS must be a whole number from 0 to 3600.",
        "(config.E001) DATABASE_CONNECTIONS must be a whole number from 2 to 1000.",
        "(config.E001) RATE_LIMIT must be requests/seconds, for instance 100/60",
        "(config.E001) RATE_LIMIT_FAILED needs TRUSTED_PROXIES: set it to the number of proxies",
        '(config.E001) ADMIN_SECOND_FACTOR must be "optional" or "required".',
        '(config.E001) SECURE_HSTS_PRELOAD must be "true" or "false".',
        "(config.E005) SECRET_KEY_FALLBACKS is weak: set it to 50 random characters or more.",
        "(config.E001) DATABASE_URL must be a postgresql:// URL, or the word embedded.",
        "(config.E001) DATABASE_REPLICA_URL must be a postgresql:// URL.",
        "(config.E002) CORS_ALLOWED_ORIGINS must name each origin",
        "(config.E006) CORS_ALLOWED_ORIGINS has no wildcards: https://*.vercel.app would match",
        "CORS_ALLOWED_ORIGIN_REGEXES: https://[a-z0-9-]+\\.vercel\\.app",
        "(config.E003) CORS_ALLOWED_ORIGIN_REGEXES",
        "(authjwt.E002)",
    ):
        assert error in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


NEEDED = {name: GOOD[name] for name in ("SECRET_KEY", "DATABASE_URL")}
SERVER_ERRORS = {
    "ALLOWED_HOSTS": "https://tasks.example.com",
    "BETTER_AUTH_URL": "app.example.com",
    "BETTER_AUTH_SECRET": "short",
    "CORS_ALLOWED_ORIGINS": "*",
    "CORS_ALLOWED_ORIGIN_REGEXES": "(",
    "HOST": "localhost",
    "PORT": "http",
    "RATE_LIMIT": "100",
    "RATE_LIMIT_FAILED": "100",
    "SECRET_KEY_FALLBACKS": "x",
    "SECRET_KEY_FALLBACKS_FILE": "none",
    "TRUSTED_PROXIES": "all",
    "WEB_CONCURRENCY": "0",
}


@pytest.mark.parametrize("more", [{}, SERVER_ERRORS], ids=["missing", "wrong"])
def test_other_commands_need_no_variables_of_the_server(
    more: dict[str, str], transactional_db: None
) -> None:
    """`migrate` and `createsuperuser` run the system checks as these do, and change more."""
    environment = NEEDED | {"DATABASE_URL": database_url()} | more

    assert manage("check", **environment).returncode == 0
    assert manage("purge_tasks", "--dry-run", **environment).returncode == 0
    refused = manage("serve", **environment)
    assert (refused.returncode, refused.stdout) == (1, "")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("BETTER_AUTH_USER_COLUMNS", "mail=email", "'mail' is not one of id, email, name,"),
        ("BETTER_AUTH_USER_TABLE", "a.b.c", "must be the name of a table, or schema.table."),
        ("BETTER_AUTH_USER_TABLE", ".user", "must be the name of a table, or schema.table."),
    ],
)
def test_a_wrong_name_in_the_schema_of_better_auth_is_refused(
    name: str, value: str, error: str
) -> None:
    done = manage("purge_tasks", **NEEDED | {name: value})

    assert done.returncode == 1
    assert f"(config.E010) {name}" in done.stderr
    assert error in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://db.example.com/tasks"),
        ("API_DATABASE_URL", "mysql://db.example.com/tasks"),
        ("BETTER_AUTH_DATABASE_URL", "mysql://db.example.com/users"),
        ("BETTER_AUTH_DATABASE_URL", "embedded"),
        ("BETTER_AUTH_USER_COLUMNS", "email"),
        ("DEBUG", "maybe"),
        ("TASKS_RETENTION_DAYS", "month"),
    ],
)
def test_an_error_that_could_harm_data_stops_every_command(name: str, value: str) -> None:
    done = manage("purge_tasks", **NEEDED | {name: value})

    assert done.returncode == 1
    assert f"(config.E001) {name} must be " in done.stderr


@pytest.mark.parametrize("command", ["issue_token", "check_token"])
def test_commands_about_tokens_need_their_variables(command: str) -> None:
    arguments = ["alice", "--outside-development"] if command == "issue_token" else []
    done = manage(command, *arguments, **NEEDED | {"BETTER_AUTH_SECRET": "short", "PORT": "http"})

    assert done.returncode == 1
    assert "(authjwt.E002)" in done.stderr
    assert "PORT" not in done.stderr


@pytest.mark.parametrize("command", [("serve",), ("check", "--deploy", "--fail-level=WARNING")])
def test_a_weak_key_among_the_fallbacks_is_refused(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{GOOD['SECRET_KEY'][::-1]}, hunter2\n")
    done = manage(*command, **GOOD | {"SECRET_KEY_FALLBACKS_FILE": str(keys)})

    assert done.returncode == 1
    assert "SECRET_KEY_FALLBACKS" in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    ("environment", "header"),
    [
        ({}, "max-age=31536000"),
        ({"SECURE_HSTS_INCLUDE_SUBDOMAINS": "true"}, "max-age=31536000; includeSubDomains"),
        (
            {"SECURE_HSTS_INCLUDE_SUBDOMAINS": "true", "SECURE_HSTS_PRELOAD": "true"},
            "max-age=31536000; includeSubDomains; preload",
        ),
    ],
)
def test_strict_transport_security_covers_other_hosts_only_if_configured(
    environment: dict[str, str], header: str
) -> None:
    ask = (
        "from django.test import Client; "
        "answer = Client().get('/health', secure=True, headers={'host': 'tasks.example.com'}); "
        "print(answer['Strict-Transport-Security'])"
    )
    done = manage("shell", "--command", ask, **GOOD | environment)

    assert done.stdout.splitlines()[-1] == header, done.stderr


def test_a_session_of_an_earlier_key_remains_valid() -> None:
    earlier = "another-key-of-fifty-characters-or-more-for-the-tests-only-98765"
    sign = "from django.core.signing import dumps; print(dumps('root'))"
    signed = manage("shell", "--command", sign, **GOOD | {"SECRET_KEY": earlier}).stdout
    read = f"from django.core.signing import loads; print(loads({signed.split()[-1]!r}))"

    done = manage("shell", "--command", read, **GOOD | {"SECRET_KEY_FALLBACKS": f" {earlier} ,"})
    assert done.stdout.splitlines()[-1] == "root"
    assert "BadSignature" in manage("shell", "--command", read, **GOOD).stderr


def test_the_version_of_the_package_is_read_from_config() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert pyproject["project"]["dynamic"] == ["version"]
    assert pyproject["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "config.VERSION"}


@pytest.mark.parametrize(
    ("origins", "regexes", "ids"),
    [
        (["https://app.example.com"], [r"(?:https://[a-z]+\.example\.com)\Z"], []),
        (["*"], [], ["config.E002"]),
        (["null"], [], ["config.E002"]),
        (["https://*.example.com"], [], ["config.E006"]),
        (["https://app.example.com:443"], [], ["config.E006"]),
        (["https://APP.example.com", "capacitor://localhost"], [], ["config.E006"]),
        (["http://localhost:3000", "http://[::1]:3000"], [], []),
        ([], [r"(?:.*)\Z"], ["config.E002"]),
        ([], [r"(?:https://.+)\Z"], ["config.E002"]),
        ([], [r"(?:[)\Z"], ["config.E003"]),
    ],
)
def test_an_origin_that_matches_all_is_refused(
    settings: Any, origins: list[str], regexes: list[str], ids: list[str]
) -> None:
    settings.CORS_ALLOWED_ORIGINS = origins
    settings.CORS_ALLOWED_ORIGIN_REGEXES = regexes

    assert [message.id for message in checks.check_origins()] == ids


@pytest.mark.parametrize(
    ("written", "hint", "matches"),
    [
        ("https://*.vercel.app", r"https://[a-z0-9-]+\.vercel\.app", "https://my-app1.vercel.app"),
        ("https://my-app-*.vercel.app/", r"https://my-app-[a-z0-9-]+\.vercel\.app",
         "https://my-app-git-main.vercel.app"),
        ("http://localhost:*", "http://localhost:[0-9]+", "http://localhost:5173"),
        ("*.example.com", r"https://[a-z0-9-]+\.example\.com", "https://a.example.com"),
    ],
)  # fmt: skip
def test_a_wildcard_is_refused_with_the_regular_expression_to_use(
    settings: Any, written: str, hint: str, matches: str
) -> None:
    settings.CORS_ALLOWED_ORIGINS = [written]

    (error,) = checks.check_origins()

    assert error.msg == f"CORS_ALLOWED_ORIGINS has no wildcards: {written} would match no origin."
    assert error.hint == f"Use CORS_ALLOWED_ORIGIN_REGEXES: {hint}"
    settings.CORS_ALLOWED_ORIGINS = []
    settings.CORS_ALLOWED_ORIGIN_REGEXES = [rf"(?:{hint})\Z"]
    assert checks.check_origins() == []
    assert Client().get("/", headers={"Origin": matches})["Access-Control-Allow-Origin"] == matches
    for other in (f"{matches}.evil.net", f"{matches}/", matches.replace(".", "x")):
        if other != matches:
            assert "Access-Control-Allow-Origin" not in Client().get("/", headers={"Origin": other})


def test_an_origin_without_a_scheme_is_refused(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["app.example.com"]
    found = run_checks(tags=[checks.SERVER], include_deployment_checks=True)

    assert "corsheaders.E013" in {message.id for message in found}


@pytest.mark.parametrize(
    ("variables", "printed"),
    [
        pytest.param(
            {"NEON_AUTH_BASE_URL": "https://neon.example.com/db/auth", "BETTER_AUTH_URL": ""},
            "https://neon.example.com/db/auth  tasks:read tasks:write",
            id="neon",
        ),
        pytest.param(
            {"NEON_AUTH_BASE_URL": "https://neon.example.com/db/auth"},
            "https://app.example.com  tasks:read tasks:write",
            id="better_auth_before_neon",
        ),
        pytest.param(
            {
                "BETTER_AUTH_RESOURCE_FILE": "resource",
                "BETTER_AUTH_READ_SCOPE_FILE": "read",
                "BETTER_AUTH_WRITE_SCOPE": "write:todos",
            },
            "https://app.example.com https://tasks.example.com/api read:todos write:todos",
            id="access_tokens",
        ),
    ],
)
def test_the_variables_of_tokens_reach_the_settings(
    variables: dict[str, str], printed: str, tmp_path: Path
) -> None:
    (tmp_path / "resource").write_text("https://tasks.example.com/api\n")
    (tmp_path / "read").write_text("read:todos\n")
    paths = {
        name: str(tmp_path / value) if name.endswith("_FILE") else value
        for name, value in variables.items()
    }

    done = manage(
        "shell",
        "--no-imports",
        "--command",
        "from authjwt import conf; "
        "print(conf.setting('BETTER_AUTH_URL'), conf.resource(), *conf.scopes())",
        **{**GOOD, **paths},
    )

    assert done.stdout.strip() == printed, done.stderr
