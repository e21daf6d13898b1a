"""Turns samples into a table of medians, with the minimum and the maximum of the rounds."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

Sample = Mapping[str, Any]
"""A `comparison.Sample` as the raw results have it."""

SCENE = ("token", "connections", "distance")
CPU_SCENE = ("EdDSA", 32, 0)
LATENCY_SCENE = ("EdDSA", 1, 2)
LATENCY = "p50 on one connection, database 2 ms away"
IN_README = ("go", "fastify", "fastapi_sqlmodel")
"""The servers in its table of speed, besides ours."""
HEAD = (
    *("", "CPU, times ours", "server µs", "database µs", "requests/s"),
    *("p50 ms", "p95 ms", "p99 ms", "MiB", "round trips"),
)

FIGURES = ("server_cpu", "database_cpu", "throughput", "p50", "p95")
CHANGES = ("ours / base", "CPU", "of server", "of database", "requests/s", "p50", "p95")


@dataclass(frozen=True)
class Spread:
    median: float
    minimum: float
    maximum: float

    def __str__(self) -> str:
        return f"{number(self.median)} ({number(self.minimum)}-{number(self.maximum)})"


def spread(values: Iterable[float]) -> Spread:
    ordered = sorted(values)
    return Spread(statistics.median(ordered), ordered[0], ordered[-1])


def number(value: float) -> str:
    """Three significant digits, and all digits before the decimal point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def median(values: Iterable[float]) -> str:
    return number(spread(values).median)


def cpu(sample: Sample) -> float:
    """Of the server and the database together, in microseconds per request."""
    return float(sample["server_cpu"] + sample["database_cpu"])


def ratios(
    theirs: Sequence[Sample], ours: Sequence[Sample], figure: Callable[[Sample], float] = cpu
) -> Spread:
    """Their CPU per request as a multiple of ours, within each round."""
    base = {sample["turn"]: figure(sample) for sample in ours}
    return spread(_divided(figure(sample), base[sample["turn"]]) for sample in theirs)


def _divided(value: float, by: float) -> float:
    """NaN if the divisor is 0: the measured CPU of very few requests may be 0."""
    return value / by if by else math.nan


def cells(samples: Sequence[Sample]) -> dict[tuple[Any, ...], dict[str, list[Sample]]]:
    """The samples by scene and operation, then by server, in the order of the runs."""
    found: dict[tuple[Any, ...], dict[str, list[Sample]]] = {}
    for sample in samples:
        cell = (*(sample[name] for name in SCENE), sample["operation"])
        found.setdefault(cell, {}).setdefault(sample["server"], []).append(sample)
    return found


def changes(samples: Sequence[Sample], titles: Mapping[str, str]) -> str:
    """Our figures as a multiple of those of the earlier release, `base`."""
    rows: list[Sequence[str]] = [
        CHANGES,
        (f"{titles['ours']} / {titles['base']}: less than 1 is better, except of requests/s",),
    ]
    by_scene = groupby(cells(samples).items(), key=lambda item: item[0][:3])
    for scene, operations in by_scene:
        rows += [(), (_heading(*scene),)]
        rows += [
            (f"  {cell[-1]}", *_changes(by_server["ours"], by_server["base"]))
            for cell, by_server in operations
        ]
    return aligned(rows)


def _changes(ours: Sequence[Sample], base: Sequence[Sample]) -> list[str]:
    of_each = (ratios(ours, base, itemgetter(name)) for name in FIGURES)
    return [str(ratios(ours, base)), *map(str, of_each)]


def _heading(token: str, connections: int, distance: int) -> str:
    plural = "" if connections == 1 else "s"
    return f"{token}, {connections} connection{plural}, database at {distance} ms"


def table(samples: Sequence[Sample], titles: Mapping[str, str], base: str = "ours") -> str:
    rounds = len({sample["turn"] for sample in samples})
    rows: list[Sequence[str]] = [HEAD, (f"Medians (minimum-maximum), rounds: {rounds}",)]
    by_scene = groupby(cells(samples).items(), key=lambda item: item[0][:3])
    for scene, operations in by_scene:
        rows += [(), (_heading(*scene),)]
        for (*_, operation), by_server in operations:
            rows.append((operation,))
            rows += [
                (f"  {titles[server]}", *_figures(runs, by_server[base]))
                for server, runs in by_server.items()
            ]
    return aligned(rows)


def comparison(samples: Sequence[Sample], titles: Mapping[str, str]) -> str:
    """The table of docs/performance.md: the CPU of all, and the latency of those in README."""
    used = _relative(samples, titles, CPU_SCENE, cpu)
    rows = [
        [f"**{titles[server]}**", *["**1**"] * len(row)]
        if server == "ours"
        else [titles[server], *(f"{value:.2f}" for value in row.values())]
        for server, row in sorted(used.items(), key=lambda item: sum(item[1].values()))
    ]
    waits = _relative(samples, titles, LATENCY_SCENE, itemgetter("p50"))
    rows += [
        [f"{titles[server]}: {LATENCY}", *(f"{value:.2f}" for value in waits[server].values())]
        for server in IN_README
        if server in titles
    ]
    return markdown([["", *used["ours"]], *rows])


def _relative(
    samples: Sequence[Sample],
    titles: Mapping[str, str],
    scene: tuple[str, int, int],
    figure: Callable[[Sample], float],
) -> dict[str, dict[str, float]]:
    """By server and operation, as a multiple of ours."""
    found = {cell[-1]: runs for cell, runs in cells(samples).items() if cell[:-1] == scene}
    return {
        server: {
            operation: ratios(of[server], of["ours"], figure).median
            for operation, of in found.items()
        }
        for server in titles
    }


def comparison_for_readme(samples: Sequence[Sample], titles: Mapping[str, str]) -> str:
    used = _relative(samples, titles, CPU_SCENE, cpu)
    ranges = {server: list(row.values()) for server, row in used.items()}
    return readme_row("an operation on tasks", "[1](docs/performance.md)", ranges)


def readme_row(name: str, ours: str, found: Mapping[str, Sequence[float]]) -> str:
    """A row of the table of speed in README: of each server the lowest and the highest figure."""
    others = [
        f"{min(found[server]):.1f} to {max(found[server]):.1f}"
        if server in found
        else "not measured"
        for server in IN_README
    ]
    return f"| {' | '.join((name, ours, *others))} |"


def _figures(runs: Sequence[Sample], base: Sequence[Sample]) -> list[str]:
    def of(name: str) -> Spread:
        return spread(run[name] for run in runs)

    trips = [run["round_trips"] for run in runs if run["round_trips"] is not None]
    return [
        str(ratios(runs, base)),
        *(str(of(name)) for name in ("server_cpu", "database_cpu", "throughput")),
        *(str(of(name)) for name in ("p50", "p95", "p99")),
        number(of("memory").median),
        number(spread(trips).median) if trips else "",
    ]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Aligns the first column left and the others right. A row of one cell is a heading."""
    tabular = [row for row in rows if len(row) > 1]
    widths = [max(map(len, column)) for column in zip(*tabular, strict=True)]
    lines = []
    for row in rows:
        first = row[0].ljust(widths[0]) if row else ""
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=False))
        lines.append("  ".join((first, *rest)).rstrip())
    return "\n".join(lines)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the head. The first column is aligned left and the others right."""
    head, *others = rows
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *others]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
