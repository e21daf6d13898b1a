"""Templates and code that were copied from libraries, and templates that extend theirs.

A copy does not get the changes that a new version makes to its origin. So the digest of each origin
is recorded here, and a version that changes an origin fails.
"""

import inspect
import re
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from pkgutil import resolve_name

import django.contrib.admin
import pytest

ROOT = Path(__file__).parent.parent
TEMPLATES = [ROOT / app / "templates" for app in ("config", "tasks")]
OF_DJANGO = Path(django.contrib.admin.__file__).parent / "templates"
OF_TASKS = "tasks/templates/admin/tasks/task"

COPIES = [
    ("config/templates/admin/sign_in.html", "admin/login.html", "15903e7771c42125"),
    (
        "config/staff/signin.py",
        "django.contrib.auth.forms:AuthenticationForm.clean",
        "a71cef5dea59e97e",
    ),
    (f"{OF_TASKS}/action.html", "admin/delete_confirmation.html", "dde33140f4884dde"),
    (f"{OF_TASKS}/actions.html", "admin/actions.html", "0556a5ebfabb06e4"),
    (f"{OF_TASKS}/date_range.html", "admin/filter.html", "72f8dacc61259f70"),
    (f"{OF_TASKS}/object_history.html", "admin/object_history.html", "e5eea48bb0bde182"),
    (f"{OF_TASKS}/owner.html", "admin/change_list.html", "20b8d0e45467ccd3"),
    (f"{OF_TASKS}/pagination.html", "admin/pagination.html", "381bc2d87585687d"),
    (f"{OF_TASKS}/search_form.html", "admin/search_form.html", "18898ee2576bda25"),
    (
        "config/staff/signin.py",
        "django.contrib.auth.backends:ModelBackend.authenticate",
        "cc85e5afc4aa9a3c",
    ),
    (
        "config/staff/signin.py",
        "django.contrib.auth.base_user:AbstractBaseUser.check_password",
        "ffea4dfbd8ebf1eb",
    ),
    (
        "config/staff/signin.py",
        "axes.handlers.database:AxesDatabaseHandler.get_failures",
        "a9cfc141b111e7b4",
    ),
    (
        "config/staff/signin.py",
        "axes.handlers.database:AxesDatabaseHandler.reset_user_attempts",
        "c64cfb0ce041e87f",
    ),
    (
        "tasks/admin/change.py",
        "django.contrib.admin.options:ModelAdmin.get_object",
        "0a06cdd3aff8add3",
    ),
    (
        "tasks/admin/changelist.py",
        "django.contrib.admin.views.main:ChangeList.get_results",
        "89110a3ebb1674c6",
    ),
    (
        "tasks/migrations/_online.py",
        "django.contrib.postgres.operations:AddIndexConcurrently.database_forwards",
        "af29fb1b83071098",
    ),
]
"""The copy, its origin in the library, and the digest of the origin that it was compared with."""


@pytest.mark.parametrize(("copy", "origin", "digest"), COPIES)
def test_the_origin_of_a_copy_has_not_changed(copy: str, origin: str, digest: str) -> None:
    found = sha256(text_of(origin).encode()).hexdigest()[:16]

    assert (ROOT / copy).exists()
    assert found == digest, (
        f"{copy} was copied from {origin}, which has changed in {library(origin)}. "
        f"Compare the two, update the copy where it needs that, and record the digest {found}."
    )


def text_of(origin: str) -> str:
    if ":" in origin:
        return inspect.getsource(resolve_name(origin))
    return (OF_DJANGO / origin).read_text(encoding="utf-8")


def library(origin: str) -> str:
    package = "django-axes" if origin.startswith("axes.") else "Django"
    return f"{package} {version(package)}"


EXTENDS = re.compile(r'{% extends "(.+?)" %}')
BLOCK = re.compile(r"{% block ([\w-]+) %}")


def templates() -> Iterator[Path]:
    for folder in TEMPLATES:
        yield from sorted(folder.rglob("*.html"))


EXTENDING = [
    (str(path.relative_to(ROOT)), block)
    for path in templates()
    if EXTENDS.search(text := path.read_text(encoding="utf-8"))
    for block in BLOCK.findall(text)
]
"""Each template that extends another one, with each block that it defines."""


@pytest.mark.parametrize(("template", "block"), EXTENDING)
def test_a_block_is_one_of_the_extended_template(template: str, block: str) -> None:
    """Django drops a block without a word where the extended template has none of that name."""
    assert block in set(blocks_above(ROOT / template))


def blocks_above(path: Path) -> Iterator[str]:
    while extended := EXTENDS.search(path.read_text(encoding="utf-8")):
        candidates = [folder / extended[1] for folder in (*TEMPLATES, OF_DJANGO)]
        path = next(each for each in candidates if each.exists() and each != path)
        yield from BLOCK.findall(path.read_text(encoding="utf-8"))


def test_a_template_in_the_place_of_one_of_django_is_a_copy_or_uses_it() -> None:
    names = {path.name for path in OF_DJANGO.rglob("*.html")}
    replacing = {
        str(path.relative_to(ROOT))
        for path in templates()
        if path.name in names
        and not re.search(rf'"admin/(tasks/task/)?{path.name}"', path.read_text(encoding="utf-8"))
    }

    assert replacing <= {copy for copy, *_ in COPIES}
