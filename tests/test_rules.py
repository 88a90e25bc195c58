"""Rules that end a stage before its steps are over, by target images that are held out of training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import minegan_zoo as mz
from minegan_zoo.contracts import ImageSpec, Plateau
from minegan_zoo.data import hold_out, load_images
from minegan_zoo.position import Position

QUICK = {"training.fid_samples": 0, "training.watch_every": 0, "critic.width": 8, "training.log_every": 1}
STILL = {"train": {"miners": 0.0, "critic": 0.0}, "until": {"every": 1, "patience": 2}}


def images(n: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def run(folder: Path, n: int, stages: list[dict[str, Any]], **options: Any) -> list[dict[str, Any]]:
    mz.mine(
        "progan.tiny", images(n), strategy="stages", critic="conv", steps=20, batch=2, out=folder,
        options={**QUICK, "strategy.stages": stages, **options},
    )  # fmt: skip
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_stage_that_comes_no_nearer_to_held_out_images_ends(tmp_path: Path) -> None:
    moving = {"name": "finetune", "share": 0.25, "train": {"miners": 1e-4, "critic": 1e-4}}
    events = run(tmp_path / "run", 40, [{"name": "mine", "share": 0.75, **STILL}, moving])
    ends = {event["stage"]: (event["step"], event["reason"]) for event in events if event["event"] == "stage_end"}
    # nothing moves: the first measurement stays the best, and two more are as many as the patience
    assert ends == {"mine": (3, "plateau"), "finetune": (8, "steps")}


def test_without_held_out_images_no_rule_ends_a_stage(tmp_path: Path) -> None:
    events = run(tmp_path / "run", 19, [{"name": "mine", "share": 1.0, **STILL}])
    assert [event["step"] for event in events if event["event"] == "stage_end"] == [20]
    start = next(event for event in events if event["event"] == "start")
    assert start["held_out"] == 0
    assert any("no rule can end a stage" in note for note in start["notes"])


def test_the_least_distance_must_be_old_enough() -> None:
    position, rule = Position(), Plateau(every=1, patience=2)
    ended = []
    for distance in (3.0, 2.0, 2.5, 1.0, 1.5, 1.5):
        position.measured(distance, rule)
        ended.append(position.ended)
    assert ended == [False, False, False, False, False, True]


@pytest.mark.parametrize(("n", "share", "held"), [(19, 0.1, 0), (20, 0.1, 5), (100, 0.1, 10), (100, 0.0, 0)])
def test_what_is_held_out_is_a_seeded_share_that_training_never_sees(n: int, share: float, held: int) -> None:
    every = load_images(images(n), ImageSpec(3, 16))
    train, rest = hold_out(every, share, seed=3)
    assert (len(train), 0 if rest is None else len(rest)) == (n - held, held)
    if rest is not None:
        assert not train.image_digests() & rest.image_digests()
        again = hold_out(every, share, seed=3)[1]
        assert again is not None and again.digest == rest.digest
        other = hold_out(every, share, seed=4)[1]
        assert other is not None and other.digest != rest.digest


def test_an_image_that_occurs_twice_stays_on_one_side() -> None:
    twice = load_images(images(15).repeat(2, 1, 1, 1), ImageSpec(3, 16))
    train, rest = hold_out(twice, 0.2, seed=0)
    assert rest is not None and not train.image_digests() & rest.image_digests()
