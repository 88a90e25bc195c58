"""One learning rate suits every family and number of images: what a network and a run scale it by."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Generator

import minegan_zoo as mz
from minegan_zoo.adoption import adopt_critic
from minegan_zoo.checkpoint import load_state
from minegan_zoo.contracts import ImageSpec, Stage
from minegan_zoo.mined_source import MinedSource
from minegan_zoo.optimizers import StageOptimizers
from minegan_zoo.recorder import read_events
from minegan_zoo.sources import as_module, lr_scales, named_groups


def test_every_network_trains_at_its_own_scale_of_the_rate() -> None:
    sources = [mz.load_source("progan.tiny"), mz.load_source("biggan.tiny")]
    miners = [mz.miners.create("mlp", {"z": source.latents["z"]}, 32) for source in sources]
    critic = adopt_critic(sources[1], ImageSpec(1, 16), 0)
    rates = {"sources": 0.032, "miners": 0.001, "critic": 0.01}
    stage = Stage("finetune", 1, rates)
    groups = named_groups(sources, miners, critic)
    optimizers = StageOptimizers(stage, rates, groups, lr_scales(sources, critic), (0.0, 0.99), 1, None)
    assert optimizers.miner is not None and optimizers.critic is not None
    rate_of = {
        parameter: group["lr"]
        for optimizer in (optimizers.miner, optimizers.critic)
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    expected = [(sources[0], 0.032), (sources[1], 0.002), (miners[0], 0.001), (miners[1], 0.001), (critic, 0.005)]
    for part, rate in expected:
        assert {rate_of[parameter] for parameter in as_module(part).parameters()} == {rate}, type(part)


def test_what_was_mined_keeps_its_sources_scale() -> None:
    images = torch.rand(4, 3, 16, 16)
    mined = mz.mine("biggan.tiny", images, steps=2, batch=2, options={"fid_samples": 0})
    assert MinedSource(mined).lr_scale == mz.load_source("biggan.tiny").lr_scale == 1 / 16


@pytest.mark.parametrize("name", ["minegan", "minegan++"])
@pytest.mark.parametrize("images, times", [(3, 1 / 3), (20, 1 / 3), (50, 0.75), (100, 1.5), (1000, 2.0)])
def test_sources_move_faster_the_more_images_there_are(name: str, images: int, times: float, tmp_path: Path) -> None:
    target = torch.randint(0, 256, (images, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)
    rates = {"source_lr": 1e-3, "finetune_miner_lr": 3e-5, "critic.width": 4}
    options = {**rates, "fid_samples": 0, "watch_every": 0, "log_every": 1}
    sources = ["progan.tiny", "biggan.tiny"]  # what the second one learns at is a sixteenth
    mz.mine(
        sources,
        target,
        strategy=name,
        selector="uniform",
        critic="conv",
        steps=8,
        batch=4,
        out=tmp_path,
        options=options,
    )
    told = {event["stage"]: event["summary"] for event in read_events(tmp_path) if event["event"] == "stage"}
    assert "source_lr" not in told["mine"] and told["finetune"]["source_lr"] == pytest.approx(1e-3 * times)
    found = {group["lr"] for group in load_state(tmp_path / "state")["optimizers"]["miner"]["param_groups"]}
    assert sorted(found) == pytest.approx(sorted([3e-5, 1e-3 * times, 1e-3 * times / 16]))
