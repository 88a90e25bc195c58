"""GenDA's diversity constraint and its affine adaptor."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator

import minegan_zoo as mz
from minegan_zoo.contracts import LatentSpace, Run


def no_samples(n: int, rng: Generator) -> Any:
    raise AssertionError("genda draws none")


def test_genda_shrinks_noise_and_the_adaptor_is_affine() -> None:
    strategy = mz.strategies.create("genda", strength=0.25)
    u = torch.randn(5, 4)
    assert torch.equal(strategy.noise(strategy.stages(1)[0], 0, u, Generator()), 0.25 * u)
    latents = {"z": LatentSpace((3,), "normal"), "class": LatentSpace((2,), "class-embedding")}
    miner: Any = mz.miners.create("adaptor", latents, 4)
    miner.start_from({"class": torch.tensor([[1.0, 3.0], [3.0, 5.0]])})
    assert torch.equal(miner(u)["z"], u[:, :3])
    assert torch.equal(miner(u)["class"], torch.tensor([2.0, 4.0]).expand(5, 2))
    with torch.no_grad():
        miner.scales[0].copy_(torch.tensor([1.0, 2.0, 3.0]))
        miner.shifts[0].fill_(0.5)
    torch.testing.assert_close(miner(u)["z"], u[:, :3] * torch.tensor([1.0, 2.0, 3.0]) + 0.5)
    with pytest.raises(mz.MineganError, match=r"set noise_dim to 3 or more"):
        mz.miners.create("adaptor", latents, 2)


@pytest.mark.parametrize(
    ("family", "shrinks"), [("biggan.tiny", True), ("progan.tiny", False), ("stylegan2.tiny", False)]
)
def test_genda_shrinks_noise_only_where_that_changes_images(family: str, shrinks: bool) -> None:
    source = mz.load_source(family)
    strategy = mz.strategies.create("genda", strength=0.25)
    miner = mz.miners.create("adaptor", {"z": source.latents["z"]}, 512)
    selector, rng = mz.selectors.create("uniform", 1), Generator().manual_seed(0)
    target = torch.zeros(1, 3, source.image.resolution, source.image.resolution, dtype=torch.uint8)
    critic: Any = source.own_critic()
    run = Run([source], [miner], critic, selector, rng, 512, target, None, source.image, no_samples)
    strategy.prepare(strategy.stages(1)[0], run)
    u = torch.randn(2, 512)
    assert torch.equal(strategy.noise(strategy.stages(1)[0], 0, u, Generator()), 0.25 * u if shrinks else u)
    code = source.prior(2, source.inputs[0], Generator().manual_seed(0))
    images, shrunk = (source.synthesize(code | {"z": factor * code["z"]}) for factor in (1, 0.25))
    assert torch.allclose(images, shrunk, atol=1e-4) != shrinks
