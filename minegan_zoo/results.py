"""What a run folder holds, finished or not, as typed facts, no torch. May import contracts, run_folder and config."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from minegan_zoo.config import RunConfig
from minegan_zoo.contracts import MineganError
from minegan_zoo.run_folder import CONFIG, METRICS, MODEL, short_name

Event = Mapping[str, Any]


@dataclass(frozen=True)
class StageResult:
    """One stage as far as it came."""

    name: str
    last_step: int
    finished: bool
    reason: str
    """Why it ended: steps or plateau; empty where that is not known."""


@dataclass(frozen=True)
class Results:
    """A run's configuration, its events in order, and the facts of its model where there is one."""

    folder: Path
    config: RunConfig
    config_text: str
    events: Sequence[Event]
    model: Mapping[str, Any]
    """model.json of a mined model, empty where there is none."""
    finished: bool

    @classmethod
    def read(cls, folder: Path) -> Results:
        """Read a run folder; MineganError where it holds no run."""
        config = folder / CONFIG
        if not config.is_file():
            raise MineganError(f"{folder} holds no run: there is no {CONFIG} in it")
        facts = folder / MODEL / "model.json"
        return cls(
            folder=folder,
            config=RunConfig.read(config),
            config_text=config.read_text("utf-8"),
            events=_read_events(folder / METRICS),
            model=json.loads(facts.read_text("utf-8")) if facts.is_file() else {},
            finished=facts.is_file() or (folder / MODEL / "source.json").is_file(),
        )

    def of(self, kind: str) -> list[Event]:
        """The events of one kind, in order."""
        return [event for event in self.events if event["event"] == kind]

    @cached_property
    def start(self) -> Event:
        """What the run said of itself when it began; empty where it said nothing."""
        return next(iter(self.of("start")), {})

    @cached_property
    def steps(self) -> list[Event]:
        return self.of("step")

    @cached_property
    def stages(self) -> list[StageResult]:
        last = {event["stage"]: int(event["step"]) for event in self.steps}
        ended = {event["stage"]: "" for event in self.of("samples") if event["of"] == "end"}
        ended |= {event["stage"]: str(event["reason"]) for event in self.of("stage_end")}
        return [StageResult(name, step, name in ended, ended.get(name, "")) for name, step in last.items()]

    @cached_property
    def watched(self) -> list[Event]:
        """Looks at copies, collapse and overfitting; the start event says whether images were held out for them."""
        return self.of("watch")

    @cached_property
    def dropped(self) -> dict[int, int]:
        """Source -> the step from which the selector never chooses it again."""
        return {event["source"]: int(event["step"]) for event in self.of("dropped")}

    @cached_property
    def undone(self) -> set[str]:
        """Names of stages whose mining was undone."""
        return {event["stage"] for event in self.of("undone")}

    @cached_property
    def alone(self) -> dict[str, str]:
        """Stage after which one of several sources, none of which has the target, went on -> its name."""
        return {event["stage"]: self.sources[event["source"]] for event in self.of("alone")}

    def probability_before_drop(self, source: int) -> float | None:
        """The last one above zero that was recorded of a dropped source; None of one that is kept."""
        if source not in self.dropped:
            return None
        before = [event["p"][source] for event in self.steps if event["step"] <= self.dropped[source]]
        return next((p for p in reversed(before) if p > 0), None)

    @cached_property
    def free(self) -> dict[int, dict[str, float]]:
        """Source -> name of a layer -> the share of it that the last sparse stage left free; latent -> pixel."""
        summaries = [event["summary"].get("free", {}) for event in self.of("stage")]
        found: dict[int, dict[str, float]] = {}
        for name, share in next((shares for shares in reversed(summaries) if shares), {}).items():
            _, source, layer = name.split("/", 2)
            found.setdefault(int(source), {})[layer] = share
        return found

    @property
    def step(self) -> int:
        """The last one recorded."""
        return self.steps[-1]["step"] if self.steps else 0

    @property
    def total_steps(self) -> int | None:
        """How many were asked for, None where only the strategy knows."""
        return self.start.get("steps") or self.config.steps or (self.step if self.finished else None)

    @cached_property
    def seconds(self) -> float:
        """Of training alone: evaluation, samples and set-up are not in it."""
        previous, seconds = 0, 0.0
        for event in self.steps:
            seconds += event["seconds"] * (event["step"] - previous)
            previous = event["step"]
        return seconds

    @property
    def images_per_second(self) -> float | None:
        return self.config.batch * self.step / self.seconds if self.seconds else None

    @cached_property
    def mines(self) -> bool:
        """Whether the strategy trains miners."""
        pretrained = (self.folder / MODEL / "source.json").is_file()
        return bool(self.start.get("mines", self.model.get("mined", not pretrained)))

    @cached_property
    def probabilities(self) -> list[float]:
        """The selector's, at the end or so far; empty before the first record."""
        so_far = self.steps[-1]["p"] if self.steps else []
        return list(self.model.get("probabilities", so_far))  # the model's own are counted when mining has ended

    @cached_property
    def sources(self) -> list[str]:
        """A distinct name for each source."""
        count = len(self.probabilities) or 1 + max((e.get("source", 0) for e in self.events), default=0)
        made = [(origin["name"], origin["options"]) for origin in self.model.get("sources", ())]
        chosen = [(choice.name, choice.options) for choice in self.config.sources]
        plain = [*self.start.get("sources", ())] or [_title(*one) for one in made or chosen]
        if len(plain) < count and len(self.config.sources) == 1:  # a mined folder stands for all of its sources
            plain = [f"{_title(*chosen[0])} source {index}" for index in range(count)]
        plain += [f"source {index}" for index in range(len(plain), count)]
        return [name if plain.count(name) == 1 else f"{name} #{index}" for index, name in enumerate(plain)]

    def samples(self, of: str, stage: str | None = None, source: int | None = None) -> str | None:
        """The last file of sample images that shows this, relative to the folder."""
        files = [
            event["file"]
            for event in self.of("samples")
            if (event["of"], event.get("stage"), event.get("source")) == (of, stage, source)
        ]
        return files[-1] if files else None

    def metrics(self, stage: str, source: int | None = None) -> Mapping[str, Event]:
        """Name of a metric -> its record; empty where it was not measured."""
        found: Mapping[str, Event] = {}
        for event in self.of("evaluation"):
            if (event["stage"], event.get("source")) == (stage, source):
                found = event["metrics"]
        return found


def _title(name: str, options: Mapping[str, Any]) -> str:
    short = short_name(name)
    return f"{short} source {options['source']}" if "source" in options else short


def _read_events(path: Path) -> list[Event]:
    """A line that a kill cut off is left out."""
    events = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events
