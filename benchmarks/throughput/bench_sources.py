"""Step time and memory over the number of sources, for each selector."""

from __future__ import annotations

from typing import Any

import pytest

from throughput import peak
from throughput.networks import TARGET, bundled
from throughput.results import Keep, Record, record_of
from throughput.runs import run
from throughput.timing import Times, ratio

COUNTS = (1, 2, 4, 8, 16)
SELECTORS = ("max", "softmax", "candidates", "mixture", "uniform")
"""`fixed` is `uniform` with other numbers."""
BATCH = 32


@pytest.mark.parametrize("selector", SELECTORS)
def bench_step_time(selector: str, quick: bool, benchmark: Any, keep: Keep) -> None:
    """Runs of a few steps in turn, each against the run with one source of the same round. Bundled StyleGAN2, 32x32."""
    steps, rounds, counts = (1, 1, (1, 2)) if quick else (8, 5, COUNTS)
    sources = bundled(max(counts))
    walls: dict[int, list[float]] = {count: [] for count in counts}
    cpus: dict[int, list[float]] = {count: [] for count in counts}

    def taking_turns() -> None:
        for index in range(rounds):
            for count in counts[:: -1 if index % 2 else 1]:
                clock = run(sources[:count], TARGET, steps=steps, batch=BATCH, selector=selector)
                walls[count].append(clock.seconds())
                cpus[count].append(clock.processor_seconds())

    benchmark.pedantic(taking_turns, rounds=1, iterations=1)
    times = {count: Times(walls[count], cpus[count]) for count in counts}
    keep(Record(f"{selector}, 1 source", times[1].seconds, "s"))
    for count in counts[1:]:
        keep(record_of(f"{selector}, {count} sources", ratio(times[count], times[1])))


@pytest.mark.parametrize("selector", SELECTORS)
def bench_memory(selector: str, quick: bool, benchmark: Any, keep: Keep) -> None:
    """Peak beyond what is resident between steps, of N sources over that of one."""
    counts = (2,) if quick else COUNTS[1:]
    found = benchmark.pedantic(lambda: {n: peak.measured("ours", n, selector) for n in (1, *counts)}, rounds=1)
    keep(Record(f"{selector}, 1 source, memory", found[1], "MiB"))
    for count in counts:
        keep(Record(f"{selector}, {count} sources, memory", found[count] / found[1], "x"))
