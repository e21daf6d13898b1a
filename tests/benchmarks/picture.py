"""Draws a chart of the raw results. Runs in the environment of the peers, which has matplotlib."""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import matplotlib as mpl
from matplotlib import pyplot as plt

from tests.benchmarks import report

OURS, THEIRS, FLOOR = "#0b7285", "#adb5bd", "#dee2e6"


def draw(results: dict[str, Any], path: Path) -> None:
    # The same figures produce the same file.
    mpl.rcParams["svg.hashsalt"] = "tasks"
    mpl.rcParams["font.size"] = 9
    titles = results["titles"]
    by_operation = {
        cell[-1]: by_server
        for cell, by_server in report.cells(results["samples"]).items()
        if cell[:-1] == report.CPU_SCENE
    }
    figure, panels = plt.subplots(2, 3, figsize=(10, 5), sharey=True, layout="constrained")
    for axes, (operation, by_server) in zip(panels.flat, by_operation.items(), strict=True):
        for place, name in enumerate(titles):
            runs = by_server[name]
            used = report.spread(map(report.cpu, runs))
            colour = {"ours": OURS, "floor": FLOOR}.get(name, THEIRS)
            whiskers = [[used.median - used.minimum], [used.maximum - used.median]]
            axes.barh(
                place, used.median, color=colour, xerr=whiskers, error_kw={"ecolor": "#495057"}
            )
            ratio = report.ratios(runs, by_server["ours"]).median
            axes.text(used.maximum, place, f"  {ratio:.1f} times", va="center")
        axes.set_title(operation, loc="left", fontweight="bold")
        axes.set_yticks(range(len(titles)), titles.values())
        axes.margins(x=0.18)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0][0].invert_yaxis()
    facts = results["facts"]
    figure.suptitle("CPU per request, server and PostgreSQL, in microseconds: less is better")
    token, connections, _ = report.CPU_SCENE
    rounds = len({sample["turn"] for sample in results["samples"]})
    figure.supxlabel(
        f"{token} tokens, {connections} connections; medians of {rounds} rounds, minimum and "
        f"maximum as whiskers\n{facts['machine']}; Python {facts['python']}; {facts['date']}",
        fontsize=8,
    )
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    raw, target = map(Path, sys.argv[1:])
    draw(json.loads(raw.read_text(encoding="utf-8")), target)
