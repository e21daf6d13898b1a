"""The cores that a process may use, by its affinity and its control groups."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.server.cores import cores
from tests.processes import INHERITED, ROOT

V1 = "4:cpu,cpuacct:/tasks\n3:memory:/elsewhere\n"
V2 = "0::/tasks\n"


@pytest.fixture(autouse=True)
def _host_of_32_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(32)), raising=False)


def cores_in(folder: Path, files: dict[str, str], memberships: str) -> int:
    for name, content in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    (folder / "self").write_text(memberships)
    return cores(folder / "cgroup", folder / "self")


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", 32),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("25000 50000", 1),
        ("9900000 100000", 32),
        ("", 32),
        ("100000 0", 32),
        ("abc 100000", 32),
    ],
)
def test_the_quota_of_a_container_is_rounded_up(tmp_path: Path, quota: str, expected: int) -> None:
    assert cores_in(tmp_path, {"cpu.max": quota}, "0::/\n") == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 32), ("250000", 3), ("1000", 1)])
def test_the_quota_of_version_1(tmp_path: Path, quota: str, expected: int) -> None:
    files = {"cpu/cpu.cfs_quota_us": quota, "cpu/cpu.cfs_period_us": "100000"}

    assert cores_in(tmp_path, files, "4:cpu,cpuacct:/\n") == expected


@pytest.mark.parametrize(
    ("files", "memberships", "expected"),
    [
        ({"tasks/cpu.max": "300000 100000"}, V2, 3),
        ({"tasks/cpu.max": "max 100000", "cpu.max": "400000 100000"}, V2, 4),
        ({"a/b/cpu.max": "500000 100000", "a/cpu.max": "200000 100000"}, "0::/a/b\n", 2),
        ({"other/cpu.max": "100000 100000"}, V2, 32),
        (
            {
                "cpu/tasks/cpu.cfs_quota_us": "300000",
                "cpu/tasks/cpu.cfs_period_us": "100000",
            },
            V1,
            3,
        ),
        # Docker on version 1: the path is the one on the host, but the group is the root here.
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, V1, 3),
    ],
)
def test_every_ancestor_of_the_group_counts(
    tmp_path: Path, files: dict[str, str], memberships: str, expected: int
) -> None:
    assert cores_in(tmp_path, files, memberships) == expected


def test_without_groups_only_the_affinity_counts(tmp_path: Path) -> None:
    assert cores(tmp_path / "none", tmp_path / "none") == 32


def test_without_affinity_all_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)

    assert cores(tmp_path / "none", tmp_path / "none") == 6


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="This platform has no affinity.")
def test_a_process_on_one_core_has_one_worker() -> None:
    script = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from config import settings; print(settings.WEB_CONCURRENCY)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**INHERITED, "DEBUG": "true"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "1\n"
