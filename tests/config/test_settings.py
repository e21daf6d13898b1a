"""A bad configuration is refused, with every fault named at once."""

import subprocess
import sys
from typing import Any

import pytest

from config import checks
from tests.server import INHERITED, ROOT

GOOD = {
    "SECRET_KEY": "a-key-of-fifty-characters-or-more-for-the-tests-only-0123456789",
    "ALLOWED_HOSTS": "tasks.example.com",
    "DATABASE_URL": "postgresql://tasks:hunter2@db.example.com/tasks",
    "BETTER_AUTH_URL": "https://app.example.com",
}


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**INHERITED, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_good_configuration_passes() -> None:
    done = manage("check", "--deploy", "--fail-level=WARNING", **GOOD)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["check", "serve"])
def test_nothing_set_names_everything_that_is_missing(command: str) -> None:
    done = manage(command)

    assert done.returncode == 1
    for name in ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"):
        assert f"(config.E001) {name} (or {name}_FILE) must be set." in done.stderr
    assert "(authjwt.E001)" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_fault_is_named_at_once_and_no_secret() -> None:
    done = manage(
        "serve",
        **GOOD
        | {
            "DEBUG": "maybe",
            "PORT": "none",
            "WEB_CONCURRENCY": "0",
            "DATABASE_URL": "mysql://root:hunter2@db.example.com/tasks",
            "CORS_ALLOWED_ORIGINS": "*",
            "CORS_ALLOWED_ORIGIN_REGEXES": "(,.*",
            "BETTER_AUTH_SECRET": "hunter2",
        },
    )

    assert done.returncode == 1
    for fault in (
        '(config.E001) DEBUG must be "true" or "false".',
        "(config.E001) PORT must be a whole number from 1 to 65535.",
        "(config.E001) WEB_CONCURRENCY must be a whole number from 1 to 256.",
        "(config.E001) DATABASE_URL must be a postgresql:// URL, or the word embedded.",
        "(config.E002) CORS_ALLOWED_ORIGINS must name each origin",
        "(config.E003) CORS_ALLOWED_ORIGIN_REGEXES",
        "(authjwt.E002)",
    ):
        assert fault in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("origins", "regexes", "ids"),
    [
        (["https://app.example.com"], [r"(?:https://[a-z]+\.example\.com)\Z"], []),
        (["*"], [], ["config.E002"]),
        (["null"], [], ["config.E002"]),
        ([], [r"(?:.*)\Z"], ["config.E002"]),
        ([], [r"(?:https://.+)\Z"], ["config.E002"]),
        ([], [r"(?:[)\Z"], ["config.E003"]),
    ],
)
def test_an_origin_that_stands_for_all_is_refused(
    settings: Any, origins: list[str], regexes: list[str], ids: list[str]
) -> None:
    settings.CORS_ALLOWED_ORIGINS = origins
    settings.CORS_ALLOWED_ORIGIN_REGEXES = regexes

    assert [message.id for message in checks.check_origins()] == ids
