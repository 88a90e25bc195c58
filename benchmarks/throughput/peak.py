"""Peak memory of a mining step in a process of its own: `python -m throughput.peak ours 8 max` prints MiB.

Beyond what is resident when a step begins: weights, optimizers, data. Linux only (/proc); the C library's allocator is
told to give freed memory back at once.
"""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from pathlib import Path

STEPS = 3
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}


def measured(kind: str, sources: int, selector: str = "max") -> float:
    """MiB; `kind` is "ours" or "naive"."""
    command = [sys.executable, "-m", "throughput.peak", kind, str(sources), selector]
    environment = {**os.environ, **ALLOCATOR, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def _status(field: str) -> float:
    found = re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


class _Peak:
    def __init__(self) -> None:
        self.start = 0.0

    def begin(self) -> None:
        gc.collect()
        self.start = _status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far

    def grown(self) -> float:
        return _status("VmHWM") - self.start


def _ours(count: int, selector: str) -> float:
    from throughput.bench_steps import BATCH, targets
    from throughput.networks import independent
    from throughput.runs import WARMUP, run

    peak, seen = _Peak(), []

    def before_step(index: int) -> None:
        if index > WARMUP:
            seen.append(peak.grown())
        peak.begin()

    run(
        [independent(32)] * count, targets(32), steps=STEPS + 1, batch=BATCH, selector=selector, before_step=before_step
    )
    return max(seen)


def _naive(count: int) -> float:
    from throughput.bench_steps import naive_steps

    steps, peak, seen = naive_steps(count, 32), _Peak(), []
    for _ in range(STEPS):
        peak.begin()
        steps.step()
        seen.append(peak.grown())
    return max(seen[1:])


if __name__ == "__main__":
    kind, sources, selector = sys.argv[1:]
    print(_naive(int(sources)) if kind == "naive" else _ours(int(sources), selector))
