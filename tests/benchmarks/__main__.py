"""`make bench`: measures, prints, and keeps the raw results and a picture of them.

QUICK=1 takes two short rounds instead of five; SCALE=1 measures growth instead of peers, ADMIN=1
the pages of the admin.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks import admin_pages, installation, machine, report, scale
from tests.benchmarks.comparison import compare
from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer, issuer
from tests.benchmarks.servers import HERE, LOGS, OURS, PEERS, PYTHON, production

RAW = LOGS / "result.json"
RAW_GROWTH = LOGS / "growth.json"
RAW_PAGES = LOGS / "admin.json"
PICTURE = HERE / "result.svg"


def main() -> None:
    if os.environ.get("SCALE"):
        measure_growth()
    elif os.environ.get("ADMIN"):
        measure_admin()
    else:
        compare_with_peers(quick=bool(os.environ.get("QUICK")))


def measure_growth() -> None:
    with ready() as (database, running):
        facts = machine.facts(database)
        found = list(scale.measure(database, running))
    show(scale.table(found), facts)
    keep(RAW_GROWTH, {"facts": facts, "runs": [asdict(growth) for growth in found]})


def measure_admin() -> None:
    with issuer() as running:
        database = Database.of_the_benchmarks()
        database.migrate({**production(database.url), **running.environment})
        admin_pages.fill(database)
        facts = machine.facts(database)
        pages, exports = admin_pages.measure(database, running)
    show(admin_pages.table(pages, exports), facts)
    keep(
        RAW_PAGES,
        {
            "facts": facts,
            "pages": [asdict(page) for page in pages],
            "exports": [asdict(export) for export in exports],
        },
    )


def compare_with_peers(*, quick: bool) -> None:
    installation.install()
    candidates = [OURS, *(peer for peer in PEERS if peer.is_installed)]
    titles = {candidate.name: candidate.title for candidate in candidates}
    with ready() as (database, running):
        facts = machine.facts(database)
        rounds, share = (2, 0.2) if quick else (5, 1)
        found = compare(candidates, database, running, rounds=rounds, share=share)
        samples = [asdict(sample) for sample in found]
    show(report.table(samples, titles), facts)
    keep(RAW, {"facts": facts, "titles": titles, "samples": samples})
    subprocess.run([PYTHON, HERE / "picture.py", RAW, PICTURE], check=True)
    print(f"Picture: {PICTURE}")


def show(table: str, facts: Mapping[str, str]) -> None:
    width = max(map(len, facts)) + 2
    print(f"\n{table}\n")
    for name, fact in facts.items():
        print(f"{name:{width}}{fact}")


def keep(path: Path, results: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(f"\nRaw results: {path}")


@contextmanager
def ready() -> Iterator[tuple[Database, Issuer]]:
    """The database filled, the issuer running."""
    print("Filling the database ...", flush=True)
    with issuer() as running:
        database = Database.of_the_benchmarks()
        database.migrate({**production(database.url), **running.environment})
        database.fill()
        yield database, running


if __name__ == "__main__":
    main()
