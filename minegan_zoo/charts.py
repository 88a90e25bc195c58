"""Line charts as plain numbers that a template draws: x in percent, y in pixels. May import nothing of ours.

Text and lines are placed apart, so that a chart can be as wide as its page and its text stays readable.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HEIGHT = 200
"""Of the plot, in CSS pixels."""
POINTS = 240
"""A longer series is drawn as means of so many equal intervals, with the range of each as a band."""
LABEL_GAP = 17
"""Between the labels of neighbouring lines, in CSS pixels."""


@dataclass(frozen=True)
class Series:
    """One curve; `colour` is one of the template's, None draws it grey and without a label."""

    name: str
    steps: Sequence[float]
    values: Sequence[float]
    colour: int | None = 0
    cut: float | None = None
    """The step at which it came to its end: a cross, and nothing after it."""


@dataclass(frozen=True)
class Line:
    name: str
    colour: int | None
    last: str
    path: str
    """SVG path data; x in per mille of the width."""
    band: str
    """SVG path data of the range around the means, empty where every value is drawn."""
    label: float
    """Pixels from the top."""
    cross: tuple[float, float] | None
    """Where it was cut: percent from the left, pixels from the top."""


@dataclass(frozen=True)
class Mark:
    """A tick (or a level), at `place` percent from the left or pixels from the top."""

    place: float
    text: str


@dataclass(frozen=True)
class Span:
    """A stage: where it begins and how long it is, in percent of the width."""

    start: float
    length: float
    text: str


@dataclass(frozen=True)
class Chart:
    title: str
    unit: str
    lines: tuple[Line, ...]
    steps: tuple[Mark, ...]
    values: tuple[Mark, ...]
    stages: tuple[Span, ...]
    """Empty where there is only one."""
    unlabelled: int
    levels: tuple[Mark, ...]
    """Values to compare the lines with."""

    @property
    def label_width(self) -> int:
        """Of the longest label, in characters."""
        return max((len(line.name) + len(line.last) + 1 for line in self.lines if line.colour is not None), default=0)


def line_chart(
    title: str,
    unit: str,
    series: Sequence[Series],
    stages: Sequence[tuple[str, float]] = (),
    limits: tuple[float, float] | None = None,
    decimals: int | None = None,
    levels: Sequence[tuple[str, float]] = (),
) -> Chart | None:
    """Draw finite values over steps; None without any. `stages` are names and last steps; `limits` fix the y axis.

    Labels show the last value with so many `decimals`, by default with three digits. `levels` are names and values
    within the limits.
    """
    drawn = [(one, list(_buckets(one))) for one in series]
    drawn = [(one, buckets) for one, buckets in drawn if buckets]
    if not drawn:
        return None
    left = 0.0
    right = max([bucket.step for _, buckets in drawn for bucket in buckets] + [end for _, end in stages] + [1.0])
    low, high = limits or _padded(
        min(bucket.low for _, buckets in drawn for bucket in buckets),
        max(bucket.high for _, buckets in drawn for bucket in buckets),
    )

    def x(step: float) -> float:
        return 1000 * (step - left) / (right - left)

    def y(value: float) -> float:
        return HEIGHT * (high - value) / (high - low)

    lines = []
    labels = _apart([y(buckets[-1].mean) for one, buckets in drawn if one.colour is not None])
    for one, buckets in drawn:
        top = [f"{x(bucket.step):.1f} {y(bucket.high):.1f}" for bucket in buckets]
        bottom = [f"{x(bucket.step):.1f} {y(bucket.low):.1f}" for bucket in reversed(buckets)]
        path = "L".join(f"{x(bucket.step):.1f} {y(bucket.mean):.1f}" for bucket in buckets)
        lines.append(
            Line(
                name=one.name,
                colour=one.colour,
                last=number(buckets[-1].last) if decimals is None else f"{buckets[-1].last:.{decimals}f}",
                path=f"M{path}" + ("h0.1" if len(buckets) == 1 else ""),
                band="M" + "L".join(top + bottom) + "Z" if len(one.values) > POINTS else "",
                label=labels.pop(0) if one.colour is not None else 0.0,
                cross=None if one.cut is None else (x(buckets[-1].step) / 10, y(buckets[-1].last)),
            )
        )
    begins = [0.0, *(end for _, end in stages)]
    spans = [
        Span(x(start) / 10, (x(end) - x(start)) / 10, name)
        for (name, _), (start, end) in zip(stages, itertools.pairwise(begins), strict=True)
    ]
    return Chart(
        title=title,
        unit=unit,
        lines=tuple(lines),
        steps=tuple(Mark(x(step) / 10, number(step)) for step in ticks(left, right)),
        values=tuple(Mark(y(value), number(value)) for value in ticks(low, high)),
        stages=tuple(spans) if len(spans) > 1 else (),
        unlabelled=sum(one.colour is None for one, _ in drawn),
        levels=tuple(Mark(y(value), name) for name, value in levels),
    )


def number(value: float) -> str:
    """Short, for an axis or a label: 1,200 or -0.35 or 2e-05."""
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
        text = f"{value:,.{min(digits, 5)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = f"{value:.2g}"
    return text.replace("-", "−")


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, in steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class _Bucket:
    step: float
    mean: float
    low: float
    high: float
    last: float


def _buckets(series: Series) -> Iterator[_Bucket]:
    end = math.inf if series.cut is None else series.cut
    pairs = [(step, value) for step, value in zip(series.steps, series.values, strict=True) if math.isfinite(value)]
    pairs = [(step, value) for step, value in pairs if step <= end]
    size = math.ceil(len(pairs) / POINTS)
    for start in range(0, len(pairs), max(1, size)):
        steps, values = zip(*pairs[start : start + size], strict=True)
        yield _Bucket(sum(steps) / len(steps), sum(values) / len(values), min(values), max(values), values[-1])


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = 0.06 * (high - low) or 0.5 * abs(high) or 0.5
    return low - margin, high + margin


def _apart(places: Sequence[float]) -> list[float]:
    """The labels' places, moved so that none covers another and all stay beside the plot."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    least = 0.0
    for index in order:
        moved[index] = least = max(places[index], least)
        least += LABEL_GAP
    most = float(HEIGHT)
    for index in reversed(order):
        moved[index] = most = min(moved[index], most)
        most -= LABEL_GAP
    return moved
