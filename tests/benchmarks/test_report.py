from typing import Any

import pytest

from tests.benchmarks import report, scale

LATENCIES = "1 (1-1) 2 (2-2) 3 (3-3)"


def sample(turn: int, server: str, cpu: float, **others: Any) -> dict[str, Any]:
    return {
        "turn": turn,
        "server": server,
        "operation": "read",
        "token": "EdDSA",
        "connections": 1,
        "distance": 2,
        "server_cpu": cpu * 0.75,
        "database_cpu": cpu * 0.25,
        "throughput": 1e6 / cpu,
        "p50": 1.0,
        "p95": 2.0,
        "p99": 3.0,
        "memory": 200.4,
        "round_trips": 1.0,
        **others,
    }


def test_a_round_is_compared_with_itself() -> None:
    """A machine that is slow for one round slows both, and the ratio stays the same."""
    ours = [sample(turn, "ours", cpu) for turn, cpu in ((1, 100), (2, 1000), (3, 100))]
    theirs = [sample(turn, "drf", cpu) for turn, cpu in ((1, 300), (2, 2000), (3, 400))]

    assert report.ratios(theirs, ours) == report.Spread(median=3, minimum=2, maximum=4)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.12345, "0.123"), (1, "1"), (1.005, "1"), (12.34, "12.3"), (123.4, "123"), (98765, "98765")],
)
def test_numbers_have_three_significant_digits(value: float, expected: str) -> None:
    assert report.number(value) == expected


def test_the_table_shows_ratios_first_by_scene_operation_and_server() -> None:
    samples = [
        sample(1, "ours", 100),
        sample(1, "drf", 250, round_trips=2.0),
        sample(1, "ours", 400, distance=0, round_trips=None),
        sample(1, "drf", 400, distance=0, round_trips=None),
    ]

    table = report.table(samples, {"ours": "this project", "drf": "others"})

    assert [" ".join(line.split()) for line in table.splitlines()] == [
        "CPU, times ours server µs database µs requests/s p50 ms p95 ms p99 ms MiB round trips",
        "Medians (minimum-maximum), rounds: 1",
        "",
        "EdDSA, 1 connection, database at 2 ms",
        "read",
        f"this project 1 (1-1) 75 (75-75) 25 (25-25) 10000 (10000-10000) {LATENCIES} 200 1",
        f"others 2.5 (2.5-2.5) 188 (188-188) 62.5 (62.5-62.5) 4000 (4000-4000) {LATENCIES} 200 2",
        "",
        "EdDSA, 1 connection, database at 0 ms",
        "read",
        f"this project 1 (1-1) 300 (300-300) 100 (100-100) 2500 (2500-2500) {LATENCIES} 200",
        f"others 1 (1-1) 300 (300-300) 100 (100-100) 2500 (2500-2500) {LATENCIES} 200",
    ]


def test_the_documents_have_the_ratios_of_their_scenes() -> None:
    samples = [
        sample(1, server, cpu, operation=operation, p50=cpu / 50, **scene)
        for scene in ({"connections": 32, "distance": 0}, {"connections": 1, "distance": 2})
        for operation, factor in (("read", 1), ("create", 2))
        for server, cpu in (("ours", 100), ("drf", 300), ("go", 42 * factor))
    ]
    titles = {"ours": "this project", "drf": "others", "go": "Go + pgx"}

    assert report.comparison(samples, titles).splitlines() == [
        "|  | read | create |",
        "| --- | ---: | ---: |",
        "| Go + pgx | 0.42 | 0.84 |",
        "| **this project** | **1** | **1** |",
        "| others | 3.00 | 3.00 |",
        "| Go + pgx: p50 on one connection, database 2 ms away | 0.42 | 0.84 |",
    ]
    assert report.comparison_for_readme(samples, titles) == (
        "| an operation on tasks | [1](docs/performance.md) "
        "| 0.4 to 0.8 | not measured | not measured |"
    )


def test_changes_are_ratios_to_the_earlier_release_by_operation() -> None:
    samples = [
        *(sample(turn, "base", 200, p95=4.0) for turn in (1, 2, 3)),
        *(sample(turn, "ours", cpu) for turn, cpu in ((1, 100), (2, 150), (3, 300))),
        sample(1, "base", 100, operation="list", database_cpu=0),
        sample(1, "ours", 100, operation="list"),
        sample(1, "floor", 50),
    ]

    table = report.changes(samples, {"ours": "this project", "base": "that of old"})

    one, ratio = "1 (1-1)", "0.75 (0.5-1.5)"
    assert [" ".join(line.split()) for line in table.splitlines()] == [
        "ours / base CPU of server of database requests/s p50 p95",
        "this project / that of old: less than 1 is better, except of requests/s",
        "",
        "EdDSA, 1 connection, database at 2 ms",
        f"read {ratio} {ratio} {ratio} 1.33 (0.667-2) {one} 0.5 (0.5-0.5)",
        f"list 1.33 (1.33-1.33) {one} nan (nan-nan) {one} {one} {one}",
    ]


def test_growth_is_relative_to_the_smallest_table_and_page() -> None:
    found = [
        scale.Growth(operation, tasks, server_cpu=cpu, database_cpu=cpu, p50=1)
        for operation, tasks, cpu in (
            ("read", 20_000, 100),
            ("read", 5_000_000, 150),
            ("page of 1", 200_000, 50),
            ("page of 100", 200_000, 200),
        )
    ]

    lines = [line.split("(")[0].split() for line in scale.table(found).splitlines()[1:]]

    assert lines == [
        [],
        ["read", "20,000", "1"],
        ["read", "5,000,000", "1.5"],
        [],
        ["page", "of", "1", "200,000", "1"],
        ["page", "of", "100", "200,000", "4"],
    ]
