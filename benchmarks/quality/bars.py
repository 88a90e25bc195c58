"""The bars that the suite is held to, each with the number that was reached. Ratios are of means over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean, geometric_mean
from typing import NamedTuple

from .protocol import RIVALS, TASKS
from .results import SECOND, WHOLE, Results

OURS, PLAIN = "minegan", "transfergan"
SAME, COPIES = 1.1, 0.95


@dataclass(frozen=True)
class Bar:
    """A bound, and what was reached; None where the runs for it are not there."""

    task: str
    claim: str
    at_most: float | None
    at_least: float | None
    reached: float | None
    error: float | None = None
    """Standard error over the seeds; None where there is one seed, or none."""
    replayed: float | None = None
    """What a method would reach that replays its training images; None where that says nothing."""

    @property
    def close(self) -> bool:
        """Whether the bound is no further than the standard error."""
        bound = self.at_most if self.at_least is None else self.at_least
        if self.reached is None or self.error is None or bound is None:
            return False
        return abs(self.reached - bound) <= self.error

    @property
    def holds(self) -> bool | None:
        if self.reached is None:
            return None
        return self.reached <= (self.at_most or math.inf) if self.at_least is None else self.reached >= self.at_least

    def __str__(self) -> str:
        verdict = {True: "yes", False: "NO", None: "open"}[self.holds]
        bound = f"<= {self.at_most:g}" if self.at_least is None else f">= {self.at_least:g}"
        error = "" if self.error is None else f" +- {self.error:.2g}"
        reached = "no number" if self.reached is None else f"{self.reached:.3g}"
        close = ", within the spread" if self.close else ""
        replayed = "" if self.replayed is None else f"; training images replayed: {self.replayed:.3g}"
        return f"{verdict:5} {self.task:13} {self.claim}: {reached}{error} ({bound}){close}{replayed}"


def check_bars(results: Results) -> list[Bar]:
    """All of them, in the order of the claims."""
    return [bar for part in (_off, _on, _rivals, _several, _copies) for bar in part(results)]


def _off(results: Results) -> Iterator[Bar]:
    for task in [name for name, task in TASKS.items() if task.kind == "off"]:

        def ratio(metric: str, shots: int, task: str = task) -> _Number:
            return _ratio(results, task, shots, metric, OURS, PLAIN)

        def fid(shots: int, bound: float, space: int = WHOLE, task: str = task) -> Bar:
            where = " in the fixed space" if space == SECOND else ""
            claim = f"FID / transfergan's FID{where}, {shots} images"
            found, replayed = (_ratio(results, task, shots, "fid", row, PLAIN, space) for row in (OURS, "replay"))
            return Bar(task, claim, bound, None, *found, replayed=replayed.reached)

        yield fid(100, 0.85)
        yield Bar(task, "KID / transfergan's KID, 100 images", 0.6, None, *ratio("kid", 100))
        yield Bar(task, "precision / transfergan's precision, 100 images", None, 1.0, *ratio("precision", 100))
        yield Bar(task, "recall / transfergan's recall, 100 images", None, 0.95, *ratio("recall", 100))
        yield Bar(
            task,
            "updates until transfergan's final FID / its updates, 100 images",
            0.6,
            None,
            _speed(results, task, 100),
        )
        yield fid(10, 0.7)
        yield fid(1000, 0.85)
        scratch, replayed = (_ratio(results, task, 100, "fid", "scratch", row) for row in (OURS, "replay"))
        claim = "scratch's FID / minegan's FID, 100 images"
        yield Bar(task, claim, None, 4.0, *scratch, replayed=replayed.reached)
        for shots in (10, 100, 1000):
            yield fid(shots, 1.0, SECOND)


def _on(results: Results) -> Iterator[Bar]:
    for task in [name for name, task in TASKS.items() if task.kind == "on"]:
        fid = _ratio(results, task, 100, "fid", "minegan-noft", "unmined")
        yield Bar(task, "FID / the unmined source's FID, no finetuning", 0.1, None, *fid)
        yield Bar(task, "class accuracy", None, 0.9, *_mean(results, task, "minegan-noft", 100, "class_accuracy"))
        yield Bar(task, "recall", None, 0.6, *_mean(results, task, "minegan-noft", 100, "recall"))


def _rivals(results: Results) -> Iterator[Bar]:
    """Over the tasks of one source at 100 images that both have."""
    single = [name for name, task in TASKS.items() if task.kind in ("on", "off")]
    for rival in RIVALS:
        found = {task: _ratio(results, task, 100, "fid", OURS, rival).reached for task in single}
        ratios = {task: ratio for task, ratio in found.items() if ratio is not None}
        worst = max(ratios, key=lambda task: ratios[task], default="")
        replayed = _ratio(results, worst, 100, "fid", "replay", rival).reached
        count = f"over {len(ratios)} task{'s' if len(ratios) != 1 else ''}"
        mean = geometric_mean(ratios.values()) if ratios else None
        yield Bar(rival, f"minegan's FID / its FID, mean {count}", 1.0, None, mean)
        claim = f"minegan's FID / its FID, worst {count}"
        yield Bar(rival, claim, SAME, None, ratios.get(worst), replayed=replayed)


def _several(results: Results) -> Iterator[Bar]:
    for name, task in TASKS.items():
        for method in (OURS, "minegan-noft"):
            if len(task.sources) == 1 or not (results.of(name, method, 100) or method == OURS):
                continue
            alone = {source: f"{method}@{source}" for source in (task.covered_by or task.sources)}
            fids = {row: _mean(results, name, row, 100, "fid").reached for row in alone.values()}
            known = {row: fid for row, fid in fids.items() if fid is not None}
            best = min(known, key=lambda row: known[row]) if len(known) == len(alone) else ""
            fid, replayed = (
                _ratio(results, name, 100, "fid", row, best) if best else _Number() for row in (method, "replay")
            )
            floor = replayed.reached
            held = _probabilities(results, name, method)
            least = min((held[source] for source in task.covered_by), default=None) if held else None
            if task.kind == "one":
                yield Bar(name, f"probability of the right source, {method}", None, 0.9, least)
                recall = _ratio(results, name, 100, "recall", method, best) if best else _Number()
                yield Bar(name, f"FID / FID of that source alone, {method}", SAME, None, *fid, replayed=floor)
                yield Bar(name, f"recall / recall of that source alone, {method}", None, 0.9, *recall)
            elif task.kind == "two":
                yield Bar(name, f"FID / the best single source's FID, {method}", 0.3, None, *fid, replayed=floor)
                yield Bar(name, f"least probability of the two, {method}", None, 0.25, least)
            else:
                yield Bar(name, f"FID / the best single source's FID, {method}", 0.6, None, *fid, replayed=floor)


def _copies(results: Results) -> Iterator[Bar]:
    claim = "distance to training images / that of held-out real ones"
    for task, shots in results.tables():
        for method in (OURS, "minegan-noft"):
            value = _mean(results, task, method, shots, "memorisation")
            if value.reached is not None:
                yield Bar(task, f"{claim}, {method}, {shots} images", None, COPIES, *value)


class _Number(NamedTuple):
    """What a bar reached, with its standard error."""

    reached: float | None = None
    error: float | None = None


def _mean(results: Results, task: str, row: str, shots: int, metric: str, space: int = WHOLE) -> _Number:
    found = results.cell(task, row, shots, metric, space)
    if found is None:
        return _Number()
    return _Number(found.mean, found.spread / math.sqrt(found.count) if found.count > 1 else None)


def _ratio(results: Results, task: str, shots: int, metric: str, row: str, other: str, space: int = WHOLE) -> _Number:
    """None too where the other's is no number to be measured by: a recall of zero, a KID below it."""
    mine, theirs = (_mean(results, task, each, shots, metric, space) for each in (row, other))
    if mine.reached is None or theirs.reached is None or theirs.reached <= 0:
        return _Number()
    ratio = mine.reached / theirs.reached
    if mine.error is None or theirs.error is None:
        return _Number(ratio)
    return _Number(ratio, math.hypot(mine.error, ratio * theirs.error) / theirs.reached)


def _speed(results: Results, task: str, shots: int) -> float | None:
    """Share of the updates after which the mean curve is first at transfergan's end; infinite where it never is."""
    ours, theirs = (results.over_steps(task, row, shots, "fid") for row in (OURS, PLAIN))
    if not ours or not theirs:
        return None
    goal, before = theirs[-1][1], ours[0]
    for updates, fid in ours:
        if fid <= goal:  # between two measurements FID is taken to fall evenly
            share = (before[1] - goal) / (before[1] - fid) if before[1] > fid else 1.0
            return (before[0] + share * (updates - before[0])) / theirs[-1][0]
        before = updates, fid
    return math.inf


def _probabilities(results: Results, task: str, row: str) -> dict[str, float]:
    """Source -> its mean probability at the end."""
    found = [(r.spec.sources, r.raw["p"][-1][1:]) for r in results.of(task, row, 100) if r.raw["p"]]
    if not found:
        return {}
    return {source: fmean(p[place] for _, p in found) for place, source in enumerate(found[0][0])}
