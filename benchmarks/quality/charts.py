"""What the page draws: FID over updates on a logarithmic axis, probabilities, quality against diversity."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from minegan_zoo.charts import HEIGHT, Chart, Mark, Series, line_chart, number, ticks

from .protocol import REFERENCES
from .results import Results

FIRST = ("minegan", "transfergan", "scratch")
"""Rows that have the same colour everywhere."""
COLOURS = 8
LABEL = 35, 11
"""What a point's name takes of a scatter: percent of its width, pixels of its height."""


@dataclass(frozen=True)
class Point:
    """A row's place: percent from the left, pixels from the top."""

    name: str
    colour: int | None
    left: float
    top: float
    labelled: bool
    """Whether there is room for its name."""


@dataclass(frozen=True)
class Scatter:
    title: str
    across: str
    up: str
    points: Sequence[Point]
    values_across: Sequence[Mark]
    values_up: Sequence[Mark]


def colours(results: Results, task: str, shots: int) -> dict[str, int | None]:
    """Row -> its colour: the usual ones, then the best by FID; None (grey) for more than there are colours."""
    rows = [row for row in results.rows(task, shots) if row not in REFERENCES]
    order = [row for row in FIRST if row in rows]
    order += sorted((row for row in rows if row not in FIRST), key=lambda row: _fid(results, task, row, shots))
    return {row: place if place < COLOURS else None for place, row in enumerate(order)}


def fid_chart(results: Results, task: str, shots: int, chosen: Mapping[str, int | None]) -> Chart | None:
    """Means over the seeds, on the images that the tables are measured on."""
    lines = {row: results.over_steps(task, row, shots, "fid") for row in chosen}
    found = [value for line in lines.values() for _, value in line if value > 0]
    if not found:
        return None
    low, high = math.log10(min(found)) - 0.05, math.log10(max(found)) + 0.05
    series = [
        Series(row, [updates for updates, _ in line], [math.log10(value) for _, value in line], chosen[row])
        for row, line in lines.items()
    ]
    chart = line_chart("FID over updates", "lower is better, logarithmic", series, limits=(low, high))
    assert chart is not None
    round_values = [digit * 10.0**power for power in range(math.floor(low), math.ceil(high)) for digit in (1, 2, 5)]
    inside = [value for value in round_values if low <= math.log10(value) <= high]
    inside = inside if len(inside) > 1 else ticks(10**low, 10**high)
    marks = [Mark(HEIGHT * (high - math.log10(value)) / (high - low), number(value)) for value in inside]
    last = {row: number(round(line[-1][1], 1)) for row, line in lines.items() if line}
    drawn = tuple(dataclasses.replace(line, last=last[line.name]) for line in reversed(chart.lines))  # best on top
    return dataclasses.replace(chart, values=tuple(marks), lines=drawn)


def probability_chart(results: Results, task: str, row: str, shots: int) -> Chart | None:
    """Of each source, mean over the seeds."""
    runs = [result for result in results.of(task, row, shots) if result.raw.get("p")]
    if not runs:
        return None
    steps = [point[0] for point in runs[0].raw["p"]]
    series = [
        Series(
            source,
            steps,
            [
                fmean(points[place + 1] for points in each)
                for each in zip(*(run.raw["p"] for run in runs), strict=False)
            ],
            place,
        )
        for place, source in enumerate(runs[0].spec.sources)
    ]
    return line_chart("Which source", f"probability, {row}", series, limits=(0, 1), decimals=2)


def scatter(results: Results, task: str, shots: int, chosen: Mapping[str, int | None]) -> Scatter | None:
    """Precision over recall of every row, references in grey."""
    places = {}
    for row in results.rows(task, shots):
        found = [results.cell(task, row, shots, metric) for metric in ("recall", "precision")]
        if found[0] and found[1]:
            places[row] = found[0].mean, found[1].mean
    if not places:
        return None
    marks = ticks(0, 1)
    return Scatter(
        "Quality against diversity",
        "recall",
        "precision",
        _points(places, chosen),
        [Mark(100 * value, number(value)) for value in marks],
        [Mark(HEIGHT * (1 - value), number(value)) for value in marks],
    )


def _points(places: Mapping[str, tuple[float, float]], chosen: Mapping[str, int | None]) -> list[Point]:
    """The first rows keep their names where many lie close together; the others' are told by colour and on hover."""
    found: list[Point] = []
    for row, (x, y) in sorted(places.items(), key=lambda place: _rank(place[0], chosen)):
        left, top = 100 * x, HEIGHT * (1 - y)
        near = [p for p in found if p.labelled and abs(p.left - left) < LABEL[0] and abs(p.top - top) < LABEL[1]]
        found.append(Point(row, chosen.get(row), left, top, not near))
    return found


def _rank(row: str, chosen: Mapping[str, int | None]) -> float:
    colour = chosen.get(row)
    return -1 if row in REFERENCES else COLOURS if colour is None else colour


def _fid(results: Results, task: str, row: str, shots: int) -> float:
    found = results.cell(task, row, shots, "fid")
    return found.mean if found else math.inf
