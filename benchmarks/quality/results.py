"""The results that there are, as numbers with means and spreads. Reads JSON, imports no torch of its own."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from .performing import digest, result_path
from .places import Places
from .protocol import Protocol, Rates, Spec

WHOLE, SECOND = 0, 1
"""Feature spaces: the bundled extractor's, the fixed one."""


@dataclass(frozen=True)
class Result:
    """One row of one seed."""

    spec: Spec
    raw: Mapping[str, Any]
    """The JSON."""
    sheet: Path
    """Of samples; there for the first seed."""
    stale: bool = False
    """Made with other settings than today's."""

    @property
    def values(self) -> dict[tuple[int, str], float]:
        """(space, metric) -> value."""
        return {
            (space, name): record["value"]
            for space, folded in enumerate(self.raw["spaces"])
            for name, record in folded["metrics"].items()
        }


@dataclass(frozen=True)
class Cell:
    """A number over seeds."""

    mean: float
    spread: float
    """Standard deviation of the seeds; nan of one."""
    count: int


class Results:
    """All that is there of a grid."""

    def __init__(self, found: Sequence[Result]) -> None:
        self.found = found

    def rows(self, task: str, shots: int) -> list[str]:
        """Names of rows of a table, references first."""
        return list(dict.fromkeys(r.spec.row for r in self.found if _belongs(r.spec, task, shots)))

    def tables(self) -> list[tuple[str, int]]:
        """(task, shots) of which there is a trained row."""
        return list(dict.fromkeys((r.spec.task, r.spec.shots) for r in self.found if r.spec.trains))

    def of(self, task: str, row: str, shots: int) -> list[Result]:
        """The seeds of a row."""
        return [r for r in self.found if _belongs(r.spec, task, shots) and r.spec.row == row]

    def cell(self, task: str, row: str, shots: int, metric: str, space: int = WHOLE) -> Cell | None:
        """None where it was not measured."""
        values = [r.values[space, metric] for r in self.of(task, row, shots) if (space, metric) in r.values]
        return cell(values) if values else None

    def over_steps(self, task: str, row: str, shots: int, metric: str) -> list[tuple[float, float]]:
        """(updates, mean over the seeds), at the updates that all seeds have."""
        curves = [
            {point["updates"]: point[metric] for point in r.raw["over_steps"] if metric in point}
            for r in self.of(task, row, shots)
            if r.spec.trains
        ]
        shared = sorted(set.intersection(*map(set, curves))) if curves else []
        return [(updates, fmean(curve[updates] for curve in curves)) for updates in shared]


def cell(values: Sequence[float]) -> Cell:
    return Cell(fmean(values), stdev(values) if len(values) > 1 else math.nan, len(values))


def read_result(spec: Spec, places: Places) -> Result:
    path = result_path(spec, places)
    return Result(spec, json.loads(path.read_text("utf-8")), path.with_suffix(".webp"))


def read_results(protocol: Protocol, places: Places, rates: Rates) -> Results:
    """Whatever of the grid is there; a file that cannot be read counts as missing."""
    found = []
    for spec in protocol.specs(rates):
        try:
            result = read_result(spec, places)
        except (OSError, ValueError):
            continue
        stale = result.raw["digest"] != digest(spec, protocol)
        found.append(Result(spec, result.raw, result.sheet, stale))
    return Results(found)


def _belongs(spec: Spec, task: str, shots: int) -> bool:
    """A reference that no shots change belongs to every table of its task."""
    return spec.task == task and spec.shots in (shots, 0)
