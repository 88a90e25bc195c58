"""The miners' distributions, against closed forms and numerical derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.autograd.functional import jacobian

import minegan_zoo as mz
from minegan_zoo.contracts import LatentSpace, MineganError, Prior

SIZE = 4


def trained(name: str, latents: dict[str, LatentSpace], noise_dim: int, amount: float = 0.2, **options: Any) -> Any:
    """A miner that is no longer what it began as."""
    torch.manual_seed(0)
    miner = mz.miners.create(name, latents, noise_dim, **options)
    with torch.no_grad():
        for parameter in miner.parameters():
            parameter.add_(amount * torch.randn_like(parameter))
    return miner


def noise(n: int, noise_dim: int = SIZE) -> Tensor:
    return torch.randn(n, noise_dim, generator=Generator().manual_seed(1))


def numerical_jacobian(function: Callable[[Tensor], Tensor], x: Tensor, step: float = 1e-4) -> Tensor:
    """(inputs,) -> (outputs, inputs), by central differences."""
    moves = step * torch.eye(len(x), dtype=x.dtype)
    return torch.stack([(function(x + move) - function(x - move)) / (2 * step) for move in moves], 1)


def normal_log_density(u: Tensor) -> Tensor:
    return -(u.square() + math.log(2 * math.pi)).sum(1) / 2


# affine


@pytest.mark.parametrize("rank", [0, 2])
def test_the_affine_miner_has_the_mean_and_covariance_of_its_factor(rank: int) -> None:
    miner = trained("affine", {"z": LatentSpace((SIZE,), "normal")}, SIZE, rank=rank)
    part = miner.part("z")
    factor = jacobian(lambda u: miner(u)["z"][0], torch.zeros(1, SIZE))[:, 0]
    torch.testing.assert_close(part.factor(), factor)
    torch.testing.assert_close(part.covariance(), factor @ factor.T)
    assert rank or (torch.equal(factor, factor.tril()) and (factor.diag() > 0).all())
    code = miner(noise(200_000))["z"].detach()
    torch.testing.assert_close(code.mean(0), part.mean.values[0], rtol=0, atol=0.02)
    torch.testing.assert_close(code.T.cov(), part.covariance(), rtol=0.02, atol=0.02)


def test_large_spaces_get_a_low_rank_factor_by_default() -> None:
    small, large = ({"w+": LatentSpace((rows, 128), "mapped")} for rows in (2, 18))
    assert sum(p.numel() for p in mz.miners.create("affine", small, 128).parameters()) > 256**2
    assert sum(p.numel() for p in mz.miners.create("affine", large, 128).parameters()) < 400_000


# flow


@pytest.mark.parametrize("prior", ["normal", "truncated"])
@pytest.mark.parametrize("num_classes", [0, 3])
def test_the_flows_density_is_that_of_the_change_of_variables(prior: Prior, num_classes: int) -> None:
    miner = trained(
        "flow", {"z": LatentSpace((SIZE,), prior, 0.7)}, SIZE, 0.15, width=8, num_classes=num_classes
    ).double()
    u = noise(6).double() / 2  # away from a truncated prior's bounds, where differences drown in rounding
    labels = torch.arange(6) % 3 if num_classes else None
    code = miner(u, labels)
    reference = []
    for row in range(6):
        label = None if labels is None else labels[row : row + 1]
        matrix = numerical_jacobian(lambda x, label=label: miner(x[None], label)["z"][0], u[row])
        reference.append(normal_log_density(u[row : row + 1])[0] - torch.linalg.slogdet(matrix)[1])
    torch.testing.assert_close(miner.log_density(code, labels), torch.stack(reference), rtol=1e-4, atol=1e-4)
    assert (torch.stack(reference) - normal_log_density(u)).abs().max() > 0.1, "the flow must have moved"


@pytest.mark.parametrize("prior", ["normal", "truncated", "sphere"])
def test_the_flow_is_inverted(prior: Prior) -> None:
    latents = {"z": LatentSpace((2, 3), prior, 0.7), "class": LatentSpace((3,), "class-embedding")}
    miner = trained("flow", latents, 9, width=8).double()
    u = noise(20, 9).double()
    code = miner(u)
    back = miner.inverse(code)
    assert back.shape == (20, 9) and not back[:, 6:].any()
    torch.testing.assert_close(miner(back)["z"], code["z"], rtol=1e-6, atol=1e-6)
    if prior != "sphere":
        torch.testing.assert_close(back[:, :6], u[:, :6], rtol=1e-6, atol=1e-6)
    start = mz.miners.create("flow", latents, 9, width=8).double()(u)["z"]
    assert (code["z"] - start).abs().max() > 0.1, "the flow must have moved"


def test_the_flows_density_is_nothing_beyond_a_truncated_priors_bounds() -> None:
    miner = trained("flow", {"z": LatentSpace((2,), "truncated", 0.5)}, 2, width=8)
    values = miner.log_density({"z": torch.tensor([[0.2, -0.3], [0.2, 1.01], [-1.01, 0.0]])})
    assert values.isfinite().tolist() == [True, False, False] and values[1] == -torch.inf
    assert miner.log_density({"z": torch.tensor([[1.0, -1.0]])}).isfinite()
    # the density integrates to one over the square of the bounds
    grid = torch.linspace(-1, 1, 401)[:-1] + 1 / 400
    points = torch.cartesian_prod(grid, grid)
    assert abs(float(miner.log_density({"z": points}).exp().mean().detach()) * 4 - 1) < 0.01


def test_the_flows_density_on_a_sphere_is_uniform_at_first() -> None:
    miner = mz.miners.create("flow", {"z": LatentSpace((SIZE,), "sphere")}, SIZE).double()
    area = 2 * math.pi ** (SIZE / 2) / math.gamma(SIZE / 2) * SIZE ** ((SIZE - 1) / 2)
    values = miner.log_density(miner(noise(5).double()))
    torch.testing.assert_close(values, torch.full((5,), -math.log(area)).double(), rtol=0, atol=1e-6)


def test_the_flows_density_on_a_circle_is_the_share_of_samples_in_an_arc() -> None:
    miner = trained("flow", {"z": LatentSpace((2,), "sphere")}, 2, width=8).double()
    with torch.no_grad():
        z = miner(noise(200_000, 2).double())["z"]
        shares = torch.histc(torch.atan2(z[:, 1], z[:, 0]), 16, -math.pi, math.pi) / len(z)
        angles = (torch.arange(16 * 40) + 0.5) / (16 * 40) * 2 * math.pi - math.pi
        circle = math.sqrt(2) * torch.stack([angles.cos(), angles.sin()], 1).double()
        density = miner.log_density({"z": circle}).exp().view(16, 40).mean(1)  # per unit of arc
    expected = density * 2 * math.pi * math.sqrt(2) / 16
    assert expected.max() > 1.5 * expected.min(), "the flow must have moved"
    torch.testing.assert_close(shares, expected, rtol=0, atol=0.005)


def test_a_conditional_flow_gives_classes_their_own_densities() -> None:
    miner = trained("flow", {"z": LatentSpace((SIZE,), "normal")}, SIZE, num_classes=2)
    code = {"z": noise(3)}
    zeros, ones = (miner.log_density(code, torch.full((3,), label)) for label in (0, 1))
    assert (zeros - ones).abs().min() > 1e-3
    with pytest.raises(MineganError, match="labels"):
        miner.log_density(code)


# gaussian-mixture


def mixture(logits: list[list[float]], size: int = 3, noise_dim: int = 3, **options: Any) -> Any:
    miner = trained(
        "gaussian-mixture", {"z": LatentSpace((size,), "normal")}, noise_dim, components=len(logits[0]), **options
    )
    with torch.no_grad():
        miner.logits.values.copy_(torch.tensor(logits))
    return miner


@pytest.mark.parametrize("label", [None, 1])
def test_components_come_as_often_as_their_weights_and_their_noise_is_normal(label: int | None) -> None:
    logits = [[0.0, 1.0, -2.0, 0.5], [3.0, 0.0, 0.0, -1.0]][: 1 if label is None else 2]
    miner = mixture(logits, num_classes=0 if label is None else 2)
    u = noise(200_000, 3)
    labels = None if label is None else torch.full((len(u),), label)
    chosen, inner = miner.components(u, labels)
    shares = torch.bincount(chosen, minlength=4) / len(u)
    torch.testing.assert_close(shares, torch.tensor(logits[label or 0]).softmax(0), rtol=0, atol=0.005)
    for component in range(4):
        own = inner[chosen == component]
        tolerance = 5 / math.sqrt(len(own))
        assert own.mean(0).abs().max() < tolerance and (own.T.cov() - torch.eye(3)).abs().max() < 1.5 * tolerance


def test_a_components_codes_have_its_mean_and_scale() -> None:
    miner = mixture([[0.0, 1.0]])
    u = noise(100_000, 3)
    chosen, _ = miner.components(u)
    space, code = miner.spaces[0], miner(u)["z"].detach()
    for component in range(2):
        own = code[chosen == component]
        torch.testing.assert_close(own.mean(0), space.means[component].detach(), rtol=0, atol=0.02)
        torch.testing.assert_close(own.std(0), space.log_scales[component].exp().detach(), rtol=0.02, atol=0)


def test_extreme_base_noise_stays_finite() -> None:
    u = torch.tensor([[9.0, 0, 0], [-9.0, 0, 0], [0.0, 0, 0], [40.0, 0, 0]])
    assert mixture([[0.0, 5.0, -30.0]])(u)["z"].isfinite().all()


def test_the_weights_gradient_is_exact_for_a_quadratic_loss() -> None:
    miner = mixture([[0.0, 0.7, -0.5]])
    space = miner.spaces[0]
    quadratic = torch.randn(3, 3, generator=Generator().manual_seed(3))
    quadratic, linear = quadratic @ quadratic.T, torch.tensor([1.0, -2.0, 0.5])

    # E[z'Az + b'z] of every component, and of the mixture
    means, variances = space.means.detach(), (2 * space.log_scales.detach()).exp()
    losses = torch.einsum("ki,ij,kj->k", means, quadratic, means) + variances @ quadratic.diag() + means @ linear
    logits = miner.logits.values.detach().clone().requires_grad_()
    (logits.softmax(1) @ losses).sum().backward()

    z = miner(noise(400_000, 3))["z"]
    (torch.einsum("ni,ij,nj->n", z, quadratic, z) + z @ linear).mean().backward()
    assert logits.grad is not None and logits.grad.abs().max() > 0.1
    torch.testing.assert_close(miner.logits.values.grad, logits.grad, rtol=0, atol=0.03)


def test_the_mixture_starts_about_as_the_prior() -> None:
    torch.manual_seed(0)
    latents = {"z": LatentSpace((50,), "normal"), "class": LatentSpace((6,), "class-embedding")}
    miner = mz.miners.create("gaussian-mixture", latents, 50, components=64)
    code = miner(noise(20_000, 50))
    assert code["z"].mean().abs() < 0.05 and abs(code["z"].std() - 1) < 0.05
    assert len(code["class"].unique(dim=0)) == 64, "a class embedding a component"


# labels


@pytest.mark.parametrize("name", ["residual", "affine", "flow", "gaussian-mixture", "labelled"])
def test_a_target_of_several_places_is_learned_by_label(name: str) -> None:
    """A few steps of least squares towards a place for each class: labels must reach the code, and separate."""
    torch.manual_seed(0)
    miner: Any = mz.miners.create(name, {"z": LatentSpace((SIZE,), "normal")}, SIZE, num_classes=2)
    places = torch.tensor([[1.0], [-1.0]]).expand(2, SIZE)
    optimizer = torch.optim.Adam(miner.parameters(), 0.02)
    for _ in range(100):
        u, labels = torch.randn(64, SIZE), torch.randint(2, (64,))
        loss = (miner(u, labels)["z"] - places[labels]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    first, second = (miner(noise(500), torch.full((500,), label))["z"].mean(0) for label in (0, 1))
    assert first.min() > 0.5 and second.max() < -0.5
