"""Option values that no part can work with are refused by name, before anything is trained."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import minegan_zoo as mz
from minegan_zoo.contracts import ImageSpec, LatentSpace, MineganError
from minegan_zoo.registry import regularisers
from minegan_zoo.settings import Training

ONE = ({"z": LatentSpace((4,), "normal")}, 4)


@pytest.mark.parametrize(
    ("create", "name", "fixed", "options", "words"),
    [
        (mz.objectives.create, "wgan-gp", (), {"weight": -1.0}, "weight >= 0"),
        (mz.objectives.create, "wgan-gp", (), {"critic_steps": 0}, "critic_steps >= 1"),
        (mz.objectives.create, "logistic", (), {"gamma": math.nan}, "gamma >= 0"),
        (mz.objectives.create, "logistic", (), {"penalty_every": 0}, "penalty_every >= 1"),
        (mz.miners.create, "mlp", ONE, {"width": 0}, "width >= 1"),
        (mz.miners.create, "mlp", ONE, {"depth": 1}, "depth >= 2"),
        (mz.critics.create, "conv", (ImageSpec(3, 16), 0), {"max_width": 0}, "max_width >= 1"),
        (mz.augmentations.create, "ada", (), {"target": 2.0}, "target"),
        (regularisers.create, "l2sp", (), {"weight": math.nan}, "l2sp"),
    ],
)
def test_parts_refuse_values_out_of_range(
    create: Any, name: str, fixed: tuple[Any, ...], options: dict[str, Any], words: str
) -> None:
    create(name, *fixed)
    with pytest.raises(MineganError, match=words):
        create(name, *fixed, **options)


@pytest.mark.parametrize("rate", [-1e-3, math.nan, math.inf])
@pytest.mark.parametrize(("option", "stage"), [("miner_lr", "mine"), ("finetune_miner_lr", "finetune")])
def test_a_learning_rate_is_a_number_from_zero_on(option: str, stage: str, rate: float, tmp_path: Path) -> None:
    images = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    options = {option: rate, "training.fid_samples": 0, "critic.width": 8}
    with pytest.raises(MineganError, match=rf"learning rate of 'miners' in stage '{stage}' must be at least 0"):
        mz.mine("progan.tiny", images, critic="conv", steps=2, batch=2, options=options, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()  # told before anything is trained


def test_settings_that_are_no_number_are_refused() -> None:
    with pytest.raises(MineganError, match=r"training\.ema_rampup"):
        Training(ema_rampup=math.nan).check()
