"""The default miner: where it starts, and the paper's own form of it."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

import minegan_zoo as mz
from minegan_zoo.contracts import LatentSpace

U = torch.randn(64, 16, generator=Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["progan.tiny", "stylegan2.tiny"])
def test_samples_at_step_0_are_the_sources(name: str) -> None:
    source = mz.load_source(name).eval()
    ((key, space),) = ((key, source.latents[key]) for key in source.inputs[0])
    (size,) = space.shape
    u = torch.randn(8, size, generator=Generator().manual_seed(1))
    expected = torch.nn.functional.normalize(u) * size**0.5 if space.prior == "sphere" else u
    miner = mz.miners.create("mlp", {key: space}, size)
    with torch.no_grad():
        torch.testing.assert_close(source.synthesize(miner(u)), source.synthesize({key: expected}))


def test_a_truncated_space_starts_within_its_bounds() -> None:
    code = mz.miners.create("mlp", {"z": LatentSpace((8,), "truncated", 0.5)}, 16)(U)["z"]
    torch.testing.assert_close(code, U[:, :8].clamp(-2, 2) / 2)


def test_the_papers_miner_starts_anywhere() -> None:
    spaces = {"z": LatentSpace((8,), "normal")}
    torch.manual_seed(0)
    code = mz.miners.create("mlp", spaces, 16, skip=False)(U)["z"]
    assert not torch.allclose(code, U[:, :8], atol=0.1) and code.std() < 0.5


def test_a_space_larger_than_u_or_of_classes_is_made_from_nothing() -> None:
    spaces = {"z": LatentSpace((32,), "normal"), "class": LatentSpace((8,), "class-embedding")}
    code = mz.miners.create("mlp", spaces, 16)(U)
    assert code["z"].shape == (64, 32) and not torch.allclose(code["z"][:, :16], U, atol=0.1)
    assert code["class"].std() > 0


def test_the_codes_prior_is_part_of_the_loss_unless_its_weight_is_0() -> None:
    with_it, without = (mz.strategies.create("minegan", code_prior=weight).stages(10) for weight in (1.0, 0.0))
    assert [len(stage.regularisers) for stage in with_it] == [1, 1]
    assert [len(stage.regularisers) for stage in without] == [0, 0]


def test_a_miner_of_sources_that_stay_may_choose_its_classes() -> None:
    held, free = (mz.strategies.create(name).stages(10)[0].regularisers for name in ("minegan", "minegan-noft"))
    assert [(part.weight, part.classes) for part in (*held, *free)] == [(1, True), (1, False)]
