"""The chart of the start page: bars of the last days, in the units of its drawing."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.admin.overview import Day

WIDTH, HEIGHT = 640, 200
LEFT, TOP, RIGHT, BOTTOM = 56, 10, 20, 24
PLOT = HEIGHT - TOP - BOTTOM
LINES = 4
LABEL_DAYS = 7


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    height: float


@dataclass(frozen=True)
class Column:
    """label: of the axis; most days have none."""

    day: Day
    created: Bar
    completed: Bar
    middle: float
    label: str


@dataclass(frozen=True)
class Line:
    y: float
    label: str


@dataclass(frozen=True)
class Chart:
    columns: Sequence[Column]
    lines: Sequence[Line]
    bar_width: float
    width: int = WIDTH
    right: int = WIDTH - RIGHT
    height: int = HEIGHT
    left: int = LEFT
    base: int = HEIGHT - BOTTOM


def draw(days: Sequence[Day]) -> Chart:
    top = _round_up(max(max(day.created.value, day.completed.value) for day in days))
    step = (WIDTH - LEFT - RIGHT) / len(days)
    bar_width = round(step * 0.4, 1)

    def bar(value: int, x: float) -> Bar:
        height = round(PLOT * value / top, 1)
        return Bar(round(x, 1), round(TOP + PLOT - height, 1), height)

    columns = []
    for n, day in enumerate(days):
        x = LEFT + n * step + step * 0.1
        is_labelled = (len(days) - 1 - n) % LABEL_DAYS == 0
        columns.append(
            Column(
                day,
                bar(day.created.value, x),
                bar(day.completed.value, x + bar_width),
                round(x + bar_width, 1),
                f"{day.day:%-d %b}" if is_labelled else "",
            )
        )
    lines = [
        Line(round(TOP + PLOT * (1 - n / LINES), 1), f"{top * n // LINES:,}")
        for n in range(LINES + 1)
    ]
    return Chart(columns, lines, bar_width)


def _round_up(value: int) -> int:
    """A number that is easy to read and can be divided by LINES."""
    unit = 1
    while True:
        for factor in (4, 8, 12, 20):
            if value <= factor * unit:
                return factor * unit
        unit *= 10
