"""`make bench`: measures, prints, and keeps the raw results and a picture of them.

QUICK=1 takes two short rounds instead of five; SCALE=1 measures growth instead of peers.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks import installation, machine, report, scale
from tests.benchmarks.comparison import compare
from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer, issuer
from tests.benchmarks.servers import HERE, LOGS, OURS, PEERS, PYTHON, production

RAW = LOGS / "result.json"
PICTURE = HERE / "result.svg"


def main() -> None:
    with ready() as (database, running):
        if os.environ.get("SCALE"):
            print(scale.table(scale.measure(database, running)))
            return
        installation.install()
        candidates = [OURS, *(peer for peer in PEERS if peer.is_installed)]
        facts = machine.facts(database)
        quick = bool(os.environ.get("QUICK"))
        amount = {"rounds": 2, "share": 0.2} if quick else {"rounds": 5, "share": 1}
        samples = [asdict(sample) for sample in compare(candidates, database, running, **amount)]
    titles = {candidate.name: candidate.title for candidate in candidates}
    print(report.table(samples, titles), "\n")
    print(listed(facts))
    RAW.write_text(json.dumps({"facts": facts, "titles": titles, "samples": samples}, indent=1))
    print(f"\nRaw results: {RAW}")
    draw(RAW, PICTURE)


@contextmanager
def ready() -> Iterator[tuple[Database, Issuer]]:
    """The database filled, the issuer running."""
    print("Filling the database ...", flush=True)
    with issuer() as running:
        database = Database.of_the_benchmarks()
        database.migrate({**production(database.url), **running.environment})
        database.fill()
        yield database, running


def listed(facts: Mapping[str, str]) -> str:
    width = max(map(len, facts)) + 2
    return "\n".join(f"{name:{width}}{fact}" for name, fact in facts.items())


def draw(raw: Path, picture: Path) -> None:
    subprocess.run([PYTHON, HERE / "picture.py", raw, picture], check=True)
    print(f"Picture: {picture}")


if __name__ == "__main__":
    main()
