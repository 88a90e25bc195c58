"""Single-threaded processes side by side: one that fails or is killed takes nothing else with it. Imports nothing of
ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
PAUSE_SECONDS = 0.2
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Job:
    """A command of this benchmark."""

    name: str
    arguments: Sequence[str]
    """After `python -m benchmarks.quality`."""
    outcome: Callable[[], str] = field(default=lambda: "done")
    """What to say of it once it has ended well."""


@dataclass(frozen=True)
class Failure:
    name: str
    reason: str
    log: Path


def run_jobs(jobs: Sequence[Job], workers: int, logs: Path) -> list[Failure]:
    """Run them in their order, so many at a time; gives those that failed. Interrupted, it lets each save its state."""
    logs.mkdir(parents=True, exist_ok=True)
    waiting, running, failures = deque(jobs), dict[subprocess.Popen[bytes], tuple[Job, Path, float]](), list[Failure]()
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )  # fmt: skip
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            bar = progress.add_task("", total=len(jobs))
            while waiting or running:
                while waiting and len(running) < workers:
                    job = waiting.popleft()
                    log = logs / f"{job.name.replace('/', '.')}.log"
                    running[_start(job, log)] = job, log, time.monotonic()
                    progress.update(bar, description=", ".join(job.name for job, _, _ in running.values()))
                for process in [process for process in running if process.poll() is not None]:
                    job, log, begun = running.pop(process)
                    said = job.outcome() if process.returncode == 0 else f"FAILED, see {log}"
                    if process.returncode != 0:
                        failures.append(Failure(job.name, _last_line(log, process.returncode), log))
                    progress.advance(bar)
                    done = len(jobs) - len(waiting) - len(running)
                    seconds = time.monotonic() - begun
                    console.print(f"[{done}/{len(jobs)}] {job.name}: {said} ({seconds:.0f} s)", markup=False)
                time.sleep(PAUSE_SECONDS)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
    return failures


def _start(job: Job, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.quality", *job.arguments]
    with log.open("wb") as file:
        # a session of its own: Ctrl-C reaches this process alone, which then ends the others once
        return subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **ONE_THREAD}, stdout=file, stderr=file, start_new_session=True
        )


def _last_line(log: Path, code: int) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"it ended with {code} and said nothing"
