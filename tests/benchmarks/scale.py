"""Measures the same operations on growing tables and with growing pages."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.benchmarks import report
from tests.benchmarks.comparison import bench
from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer
from tests.benchmarks.operations import CHANGE, LIST, READ, Operation, paged_list, people
from tests.benchmarks.servers import OURS

SIZES = (20_000, 500_000, 5_000_000)
TASKS_PER_USER = 20
PAGES = (1, 20, 100, 1000)
TASKS_PER_READER = 1000
READERS = 200

PEOPLE = 1000
ROUNDS = 5
REQUESTS = 1000
CONNECTIONS = 8


@dataclass(frozen=True)
class Growth:
    """One run on a table of `tasks` tasks. Units as in `comparison.Sample`."""

    operation: str
    tasks: int
    server_cpu: float
    database_cpu: float
    p50: float


def measure(database: Database, issuer: Issuer) -> Iterator[Growth]:
    for tasks in SIZES:
        database.fill(tasks, tasks // TASKS_PER_USER)
        yield from growth(database, issuer, (LIST, READ, CHANGE), REQUESTS)
    pages = [paged_list(length, TASKS_PER_READER) for length in PAGES]
    database.fill(READERS * TASKS_PER_READER, READERS)
    yield from growth(database, issuer, pages, REQUESTS // 5)


def growth(
    database: Database,
    issuer: Issuer,
    operations: Sequence[Operation],
    requests: int,
    rounds: int = ROUNDS,
) -> Iterator[Growth]:
    """Runs the operations in turns on the table at its present size."""
    print(f"{database.tasks} tasks of {database.users} users ...", flush=True)
    asking = people(database, issuer, "EdDSA", min(PEOPLE, database.users))
    with bench(OURS, database, issuer) as running:
        for operation in operations:
            running.run(operation, asking, CONNECTIONS, len(asking))
        for _ in range(rounds):
            for operation in operations:
                result, used = running.run(operation, asking, CONNECTIONS, requests)
                yield Growth(
                    operation.name,
                    database.tasks,
                    server_cpu=used.server / result.answered * 1e6,
                    database_cpu=used.database / result.answered * 1e6,
                    p50=result.p50,
                )


def table(found: Iterable[Growth]) -> str:
    """Each operation by size of the table, then the pages by size, relative to the smallest."""
    series: dict[str, dict[tuple[str, int], list[Growth]]] = {}
    for growth in found:
        name = "page" if growth.operation.startswith("page") else growth.operation
        cell = (growth.operation, growth.tasks)
        series.setdefault(name, {}).setdefault(cell, []).append(growth)
    rows: list[Sequence[str]] = [
        ("", "tasks in the table", "CPU, times the smallest", "server µs", "database µs", "p50 ms")
    ]
    for cells in series.values():
        smallest = next(iter(cells.values()))
        rows += [
            (),
            *(_row(operation, tasks, runs, smallest) for (operation, tasks), runs in cells.items()),
        ]
    return report.aligned(rows)


def _row(
    operation: str, tasks: int, runs: Sequence[Growth], smallest: Sequence[Growth]
) -> Sequence[str]:
    base = report.spread(run.server_cpu + run.database_cpu for run in smallest).median
    return (
        operation,
        f"{tasks:,}",
        str(report.spread((run.server_cpu + run.database_cpu) / base for run in runs)),
        str(report.spread(run.server_cpu for run in runs)),
        str(report.spread(run.database_cpu for run in runs)),
        str(report.spread(run.p50 for run in runs)),
    )
