"""How many cores this process may use, which in a container are fewer than its host has."""

import os
from collections.abc import Iterator
from contextlib import suppress
from math import ceil, inf
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIPS = Path("/proc/self/cgroup")


def cores(cgroups: Path = CGROUPS, memberships: Path = MEMBERSHIPS) -> int:
    """The least of its affinity and the quotas of its control groups, rounded up."""
    least = min([_affinity(), *map(_quota, _groups(cgroups, memberships))])
    return max(1, ceil(least))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups(cgroups: Path, memberships: Path) -> Iterator[Path]:
    """The groups of this process with all that they are in, of version 2 and of version 1.

    In a container that does not see the host's groups, its own group is the topmost one.
    """
    yield from (cgroups, cgroups / "cpu")
    with suppress(OSError):
        for line in memberships.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or "cpu" in controllers.split(","):
                top = cgroups / "cpu" if controllers else cgroups
                group = top / path.lstrip("/")
                yield from (each for each in (group, *group.parents) if top in each.parents)


def _quota(group: Path) -> float:
    """In cores; infinite where the group has none (`max`, or -1)."""
    match _numbers(group):
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period):
            return int(quota) / int(period)
    return inf


def _numbers(group: Path) -> list[str]:
    with suppress(OSError):
        return (group / "cpu.max").read_text().split()
    with suppress(OSError):
        return [(group / f"cpu.cfs_{part}_us").read_text().strip() for part in ("quota", "period")]
    return []
