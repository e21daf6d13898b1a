"""How many cores this process may use: in a container, these can be fewer than the host has."""

import os
from collections.abc import Iterator
from contextlib import suppress
from math import ceil, inf
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIPS = Path("/proc/self/cgroup")


def cores(cgroups: Path = CGROUPS, memberships: Path = MEMBERSHIPS) -> int:
    """The minimum of the CPU affinity and the quotas of all control groups, rounded up."""
    return max(1, ceil(min([_affinity(), *map(_quota, _groups(cgroups, memberships))])))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups(cgroups: Path, memberships: Path) -> Iterator[Path]:
    """The control groups of this process and their ancestors, of version 2 and of version 1.

    In a container that cannot see the host's groups, its own group is the root.
    """
    yield from (cgroups, cgroups / "cpu")
    with suppress(OSError):
        for line in memberships.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or "cpu" in controllers.split(","):
                root = cgroups / "cpu" if controllers else cgroups
                group = root / path.lstrip("/")
                yield from (each for each in (group, *group.parents) if root in each.parents)


def _quota(group: Path) -> float:
    """In cores; infinite if the group has no quota (`max`, or -1)."""
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
