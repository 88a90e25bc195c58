"""Short training runs through the public API, with a clock in the trainer's steps: it knows `Steps`' two methods."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

from torch import Tensor

import minegan_zoo as mz
from minegan_zoo.contracts import GeneratorSource
from minegan_zoo.steps import Steps

WARMUP = 2
"""Steps that are not counted."""


@dataclass
class Clock:
    """When every critic and every miner update began and ended, in seconds of wall and of processor time."""

    critic: list[tuple[float, float]] = field(default_factory=list)
    miner: list[tuple[float, float]] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def steps(self) -> list[float]:
        """Both updates of every counted step."""
        pairs = zip(self.critic, self.miner, strict=True)
        return [c[1] - c[0] + m[1] - m[0] for c, m in pairs][WARMUP:]

    def whole(self) -> list[float]:
        """From the beginning of every counted step to that of the next."""
        starts = [start for start, _ in self.critic][WARMUP:]
        return [after - before for before, after in pairwise(starts)]

    def seconds(self) -> float:
        return statistics.median(self.steps())

    def processor(self) -> list[float]:
        """Processor time of both updates of every counted step."""
        return [a + b for a, b in list(zip(self.cpu[::2], self.cpu[1::2], strict=True))[WARMUP:]]

    def processor_seconds(self) -> float:
        """Of a step, the median."""
        return statistics.median(self.processor())


def run(
    sources: Sequence[GeneratorSource],
    target: Path | Tensor,
    *,
    steps: int,
    batch: int,
    strategy: str = "minegan-noft",
    selector: str = "max",
    objective: str = "hinge",
    critic: str = "source",
    out: Path | None = None,
    training: Mapping[str, Any] | None = None,
    before_step: Callable[[int], None] = lambda index: None,
) -> Clock:
    """Train for some steps. `before_step` is called with the number of the step that is about to begin.

    `training` are the trainer's settings.
    """
    clock = Clock()
    critic_step, miner_step = Steps.critic, Steps.miner

    def timed(kept: list[tuple[float, float]], method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if kept is clock.critic:
                before_step(len(kept))
            start, cpu = time.perf_counter(), time.process_time()
            found = method(*arguments)
            kept.append((start, time.perf_counter()))
            clock.cpu.append(time.process_time() - cpu)
            return found

        return call

    with (
        mock.patch.object(Steps, "critic", timed(clock.critic, critic_step)),
        mock.patch.object(Steps, "miner", timed(clock.miner, miner_step)),
    ):
        mz.mine(
            list(sources), target, strategy=strategy, selector=selector, objective=objective, critic=critic,
            steps=steps + WARMUP,
            batch=batch, out=out, options=options(strategy, selector if len(sources) > 1 else "", training),
        )  # fmt: skip
    return clock


def options(strategy: str, selector: str = "", training: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Of a run that is timed: what looks at the model is off, unless `training` sets it.

    So are the regulariser of `minegan-noft` and its codes for every layer, which the bare arithmetic lacks, and most
    draws that settle a selector.
    """
    settings = {"fid_samples": 0, "watch_every": 0} | dict(training or {})
    found: dict[str, Any] = {f"training.{name}": value for name, value in settings.items()}
    if strategy == "minegan-noft":
        found |= {"strategy.code_prior": 0.0, "strategy.per_layer": False}
    if selector in ("max", "softmax", "candidates"):
        found["selector.draws"] = 32
    return found
