"""Runs pytest on another version of PostgreSQL: `python -m tests.on_version 15 tests/config -x`."""

import os
import signal
import subprocess
import sys

from tests.cluster import BINARIES, Cluster


def main(version: int, *arguments: str) -> int:
    if not BINARIES[version].exists():
        raise SystemExit(f"PostgreSQL {version} is not installed here.")
    # Otherwise the cluster would outlive this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with Cluster.running(version) as cluster:
        return subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            env={**os.environ, "DATABASE_URL": cluster.url},
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:]))
