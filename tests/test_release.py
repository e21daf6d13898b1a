"""`make release`: what it refuses, what it publishes, and the licences of the packages."""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from config import VERSION
from release.packages import LOCK, PAGE, PERMITTED, locked, page
from release.sbom import document
from tests.processes import INHERITED, ROOT

DATED = f"## {VERSION}, 2026-12-01"
GIT = {
    **INHERITED,
    **{
        f"GIT_{who}_{what}": "tests@example.com"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
}


def test_every_locked_package_is_listed_with_hashes_and_a_licence() -> None:
    lines = re.findall(r"^([a-z][^=\[ ]*)(?:\[.*\])?==", LOCK.read_text("utf-8"), re.MULTILINE)

    assert [package.name for package in locked()] == lines
    for package in locked():
        assert package.hashes, package.name
        assert package.needed_by, package.name
        assert {*re.split(r" (?:OR|AND) ", re.sub("[()]", "", package.licence))} <= PERMITTED


def test_the_page_of_licences_is_up_to_date() -> None:
    """If not: .venv/bin/python -m release.packages"""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_sbom_names_each_package_and_what_it_needs() -> None:
    bom = json.loads(document("0" * 40, "2026-12-01T12:00:00+00:00"))
    components = {each["name"]: each for each in bom["components"]}
    needs = {each["ref"]: each["dependsOn"] for each in bom["dependencies"]}

    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert bom["metadata"]["component"]["version"] == VERSION
    assert {*components} == {package.name for package in locked()}
    django = components["django"]
    assert django["purl"] == f"pkg:pypi/django@{django['version']}"
    assert django["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert django["purl"] in needs[bom["metadata"]["component"]["purl"]]
    assert components["sqlparse"]["purl"] in needs[django["purl"]]
    assert {*needs} == {
        bom["metadata"]["component"]["purl"],
        *(c["purl"] for c in bom["components"]),
    }
    assert document("0" * 40, "x") == document("0" * 40, "x")
    assert document("0" * 40, "x") != document("1" * 40, "x")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with the files of this one."""
    root = tmp_path / "project"
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes((ROOT / name).read_bytes())
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    changelog.write_text(re.sub(r"^## .*$", DATED, text, count=1, flags=re.MULTILINE), "utf-8")
    for command in ("init --quiet", "add --all", "commit --quiet --message Everything"):
        subprocess.run(["git", *command.split()], cwd=root, env=GIT, check=True)
    return root


def release(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "release"],
        cwd=project,
        env=GIT,
        capture_output=True,
        text=True,
        check=False,
    )


def tags(project: Path) -> list[str]:
    done = subprocess.run(["git", "tag"], cwd=project, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_release_has_the_source_an_sbom_and_checksums_and_is_tagged(project: Path) -> None:
    done = release(project)

    assert done.returncode == 0, done.stdout + done.stderr
    assert tags(project) == [f"v{VERSION}"]
    base = f"better-auth-tasks-{VERSION}"
    dist = project / "dist"
    assert {path.name for path in dist.iterdir()} == {
        f"{base}.tar.gz",
        f"{base}.cdx.json",
        f"{base}.sha256",
    }
    for line in (dist / f"{base}.sha256").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest
    with tarfile.open(dist / f"{base}.tar.gz") as archive:
        names = archive.getnames()
    assert {f"{base}/manage.py", f"{base}/requirements.txt", f"{base}/Dockerfile"} <= {*names}
    assert json.loads((dist / f"{base}.cdx.json").read_text())["components"]


def change(project: Path) -> None:
    (project / "manage.py").write_text("")


def undate(project: Path) -> None:
    path = project / "CHANGELOG.md"
    path.write_text(
        path.read_text("utf-8").replace(DATED, f"## {VERSION}, not released yet"), "utf-8"
    )
    subprocess.run(["git", "commit", "-qam", "Undated"], cwd=project, env=GIT, check=True)


def tag(project: Path) -> None:
    subprocess.run(["git", "tag", f"v{VERSION}"], cwd=project, check=True)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (change, "The working tree has changes"),
        (undate, f"CHANGELOG.md begins with “{VERSION}, not released yet”"),
        (tag, f"The tag v{VERSION} exists"),
    ],
)
def test_a_release_that_is_not_ready_is_refused(
    project: Path, spoil: Callable[[Path], None], problem: str
) -> None:
    spoil(project)
    before = tags(project)

    done = release(project)

    assert done.returncode == 1
    assert problem in done.stderr
    assert tags(project) == before
    assert not (project / "dist").exists()
