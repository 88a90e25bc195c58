"""The core's regularisers against closed forms, and what they do in a run."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

import minegan_zoo as mz
from minegan_zoo.contracts import Batch, ImageSpec, MineganError, Regulariser, Run
from minegan_zoo.registry import regularisers


def run_of(*sources: Any) -> Run:
    """A run that a regulariser can be prepared with."""
    nothing: Any = None
    rng, target = Generator().manual_seed(0), torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    return Run(sources, (), nothing, nothing, rng, 4, target, None, ImageSpec(3, 16), nothing)


def batch_of(
    images: Tensor | None = None, u: Tensor | None = None, codes: Any = None, source: list[int] | None = None
) -> Batch:
    images = torch.zeros(4, 1, 2, 2) if images is None else images
    m = len(images)
    u = torch.zeros(m, 3) if u is None else u
    rows = torch.arange(m) % len(u)
    return Batch(
        u, {}, torch.tensor(source or [0] * m), rows, images, torch.zeros(m), None, 1.0, lambda: codes or {}
    )  # fmt: skip


def create(name: str, weight: float) -> Regulariser:
    made: Regulariser = regularisers.create(name, weight=weight)
    return made


@pytest.mark.parametrize("name", ["l2sp", "mode-seeking", "code-prior"])
def test_a_negative_weight_is_refused(name: str) -> None:
    with pytest.raises(MineganError, match=f"weight of the regulariser '{name}' must not be negative, it is -1"):
        create(name, -1)


def test_a_run_of_when_its_source_had_fewer_spaces_goes_on() -> None:
    """What it saved is loaded, what it did not know of stays as it is measured."""
    source = mz.load_source("biggan.tiny")
    old, new = create("code-prior", 1.0), create("code-prior", 1.0)
    for regulariser in (old, new):
        regulariser.prepare(run_of(source))
    assert isinstance(old, nn.Module) and isinstance(new, nn.Module)
    saved = {name: value + 1 for name, value in old.state_dict().items() if "class+" not in name}
    assert 0 < len(saved) < len(old.state_dict())
    new.load_state_dict(saved)
    for name, value in new.state_dict().items():
        torch.testing.assert_close(value, old.state_dict()[name] + (name in saved))
    del saved["mean_0_class"]
    with pytest.raises(RuntimeError, match="mean_0_class"):
        new.load_state_dict(saved)


# L2-SP


def test_l2sp_is_half_the_squared_distance_of_what_is_free() -> None:
    first, second = nn.Linear(3, 2), nn.Linear(2, 2)
    regulariser = create("l2sp", 0.4)
    regulariser.prepare(run_of(first, second))
    assert regulariser(batch_of()) == 0
    with torch.no_grad():
        first.weight += 0.5
        second.bias.add_(torch.tensor([1.0, -2.0]))
        second.weight += 7
    second.weight.requires_grad_(False)
    value = regulariser(batch_of())
    assert value.item() == pytest.approx(0.2 * (6 * 0.25 + 1 + 4))
    value.backward()
    torch.testing.assert_close(first.weight.grad, torch.full((2, 3), 0.4 * 0.5))
    torch.testing.assert_close(second.bias.grad, 0.4 * torch.tensor([1.0, -2.0]))


def test_the_start_of_l2sp_is_in_its_state() -> None:
    source = nn.Linear(3, 2)
    before, after = create("l2sp", 1.0), create("l2sp", 1.0)
    before.prepare(run_of(source))
    with torch.no_grad():
        source.weight += 1
    after.prepare(run_of(source))
    assert isinstance(before, nn.Module) and isinstance(after, nn.Module)
    assert after(batch_of()) == 0
    after.load_state_dict(before.state_dict())
    assert after(batch_of()).item() == pytest.approx(3.0)
    assert list(before.parameters()) == []


# Mode seeking


def test_mode_seeking_is_the_reciprocal_of_the_distances_ratio() -> None:
    # distances in u: 1, 1, 2; in images: 4, 2, 2
    u = torch.tensor([[0.0], [1.0], [2.0]])
    images = torch.tensor([0.0, 4.0, 2.0]).reshape(3, 1, 1, 1).expand(3, 1, 2, 2)
    value = create("mode-seeking", 3.0)(batch_of(images, u))
    assert value.item() == pytest.approx(3.0 * (1 / 4 + 1 / 2 + 2 / 2) / 3, rel=1e-4)


def test_mode_seeking_pairs_images_of_one_source_and_class_only() -> None:
    u = torch.tensor([[0.0], [1.0], [5.0], [7.0], [9.0]])
    images = torch.tensor([0.0, 2.0, 100.0, 104.0, 50.0]).reshape(5, 1, 1, 1)
    # pairs of source 0: ratio 2, twice; of source 1: ratio 2, twice; the last one has no partner
    batch = batch_of(images, u, source=[0, 0, 1, 1, 2])
    regulariser = create("mode-seeking", 1.0)
    assert regulariser(batch).item() == pytest.approx(4 * 0.5 / 5, rel=1e-4)
    by_class = dataclasses.replace(batch, source=torch.zeros(5, dtype=torch.long), labels=torch.tensor([0, 0, 1, 1, 2]))
    assert regulariser(by_class).item() == pytest.approx(4 * 0.5 / 5, rel=1e-4)


def test_mode_seeking_pushes_images_apart() -> None:
    u = torch.tensor([[0.0], [1.0]])
    images = torch.tensor([0.0, 0.1]).reshape(2, 1, 1, 1).requires_grad_()
    create("mode-seeking", 1.0)(batch_of(images, u)).backward()
    assert images.grad is not None
    assert images.grad[0] > 0 > images.grad[1]
    alike = create("mode-seeking", 1.0)(batch_of(torch.zeros(2, 1, 1, 1), u))
    assert torch.isfinite(alike)


# Code prior


def of_moments(mean: float, deviation: float, shape: tuple[int, ...], n: int = 8) -> Tensor:
    """(n, *shape) of exactly this mean and unbiased deviation in every coordinate."""
    draw = torch.randn(n, *shape, generator=Generator().manual_seed(0))
    return ((draw - draw.mean(0)) / draw.std(0) * deviation + mean).requires_grad_()


def test_code_prior_is_the_distance_of_two_gaussians() -> None:
    source = mz.load_source("stylegan2.tiny")
    assert source.latents["z"].prior == "normal"
    regulariser = create("code-prior", 2.0)
    regulariser.prepare(run_of(source))
    images = torch.zeros(8, 3, 16, 16)

    def value(code: Tensor) -> float:
        return regulariser(batch_of(images, codes={0: {"z": code}})).item()

    shape = source.latents["z"].shape
    assert value(of_moments(0, 1, shape)) == pytest.approx(0, abs=1e-8)
    assert value(of_moments(0.5, 1, shape)) == pytest.approx(2 * 0.25, rel=1e-4)
    assert value(of_moments(0, 3, shape)) == pytest.approx(2 * 4, rel=1e-4)
    assert value(of_moments(0.5, 3, shape)) == pytest.approx(2 * 4.25, rel=1e-4)
    assert value(of_moments(0.5, 3, shape).detach()) == 0, "no miner makes what has no graph"
    assert value(of_moments(0.5, 3, shape)[:1]) == 0, "one code has no deviation"


@pytest.mark.parametrize(("name", "spaces"), [("stylegan2.tiny", ["w", "w+"]), ("biggan.tiny", ["z", "class"])])
def test_codes_of_the_prior_are_near_it_and_others_are_not(name: str, spaces: list[str]) -> None:
    source = mz.load_source(name)
    regulariser = create("code-prior", 1.0)
    regulariser.prepare(run_of(source))
    for space in spaces:
        keys = next(keys for keys in source.inputs if space in keys)
        with torch.no_grad():
            code = source.prior(512, keys, Generator().manual_seed(1))[space]
        images = torch.zeros(512, 3, 1, 1)
        near, far = (
            regulariser(batch_of(images, codes={0: {space: each.requires_grad_()}}))
            for each in (code.clone(), code + 2 * code.std())
        )
        assert near < 0.02, space  # 2 / 512 by chance
        assert far > 2, space
        far.backward()


def test_code_prior_leaves_classes_free_where_it_is_told() -> None:
    source = mz.load_source("biggan.tiny")
    held, free = (regularisers.create("code-prior", classes=classes) for classes in (True, False))
    codes = {name: of_moments(5, 1, space.shape) for name, space in source.latents.items()}
    values = []
    for regulariser in (held, free):
        regulariser.prepare(run_of(source))
        values.append([regulariser(batch_of(codes={0: {name: code}})).item() for name, code in codes.items()])
    assert list(codes) == ["z", "class", "class+"] and values[0][0] == values[1][0] > 1
    assert min(values[0]) > 1 and values[1][1:] == [0, 0]


def test_code_prior_is_summed_over_the_sources_that_are_mined() -> None:
    sources = [mz.load_source("stylegan2.tiny"), mz.load_source("progan.tiny")]
    regulariser = create("code-prior", 1.0)
    regulariser.prepare(run_of(*sources))
    shape = sources[0].latents["z"].shape
    codes = {0: {"z": of_moments(1, 1, shape, 6)}, 1: {"z": torch.zeros(2, *sources[1].latents["z"].shape)}}
    assert regulariser(batch_of(codes=codes)).item() == pytest.approx(1, rel=1e-4)
    codes[1] = {"z": of_moments(0, 3, sources[1].latents["z"].shape)}
    assert regulariser(batch_of(codes=codes)).item() == pytest.approx(1 + 4, rel=2e-2), "the sphere's sample deviates"
