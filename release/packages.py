"""The locked packages of the service: versions, hashes, licences, and who needs them.

`python -m release.packages` writes docs/licences.md.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.txt"
PAGE = ROOT / "docs" / "licences.md"

PACKAGE = re.compile(
    r"^(?P<name>[a-z0-9.-]+)(?:\[[^]]*\])?==(?P<version>[^ ;\\]+)(?P<rest>(?:.*\n)(?:[ ]+.*\n)*)",
    re.MULTILINE,
)
ON_OTHER_PLATFORMS = {"colorama": "BSD-3-Clause", "tzdata": "Apache-2.0"}
"""Packages that are installed on Windows only."""
SPELLINGS = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "MIT License": "MIT",
}
"""What packages write, as an SPDX expression."""
PERMITTED = {
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "LGPL-3.0-only",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "PSF-2.0",
}
"""Licences that allow to use the service for any purpose. Those of the LGPL and the MPL apply to
changes of these packages only."""


@dataclass(frozen=True)
class Package:
    """hashes: SHA-256, of all its files. needed_by: names of packages, or of the project."""

    name: str
    version: str
    hashes: tuple[str, ...]
    needed_by: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"

    @property
    def licence(self) -> str:
        """An SPDX expression, from the metadata of the installed package."""
        try:
            fields = dict(metadata(self.name).json)
        except PackageNotFoundError:
            return ON_OTHER_PLATFORMS[self.name]
        if expression := fields.get("license_expression"):
            return str(expression)
        classifiers = [
            each.rpartition(" :: ")[2]
            for each in map(str, fields.get("classifier", []))
            if each.startswith("License :: ") and each != "License :: OSI Approved"
        ]
        written = classifiers or [str(fields.get("license", ""))]
        return " OR ".join(sorted({SPELLINGS.get(each, each) for each in written}))


@cache
def locked() -> tuple[Package, ...]:
    return tuple(
        Package(
            found["name"],
            found["version"],
            tuple(sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", found["rest"]))),
            tuple(re.findall(r"^ +#(?: +via)? +([a-z0-9.-]+)", found["rest"], re.MULTILINE)),
        )
        for found in PACKAGE.finditer(LOCK.read_text(encoding="utf-8"))
    )


def page() -> str:
    rows = "".join(
        f"| [{package.name}](https://pypi.org/project/{package.name}/) | {package.licence} |\n"
        for package in locked()
    )
    return f"""# Licences

The service itself is under the [MIT licence](../LICENSE). It uses these packages, which are not
part of it. `make release` writes them into the SBOM, with versions and hashes.

| package | licence |
| --- | --- |
{rows}
The LGPL and the MPL ask for the source of changes to the packages that are under them. The service
uses these packages as they are. CI fails if a package has any other licence.

This page is written by `.venv/bin/python -m release.packages`.
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
