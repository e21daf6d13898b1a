"""Makes a release of the commit: source archive, SBOM, checksums, and at last the tag.

`make release` runs all checks before. Nothing leaves the machine: push the tag yourself.
"""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from config import VERSION
from release import sbom
from release.packages import ROOT

TAG = f"v{VERSION}"
BASE = f"{sbom.NAME}-{VERSION}"
DIST = ROOT / "dist"


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def problems() -> list[str]:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## (.+)$", changelog, re.MULTILINE)[0]
    found = []
    if git("status", "--porcelain"):
        found.append("The working tree has changes: commit them first.")
    if not re.fullmatch(rf"{re.escape(VERSION)}, \d{{4}}-\d\d-\d\d", newest):
        found.append(
            f"CHANGELOG.md begins with “{newest}”: write “{VERSION}, ” and the date instead, "
            "or set VERSION in config/__init__.py."
        )
    if git("tag", "--list", TAG):
        found.append(f"The tag {TAG} exists: raise VERSION in config/__init__.py.")
    return found


def write() -> list[Path]:
    DIST.mkdir(exist_ok=True)
    archive, bom, sums = (DIST / f"{BASE}{end}" for end in (".tar.gz", ".cdx.json", ".sha256"))
    git("archive", "--format=tar.gz", f"--prefix={BASE}/", f"--output={archive}", "HEAD")
    commit, timestamp = git("log", "-1", "--format=%H %cI").split()
    bom.write_text(sbom.document(commit, timestamp), encoding="utf-8")
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in (archive, bom)
    ]
    sums.write_text("".join(lines), encoding="utf-8")
    return [archive, bom, sums]


def main() -> str:
    if found := problems():
        return "No release was made.\n" + "\n".join(found)
    for path in write():
        print(path.relative_to(ROOT))
    git("tag", "--annotate", TAG, "--message", f"Release {VERSION}")
    print(f"Tagged {TAG}. To publish it: git push origin {TAG}")
    return ""


if __name__ == "__main__":
    sys.exit(main() or 0)
