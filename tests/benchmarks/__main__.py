"""`make bench`: measures, prints, and saves the raw results and a chart of them.

QUICK=1 runs two short rounds instead of five. SCALE=1 measures how cost grows with the table,
ADMIN=1 the pages of the admin, LIST=1 filtered and sorted lists, and POLL=1 the ways to learn what
has changed, both beside FastAPI + SQLModel.
BASE=<commit> compares with an earlier release of this project instead of the peers; a server
without a framework is part of both comparisons. PG=<version> selects another PostgreSQL than the
embedded one for any of these.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks import (
    admin_pages,
    installation,
    lists,
    machine,
    polling,
    postgres,
    release,
    report,
    scale,
)
from tests.benchmarks.comparison import compare
from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer, issuer
from tests.benchmarks.servers import HERE, LOGS, OURS, PEERS, PYTHON, Candidate, production

PICTURE = HERE / "result.svg"

VERSION = os.environ.get("PG", "")
BASE = os.environ.get("BASE", "")
ROUNDS, SHARE = (2, 0.2) if os.environ.get("QUICK") else (5, 1)


def main() -> None:
    other = [name for name in ("SCALE", "ADMIN", "LIST", "POLL") if os.environ.get(name)]
    if BASE and other:
        raise SystemExit(f"BASE compares the operations of the API: not together with {other[0]}.")
    if VERSION:
        postgres.programs(VERSION)
    if os.environ.get("SCALE"):
        measure_growth()
    elif os.environ.get("ADMIN"):
        measure_admin()
    elif os.environ.get("LIST"):
        measure_lists()
    elif os.environ.get("POLL"):
        measure_polling()
    elif BASE:
        compare_with_base()
    else:
        compare_with_peers()


def measure_growth() -> None:
    with ready() as (database, running):
        facts = machine.facts(database)
        found = list(scale.measure(database, running))
    show(scale.table(found), facts)
    keep("growth", {"facts": facts, "runs": [asdict(growth) for growth in found]})


def measure_admin() -> None:
    with migrated() as (database, running):
        admin_pages.fill(database)
        facts = machine.facts(database)
        pages, exports = admin_pages.measure(database, running)
    show(admin_pages.table(pages, exports), facts)
    keep(
        "admin",
        {
            "facts": facts,
            "pages": [asdict(page) for page in pages],
            "exports": [asdict(export) for export in exports],
        },
    )


def measure_lists() -> None:
    installation.install()
    titles = {candidate.name: candidate.title for candidate in (OURS, lists.PEER)}
    with ready() as (database, running):
        print("Adding users with many tasks ...", flush=True)
        stored = lists.filled(database)
        facts = machine.facts(database)
        facts["data"] += f", and {database.others:,} of users with many tasks"
        found = lists.measure(stored, running, rounds=ROUNDS, share=SHARE)
        samples = [asdict(sample) for sample in found]
    tables = lists.Tables(samples, titles, stored)
    show(report.table(samples, titles), facts)
    keep("lists", {"facts": facts, "titles": titles, "samples": samples})
    print(f"\nFor docs/performance.md:\n\n{tables}\n\nFor README.md:\n\n{tables.readme()}\n")
    print("\n".join(tables.missed()) or "Every goal is reached.")


def measure_polling() -> None:
    installation.install()
    titles = {candidate.name: candidate.title for candidate in (OURS, lists.PEER)}
    with ready() as (database, running):
        stored = polling.filled(database)
        facts = machine.facts(database)
        facts["data"] += f", and {database.others:,} of users who poll"
        found = polling.measure(stored, running, rounds=ROUNDS, share=SHARE)
        samples = [asdict(sample) for sample in found]
    table = polling.Table(samples, titles)
    show(report.table(samples, titles), facts)
    keep("polling", {"facts": facts, "titles": titles, "samples": samples})
    print(f"\nFor docs/performance.md:\n\n{table}\n")
    print("\n".join(table.missed()) or "Every goal is reached.")


def compare_with_peers() -> None:
    installation.install()
    candidates = [OURS, *(peer for peer in PEERS if peer.is_installed)]
    with ready() as (database, running):
        results = measured(dict.fromkeys(candidates, database), running)
    show(report.table(results["samples"], results["titles"]), results["facts"])
    raw = keep("result", results)
    picture = raw.with_suffix(".svg") if VERSION else PICTURE
    subprocess.run([PYTHON, HERE / "picture.py", raw, picture], check=True)
    print(f"Picture: {picture}")
    samples, titles = results["samples"], results["titles"]
    print(f"\nFor docs/performance.md:\n\n{report.comparison(samples, titles)}\n")
    print(f"For README.md:\n\n{report.comparison_for_readme(samples, titles)}\n")


def compare_with_base() -> None:
    base = release.exported(BASE)
    installation.install()
    floor = PEERS[0]
    with ready() as (database, running):
        print("Filling the database of the earlier release ...", flush=True)
        candidates = {OURS: database, base: release.database_of(base, database, running)}
        results = measured(candidates | {floor: database}, running)
    results["facts"]["earlier release"] = f"{BASE}, with the packages of this tree"
    samples, titles = results["samples"], results["titles"]
    tables = (report.table(samples, titles), report.changes(samples, titles))
    show("\n\n".join(tables), results["facts"])
    keep("base", results)


def measured(candidates: Mapping[Candidate, Database], running: Issuer) -> dict[str, Any]:
    """The raw results."""
    facts = machine.facts(candidates[OURS])
    found = compare(candidates, running, rounds=ROUNDS, share=SHARE)
    return {
        "facts": facts,
        "titles": {candidate.name: candidate.title for candidate in candidates},
        "samples": [asdict(sample) for sample in found],
    }


def show(table: str, facts: Mapping[str, str]) -> None:
    width = max(map(len, facts)) + 2
    print(f"\n{table}\n")
    for name, fact in facts.items():
        print(f"{name:{width}}{fact}")


def keep(name: str, results: Mapping[str, Any]) -> Path:
    path = LOGS / f"{name}{f'-{VERSION}' if VERSION else ''}.json"
    path.write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(f"\nRaw results: {path}")
    return path


@contextmanager
def ready() -> Iterator[tuple[Database, Issuer]]:
    """A filled database and a running issuer."""
    with migrated() as (database, running):
        print("Filling the database ...", flush=True)
        database.fill()
        yield database, running


@contextmanager
def migrated() -> Iterator[tuple[Database, Issuer]]:
    with postgres.running(VERSION) as url, issuer() as running:
        database = Database(url)
        database.migrate({**production(url), **running.environment})
        yield database, running


if __name__ == "__main__":
    main()
