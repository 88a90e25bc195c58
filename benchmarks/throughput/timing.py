"""Fair clocks for a noisy machine: rivals take turns in one process, and only their ratios are believed.

Imports torch and nothing of ours.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

Call = Callable[[], object]


@dataclass(frozen=True)
class Times:
    """What every round of one rival took, in seconds."""

    wall: Sequence[float]
    cpu: Sequence[float]
    """Processor time of this process, all threads."""

    @property
    def seconds(self) -> float:
        return statistics.median(self.wall)


@dataclass(frozen=True)
class Ratio:
    """One rival's time over another's, round by round: the median and the quartiles around it."""

    median: float
    low: float
    high: float
    cpu: float
    """The same median of processor time, which other processes disturb less."""


Measure = Callable[..., dict[str, Times]]
"""(rivals, rounds, warmup) -> the times of each."""


def interleaved(rivals: Mapping[str, Call], rounds: int, warmup: int = 1) -> dict[str, Times]:
    """Time every rival once a round; the order is reversed from round to round, so that a drift favours nobody."""
    for call in rivals.values():
        for _ in range(warmup):
            call()
    walls: dict[str, list[float]] = {name: [] for name in rivals}
    cpus: dict[str, list[float]] = {name: [] for name in rivals}
    for index in range(rounds):
        for name in list(rivals)[:: -1 if index % 2 else 1]:
            wall, cpu = timed(rivals[name])
            walls[name].append(wall)
            cpus[name].append(cpu)
    return {name: Times(walls[name], cpus[name]) for name in rivals}


def timed(call: Call) -> tuple[float, float]:
    """(wall, processor) seconds of one call, with what it left on the device."""
    finish()
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    finish()
    return time.perf_counter() - wall, time.process_time() - cpu


def finish() -> None:
    """Wait for what is still running on the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def ratio(numerator: Times, denominator: Times) -> Ratio:
    """How many times longer the numerator takes: above 1 the denominator is faster."""
    rounds = sorted(a / b for a, b in zip(numerator.wall, denominator.wall, strict=True))
    cpu = statistics.median(a / b for a, b in zip(numerator.cpu, denominator.cpu, strict=True))
    low, _, high = statistics.quantiles(rounds, n=4, method="inclusive") if len(rounds) > 1 else [rounds[0]] * 3
    return Ratio(statistics.median(rounds), low, high, cpu)
