"""What a run tells of itself while it goes on: metrics.jsonl always, TensorBoard by default, others by their names."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker, get_available_trackers
from torch import Generator

import minegan_zoo as mz
from minegan_zoo.recorder import read_events

SOURCES = ["progan.tiny", "biggan.tiny"]
SETTINGS = {"fid_samples": 0, "log_every": 1, "watch_every": 2, "state_every": 2, "miner.width": 8, "mine_share": 1 / 3}


class Stop(Exception):
    """Ends a run, as if from outside, at a step of its own."""


class Notebook(GeneralTracker):
    """A tracker that its user has registered with accelerate: lines of JSON, and an end of the run at `until`."""

    name = "notebook"
    requires_logging_directory = True
    until = math.inf

    def __init__(self, run_name: str, logging_dir: str) -> None:
        super().__init__()
        self.run_name, self.file = run_name, Path(logging_dir) / "notebook.jsonl"

    @property
    def tracker(self) -> Path:
        return self.file

    def _write(self, kind: str, facts: Any) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps([kind, facts]) + "\n")

    def start(self) -> None:
        self._write("start", self.run_name)

    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        self._write("settings", values)

    def log(self, values: Mapping[str, Any], step: int | None = None) -> None:
        if step is not None and step > self.until:
            raise Stop
        self._write("log", {"step": step, **values})

    def finish(self) -> None:
        self._write("finish", None)


def mine(out: Path, *trackers: str) -> mz.MinedGAN:
    images = torch.randint(0, 256, (10, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)
    options = {**SETTINGS, "trackers": list(trackers)}
    return mz.mine(SOURCES, images, steps=6, batch=4, device="cpu", resolution=16, out=out, options=options)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two trackers that was stopped at its fourth step, when it had saved its second, and resumed."""
    out = tmp_path_factory.mktemp("trackers") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LOGGER_TYPE_TO_CLASS, "notebook", Notebook)
        patch.setattr(Notebook, "until", 3)
        with pytest.raises(Stop):
            mine(out, "notebook", "tensorboard")
        patch.setattr(Notebook, "until", math.inf)
        mine(out, "notebook", "tensorboard")
    return out


def steps_told(out: Path) -> dict[int, dict[str, Any]]:
    steps = [event for event in read_events(out) if event["event"] == "step"]
    assert [event["step"] for event in steps] == list(range(1, 7)), "each step is told once"
    return {event["step"]: event for event in steps}


def test_tensorboard_goes_on_where_the_state_was(run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard")).Reload()
    told = steps_told(run)
    for fact in ("critic_loss", "miner_loss"):
        scalars = [(scalar.step, scalar.value) for scalar in events.Scalars(fact)]
        expected = [(step, pytest.approx(facts[fact], rel=1e-6)) for step, facts in told.items()]
        assert scalars == expected, "no step twice, none missing, all as in metrics.jsonl"
    assert [scalar.value for scalar in events.Scalars("p/1")] == pytest.approx([told[step]["p"][1] for step in told])
    assert [scalar.step for scalar in events.Scalars("watch/diversity")] == [2, 4, 6]


def test_a_tracker_of_ones_own_is_told_the_settings_once_and_every_step(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "notebook.jsonl").read_text().splitlines()]
    counts = Counter(kind for kind, _ in lines)
    assert (counts["start"], counts["settings"], counts["finish"]) == (2, 1, 2)
    assert dict(lines)["start"] == "minegan_zoo"
    (settings,) = [facts for kind, facts in lines if kind == "settings"]
    assert settings["batch"] == "4" and "progan.tiny" in settings["sources"]
    steps = [facts["step"] for kind, facts in lines if kind == "log" and "critic_loss" in facts]
    assert steps == [1, 2, 3, 3, 4, 5, 6], "after a resume it hears again of what came after the state"


def test_events_of_a_resumed_run_are_those_of_one(run: Path) -> None:
    steps_told(run)
    counts = Counter((event["event"], event["step"], event.get("stage")) for event in read_events(run))
    once = {kind: n for kind, n in counts.items() if kind[0] != "samples"}
    assert set(once.values()) == {1}, once
    assert [event["stage"] for event in read_events(run) if event["event"] == "stage"] == ["mine", "finetune"]


def test_metrics_are_told_without_any_tracker(tmp_path: Path) -> None:
    mine(tmp_path / "run")
    steps_told(tmp_path / "run")
    assert not (tmp_path / "run" / "tensorboard").exists()


MISSING = sorted(set(LOGGER_TYPE_TO_CLASS) - {str(kind.value) for kind in get_available_trackers()})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tensorbord", "unknown tracker 'tensorbord' in training.trackers; known: aim, "),
        *[
            (name, f"the tracker '{name}' in training.trackers is not installed: pip install {name}")
            for name in MISSING
        ],
    ],
)
def test_a_tracker_that_cannot_be_had_is_told_before_anything_begins(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(mz.MineganError) as error:
        mine(tmp_path / "run", "tensorboard", name)
    assert words in str(error.value)
    assert not (tmp_path / "run").exists()
    with pytest.raises(mz.MineganError, match="tracker"):
        mz.pretrain("progan", torch.zeros(4, 3, 16, 16, dtype=torch.uint8), options={"trackers": [name]}, steps=1)
