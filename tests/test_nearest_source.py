"""Of several sources' discriminators the critic starts as that of the source nearest to the target."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

import minegan_zoo as mz
from minegan_zoo.assembly import Assembly, assemble
from minegan_zoo.config import Choice, RunConfig
from minegan_zoo.contracts import GeneratorSource, ImageSpec
from minegan_zoo.data import load_images
from minegan_zoo.nearest_source import distances
from minegan_zoo.samplers import SourceSampler
from minegan_zoo.settings import SourceChoice
from minegan_zoo.sources import as_module

NAMES = ("progan.fashion-tops-32", "stylegan2.fashion-shoes-32", "biggan.fashion-others-32")
TINY = RunConfig(tuple(map(SourceChoice, NAMES)), "images")


@pytest.fixture(scope="module")
def sources() -> list[GeneratorSource]:
    return [mz.load_source(name) for name in NAMES]


def samples(source: GeneratorSource, n: int = 12, seed: int = 5) -> Tensor:
    return SourceSampler(source).sample(n, seed=seed)


def assembled(sources: list[GeneratorSource], target: Tensor, **changes: Choice) -> Assembly:
    return assemble(replace(TINY, **changes).checked(), target, sources=sources)


def adopted(assembly: Assembly) -> int | None:
    assert assembly.model.recipe is not None
    return assembly.model.recipe.adopted


@pytest.mark.parametrize("own", [0, 1])
def test_the_nearest_discriminator_is_adopted_in_any_order(sources: list[GeneratorSource], own: int) -> None:
    target = samples(sources[own])
    for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0]):
        assembly = assembled([sources[index] for index in order], target)
        assert adopted(assembly) == order.index(own)
        assert assembly.config.critic == Choice("source", {"source": str(order.index(own))}), "as the run's file has it"
        (note,) = [note for note in assembly.notes if "the critic starts as the discriminator" in note]
        assert f"of source {order.index(own)}, {NAMES[own]}" in note
        again = assemble(assembly.config, target, sources=[sources[index] for index in order])
        assert again.config == assembly.config and adopted(again) == adopted(assembly)
    chosen = assembled(sources, target, critic=Choice("source", {"source": str(1 - own)}))
    assert adopted(chosen) == 1 - own and "discriminator" not in " ".join(chosen.notes)


def test_distances_are_small_for_a_source_s_own_images_and_draw_nothing_from_the_run(
    sources: list[GeneratorSource],
) -> None:
    spec = ImageSpec(3, sources[0].image.resolution)
    target = load_images(samples(sources[0], 64, seed=0), spec)
    torch.manual_seed(3)
    expected = torch.get_rng_state()
    found = distances(sources, target, 0, torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), expected)
    assert found[0] < min(found[1:]) and found == distances(sources, target, 0, torch.device("cpu"))
    module = as_module(sources[2]).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert distances(sources[2:], target, 0, torch.device("cpu")) == found[2:], "not by a batch's own statistics"
    assert module.training and all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    module.eval()
    assert distances(sources[:1], target, 1, torch.device("cpu")) != found[:1]
