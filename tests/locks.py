"""Compiles the lock files again, with the commands in their headers, and reports differences.

The compiler keeps the versions in a lock file as long as pyproject.toml allows them. So a
difference means that pyproject.toml was changed and the lock file was not.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCKS = (
    "requirements.txt",
    "config/database/requirements.txt",
    "tests/requirements.txt",
    "tests/benchmarks/requirements.txt",
    "tests/typed_clients/requirements.txt",
)


def is_fresh(lock: Path) -> bool:
    written = lock.read_text(encoding="utf-8")
    command = re.search(r"^#    uv (pip compile .*)$", written, re.MULTILINE)
    assert command, f"{lock} does not say how it was compiled"
    uv = [sys.executable, "-m", "uv", "--quiet", *shlex.split(command[1])]
    try:
        subprocess.run(uv, cwd=ROOT, check=True)
        return lock.read_text(encoding="utf-8") == written
    finally:
        lock.write_text(written, encoding="utf-8")


stale = [name for name in LOCKS if not is_fresh(ROOT / name)]
if stale:
    sys.exit(f"Stale: {', '.join(stale)}. Run the command in the header of each.")
