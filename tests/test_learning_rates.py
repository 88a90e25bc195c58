"""One learning rate suits every family: what a network scales it by."""

from __future__ import annotations

import torch

import minegan_zoo as mz
from minegan_zoo.adoption import adopt_critic
from minegan_zoo.contracts import ImageSpec, Stage
from minegan_zoo.mined_source import MinedSource
from minegan_zoo.optimizers import StageOptimizers
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
