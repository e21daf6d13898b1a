"""The packages of the service as a software bill of materials: CycloneDX 1.6, in JSON."""

import json
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from config import VERSION
from release.packages import Package, locked

NAME = "better-auth-tasks"
PROJECT = f"pkg:generic/{NAME}@{VERSION}"


def document(commit: str, timestamp: str) -> str:
    """The same for the same commit. timestamp: of the commit, RFC 3339."""
    packages = locked()
    bom: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid5(NAMESPACE_URL, f"{PROJECT}#{commit}").urn,
        "version": 1,
        "metadata": {
            "timestamp": timestamp,
            "component": {
                "type": "application",
                "bom-ref": PROJECT,
                "name": NAME,
                "version": VERSION,
                "licenses": [{"expression": "MIT"}],
                "purl": PROJECT,
            },
        },
        "components": [component(package) for package in packages],
        "dependencies": [
            {"ref": PROJECT, "dependsOn": needs(NAME, packages)},
            *(
                {"ref": package.url, "dependsOn": needs(package.name, packages)}
                for package in packages
            ),
        ],
    }
    return json.dumps(bom, indent=2) + "\n"


def component(package: Package) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": package.url,
        "name": package.name,
        "version": package.version,
        "licenses": [{"expression": package.licence}],
        "purl": package.url,
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{package.name}/{package.version}/#files",
                "hashes": [{"alg": "SHA-256", "content": each} for each in package.hashes],
            }
        ],
    }


def needs(name: str, packages: tuple[Package, ...]) -> list[str]:
    return [package.url for package in packages if name in package.needed_by]
