"""What a run tells while it goes on: metrics.jsonl, trackers, sample grids, progress. May import run_folder and
trackers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from minegan_zoo.run_folder import METRICS, SAMPLES
from minegan_zoo.trackers import open_trackers

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker
    from torch import Tensor

SECONDS_BETWEEN_LINES = 10.0
"""How often a line is printed where no progress bar can be drawn."""
NAMED = 3
"""How many sources are named while a run goes on, the most probable ones."""


class Means:
    """Means of named numbers since they were last cleared."""

    def __init__(self) -> None:
        self.totals: dict[str, list[float]] = {}  # name -> [sum, count]

    def add(self, facts: Mapping[str, float]) -> None:
        """One more value of each."""
        for name, value in facts.items():
            total, count = self.totals.get(name, (0.0, 0))
            self.totals[name] = [total + value, count + 1]

    def values(self) -> dict[str, float]:
        """Name -> mean."""
        return {name: total / count for name, (total, count) in self.totals.items()}

    def clear(self) -> None:
        """Start anew."""
        self.totals = {}


class Recorder:
    """Writes a run's events; without a folder it only shows progress, and not even that when quiet."""

    def __init__(
        self,
        folder: Path | None,
        *,
        steps: int,
        resumed_at: int | None,
        quiet: bool = False,
        trackers: Sequence[str] = ("tensorboard",),
        settings: Mapping[str, Any] | None = None,
        sources: Sequence[str] = (),
    ) -> None:
        """`resumed_at` is the step of the state that the run goes on from: later events are dropped.

        `settings` is what other trackers than TensorBoard are told of the run; `sources` are the names, each its own.
        """
        self.sources = sources
        self.folder = folder
        self.steps = steps
        self.console = Console(quiet=quiet, stderr=True)
        self.start: Mapping[str, float] = {}
        """What the watch found of the untrained model."""
        self._trackers: list[GeneralTracker] = []
        self._warned: set[str] = set()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._last_line = -SECONDS_BETWEEN_LINES
        if folder is not None:
            (folder / SAMPLES).mkdir(parents=True, exist_ok=True)
            _keep_until(folder / METRICS, resumed_at)
            told = (event["facts"] for event in read_events(folder) if event["event"] == "watch_start")
            self.start = next(told, {})
            self._trackers = open_trackers(trackers, folder, settings or {}, resumed_at)

    @contextmanager
    def showing(self, start: int) -> Iterator[None]:
        """Show the progress bar while the block runs, and close the event files after it."""
        columns = (
            TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[facts]}"),
        )  # fmt: skip
        try:
            if self.console.is_terminal and not self.console.quiet:
                with Progress(*columns, console=self.console) as self._bar:
                    self._task = self._bar.add_task("", total=self.steps, completed=start, facts="")
                    yield
            else:
                yield
        finally:
            self._bar = None
            for tracker in self._trackers:
                tracker.finish()

    def event(self, kind: str, step: int, facts: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        if self.folder is not None:
            with (self.folder / METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"event": kind, "step": step, **facts}) + "\n")

    def step(self, stage: str, step: int, facts: Mapping[str, Any]) -> None:
        """Record the averages of the last steps: losses, images/s, the selector's probabilities."""
        self.event("step", step, {"stage": stage, **facts})
        self._track(step, {**facts, **{f"p/{index}": p for index, p in enumerate(facts["p"])}})

    def stage_end(self, stage: str, step: int, *, early: bool) -> None:
        """Record that a stage has ended; say so where a rule ended it early."""
        self.event("stage_end", step, {"stage": stage, "reason": "plateau" if early else "steps"})
        if early:
            self.say(f"stage {stage} ends at step {step}: samples come no nearer to held-out target images")

    def dropped(self, source: int, step: int) -> None:
        """Record and say that the selector will not choose a source again."""
        self.event("dropped", step, {"source": source})
        self.say(f"{self._name(source)} is dropped at step {step}: the selector will not choose it again")

    def undone(self, stage: str, step: int, before: float, after: float) -> None:
        """Record and say that a stage's mining was undone."""
        self.event("undone", step, {"stage": stage, "kid_before": before, "kid_after": after})
        self.say(
            f"mining left {after / before:.0%} of the distance of {self._name(0)}'s samples to the target (KID "
            f"{before:.3g} -> {after:.3g}), too much to be of use: it is undone, and the miner stays as it began"
        )

    def alone(self, stage: str, step: int, source: int, left: float, own_left: float) -> None:
        """Record and say that of several sources one goes on; what mining left of their distance and of its own."""
        self.event("alone", step, {"stage": stage, "source": source, "left": left, "own_left": own_left})
        self.say(
            f"mining left {left:.0%} of the distance of the sources' samples to the target, so none of them covers it: "
            f"{self._name(source)}, of whose own {own_left:.0%} are left, goes on alone"
        )

    def _name(self, source: int) -> str:
        return self.sources[source] if self.sources else f"source {source}"

    def watch_start(self, facts: Mapping[str, float]) -> None:
        """Record what the watch finds of the untrained model."""
        self.start = facts
        self.event("watch_start", 0, {"facts": facts})

    def watch(self, stage: str, step: int, facts: Mapping[str, Any], warnings: Sequence[str]) -> None:
        """Record how training goes beside its losses; say each kind of trouble ("TITLE: TEXT") once."""
        self.event("watch", step, {"stage": stage, **facts, "warnings": list(warnings)})
        self._track(step, {f"watch/{name}": value for name, value in facts.items()})
        for warning in warnings:
            if warning.partition(":")[0] not in self._warned:
                self._warned.add(warning.partition(":")[0])
                self.say(f"warning at step {step}: {warning}")

    def _track(self, step: int, facts: Mapping[str, Any]) -> None:
        values = {name: value for name, value in facts.items() if isinstance(value, float)}
        for tracker in self._trackers:
            tracker.log(values, step=step)

    def progress(self, stage: str, step: int, facts: Mapping[str, Any]) -> None:
        """Move the bar, or print a line now and then where there is no terminal."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, description=stage, facts=self._summary(facts))
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES or step == self.steps:
            self._last_line = time.monotonic()
            self.console.print(
                f"{stage} {step}/{self.steps}  {self._summary(facts)}", highlight=False, markup=False, soft_wrap=True
            )

    def _summary(self, facts: Mapping[str, Any]) -> str:
        likely = sorted(enumerate(facts["p"]), key=lambda each: -each[1])
        shares = ", ".join(f"{self._name(index)} {p:.2f}" for index, p in likely[:NAMED])
        more = f", {len(likely) - NAMED} more" if len(likely) > NAMED else ""
        losses = [f"{part} {facts[f'{part}_loss']:+.2f}" for part in ("critic", "miner") if f"{part}_loss" in facts]
        speed = f"{facts['images_per_second']:.0f} images/s"
        return "  ".join([*losses, speed, *([f"p {shares}{more}"] if len(likely) > 1 else [])])

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def samples(self, name: str, step: int, images: Tensor, facts: Mapping[str, Any]) -> None:
        """Write a grid of images (n, C, H, W) in [-1, 1] as samples/STEP-NAME.png."""
        if self.folder is None:
            return
        file = f"{SAMPLES}/{step:08d}-{name}.png"
        save_grid(images, self.folder / file)
        self.event("samples", step, {"file": file, **facts})


def save_grid(images: Tensor, path: Path, columns: int | None = None) -> None:
    """Images (n, C, H, W) in [-1, 1] as one PNG, by default as square as can be."""
    from torchvision.utils import save_image

    columns = columns or max(1, round(len(images) ** 0.5))
    save_image(images.clamp(-1, 1), path, nrow=columns, padding=1, normalize=True, value_range=(-1, 1), pad_value=0.5)


def read_events(folder: Path) -> list[dict[str, Any]]:
    """The events of a run, in order."""
    path = folder / METRICS
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def _keep_until(path: Path, step: int | None) -> None:
    """Drop what was recorded after the state that the run goes on from, a line cut off by a kill included.

    A stage that begins with the state's step begins after it: the run will tell of it again.
    """
    kept: list[str] = []
    if step is not None and path.exists():
        for line in path.read_text("utf-8").splitlines():
            try:
                event = json.loads(line)
                if event["step"] < step or (event["step"] == step and event["event"] != "stage"):
                    kept.append(line + "\n")
            except ValueError:
                continue
    aside = path.with_suffix(".partial")
    aside.write_text("".join(kept), "utf-8")
    aside.replace(path)
