"""A batch run in pieces that fit the device trains as a whole one: gradients, penalties, selectors, records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

import minegan_zoo as mz
from minegan_zoo.checkpoint import load_state
from minegan_zoo.recorder import read_events

PAIR = ["biggan.tiny", "progan.tiny"]
ALL = ["progan.tiny", "stylegan2.tiny", "biggan.tiny"]
UNLIKE = ("event", "stage", "seconds", "images_per_second")
CONV = {"critic": "conv", "options": {"critic.width": 8}}
OWN_TERMS: Mapping[str, Any] = {
    "name": "tune",
    "share": 1.0,
    "train": {"sources": 5e-4, "miners": 5e-4, "critic": 2e-3},
}

CASES: dict[str, dict[str, Any]] = {
    "max with R1 at every other step": {
        "sources": ALL, "selector": "max", "objective": "logistic", **CONV,
        "options": {**CONV["options"], "draws": 64, "penalty_every": 2, "gamma": 1.0},
    },
    "fakes against real images": {
        "sources": "progan.tiny", **CONV,
        "options": {
            **CONV["options"], "objective.relativistic": True, "mine_share": 0.4, "miner_lr": 5e-4, "source_lr": 5e-4,
        },
    },
    "candidates: sources are scored for some rows only": {
        "sources": ALL, "selector": "candidates", **CONV, "options": {**CONV["options"], "draws": 64},
    },
    "mixture, hinge, power iterations": {"sources": ALL, "selector": "mixture", "objective": "hinge", **CONV},
    "the codes' moments, which no piece has alone": {
        "sources": PAIR, "selector": "uniform", **CONV, "options": {**CONV["options"], "code_prior": 10.0},
    },
    "wgan-gp": {"sources": "progan.tiny", "objective": "wgan-gp", "steps": 2, **CONV},
    "an adopted critic, minegan++": {
        "sources": PAIR, "strategy": "minegan++", "objective": "hinge",
        "options": {"probes": 4, "critic.source": "biggan.tiny"},
    },
    "a strong pull to the start": {
        "sources": "progan.tiny", "strategy": "stages", **CONV,
        "options": {**CONV["options"], "stages": [{**OWN_TERMS, "regularisers": [{"name": "l2sp", "weight": 1e4}]}]},
    },
    "ada, which counts signs of scores": {
        "sources": "progan.tiny", "augmentation": "ada", **CONV,
        "options": {**CONV["options"], "every": 100, "mine_share": 0.4, "miner_lr": 5e-4, "source_lr": 5e-4},
    },
}  # fmt: skip


def target() -> Tensor:
    return torch.randint(0, 256, (24, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)


def mine(case: Mapping[str, Any], out: Path, **options: Any) -> dict[str, Tensor]:
    """Run a case; gives all tensors of the model, its critic and its augmentation."""
    settings = {"steps": 4, "augmentation": "none", **case}  # what augmentations draw, each piece draws anew
    more = {
        "fid_samples": 0,
        "watch_every": 0,
        "log_every": 1,
        "miner.width": 16,
        **settings.pop("options", {}),
        **options,
    }
    model = mz.mine(
        settings.pop("sources"), target(), batch=8, resolution=16, device="cpu", out=out, options=more, **settings
    )
    state = load_state(out / "state")
    assert state is not None
    parts = {"critic": state["critic"], "augmentation": state["augmentation"]}
    tensors = {f"{part}/{name}": value for part, named in parts.items() for name, value in named.items()}
    return {**model.state_dict(), **tensors}


def recorded(out: Path) -> list[dict[str, Any]]:
    """What every step told, but for how long it took."""
    steps = [event for event in read_events(out) if event["event"] == "step"]
    return [{k: v for k, v in step.items() if k not in UNLIKE} for step in steps]


@pytest.mark.parametrize("name", CASES)
def test_pieces_of_three_train_as_the_whole_batch_of_eight(name: str, tmp_path: Path) -> None:
    whole = mine(CASES[name], tmp_path / "whole")
    pieces = mine(CASES[name], tmp_path / "pieces", batch_per_device=3)
    assert whole.keys() == pieces.keys()
    for key, value in whole.items():
        # as a whole: of a gradient near zero, which is mostly rounding, Adam makes a step of full length
        distance = (pieces[key].double() - value.double()).norm()
        assert distance <= 1e-4 * value.numel() ** 0.5 + 1e-4 * value.double().norm(), f"{key}: {distance}"
    told = zip(recorded(tmp_path / "whole"), recorded(tmp_path / "pieces"), strict=True)
    for one, other in told:
        assert one.keys() == other.keys()
        for fact, number in one.items():
            assert other[fact] == pytest.approx(number, rel=1e-3, abs=1e-3), (one["step"], fact)


def test_a_piece_may_be_larger_than_the_batch(tmp_path: Path) -> None:
    case = CASES["wgan-gp"]
    whole, roomy = mine(case, tmp_path / "whole"), mine(case, tmp_path / "roomy", batch_per_device=100)
    assert [key for key, value in whole.items() if not torch.equal(roomy[key], value)] == []
