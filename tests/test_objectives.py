"""The kit's rules of an objective: the built-in ones keep all, each broken one breaks its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

import minegan_zoo as mz
from minegan_zoo import conformance
from minegan_zoo.builtin.objectives import Logistic
from minegan_zoo.contracts import Objective, ObjectiveEntry


class Sound(Objective):
    """Relativistic, with a penalty: what the rules must allow."""

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return torch.nn.functional.softplus(fake - real)

    def miner_loss(self, fake: Tensor) -> Tensor:
        return -fake

    def penalty(self, critic, real, fake):  # type: ignore[no-untyped-def]
        images = fake.detach().requires_grad_(True)
        (gradients,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
        return gradients.square().mean()


class LeastSquares(Sound):
    """LSGAN."""

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return (real - 1).square() + fake.square()

    def miner_loss(self, fake: Tensor) -> Tensor:
        return (fake - 1).square()


class Saturating(Sound):
    """Hinges on both sides, and a penalty that is zero for short gradients (WGAN-LP)."""

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return (1 - real).relu() + (1 + fake).relu()

    def miner_loss(self, fake: Tensor) -> Tensor:
        return (1 - fake).relu()

    def penalty(self, critic, real, fake):  # type: ignore[no-untyped-def]
        images = real.detach().requires_grad_(True)
        (gradients,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
        return (gradients.flatten(1).norm(dim=1) - 1).relu().square().mean()


class Mean(Sound):
    breaks = "check_losses_are_elementwise"

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return super().critic_loss(real, fake).mean()


class MeanOverPatches(Sound):
    breaks = "check_losses_are_elementwise"

    def miner_loss(self, fake: Tensor) -> Tensor:
        return -fake if fake.ndim == 1 else -fake.mean(1)


class MixesPatches(Sound):
    breaks = "check_losses_are_elementwise"

    def miner_loss(self, fake: Tensor) -> Tensor:
        return -fake if fake.ndim == 1 else -fake - fake.mean(1, keepdim=True)


class Noisy(Sound):
    breaks = "check_losses_are_elementwise"

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return torch.nn.functional.softplus(fake - real) * (1 + 0.1 * torch.rand_like(real))


class OfTheBatch(Sound):
    breaks = "check_losses_are_elementwise"

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake - real.mean()


class Detached(Sound):
    breaks = "check_losses_have_gradients"

    def miner_loss(self, fake: Tensor) -> Tensor:
        return -fake.detach()


class DetachedWhenPaired(Sound):
    breaks = "check_losses_have_gradients"

    def miner_loss_paired(self, real: Tensor, fake: Tensor) -> Tensor:
        return real - fake.detach()


class MeanWhenPaired(Sound):
    breaks = "check_losses_are_elementwise"

    def miner_loss_paired(self, real: Tensor, fake: Tensor) -> Tensor:
        return real.mean() - fake


class WrongWhenPaired(Sound):
    breaks = "check_losses_want_the_right"

    def miner_loss_paired(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake - real


class BlindToReal(Sound):
    breaks = "check_losses_have_gradients"

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake


class WrongCritic(Sound):
    breaks = "check_losses_want_the_right"

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return super().critic_loss(fake, real)


class WrongMiner(Sound):
    breaks = "check_losses_want_the_right"

    def miner_loss(self, fake: Tensor) -> Tensor:
        return fake


class PerImage(Sound):
    breaks = "check_penalty"

    def penalty(self, critic, real, fake):  # type: ignore[no-untyped-def]
        return critic(real).square()


class NoGraph(Sound):
    breaks = "check_penalty"

    def penalty(self, critic, real, fake):  # type: ignore[no-untyped-def]
        return super().penalty(critic, real, fake).detach()


class Clamps(Sound):
    breaks = "check_penalty"

    def penalty(self, critic, real, fake):  # type: ignore[no-untyped-def]
        return critic(real.clamp_(-0.5, 0.5)).square().mean()


class OfNothing(Sound):
    breaks = "check_penalty"

    def penalty(self, critic, real, fake):  # type: ignore[no-untyped-def]
        return 0 * critic(real).sum()


class Sum(Sound):
    breaks = "check_penalty"

    def penalty(self, critic, real, fake):  # type: ignore[no-untyped-def]
        return len(fake) * super().penalty(critic, real, fake)


class Number(Sound):
    breaks = "check_penalty"

    def penalty(self, critic, real, fake):  # type: ignore[no-untyped-def]
        return 0.0


def failures(entry: ObjectiveEntry) -> dict[str, Exception]:
    failed: dict[str, Exception] = {}
    for name, check in conformance.objective_checks(entry).items():
        try:
            check()
        except Exception as error:
            assert error.__notes__[0].startswith("rule: An objective")
            failed[name] = error
    return failed


BROKEN = (
    Mean, MeanOverPatches, MixesPatches, Noisy, OfTheBatch, Detached, DetachedWhenPaired, MeanWhenPaired,
    WrongWhenPaired, BlindToReal, WrongCritic, WrongMiner, PerImage, NoGraph, Clamps, OfNothing, Sum, Number,
)  # fmt: skip


@pytest.mark.parametrize("name", mz.objectives.list())
def test_registered_objectives_keep_every_rule(name: str) -> None:
    before = torch.get_rng_state()
    assert failures(mz.objectives.entry(name)) == {}
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("build", [Sound, LeastSquares, Saturating, partial(Logistic, 1.0, 16, relativistic=True)])
def test_sound_objectives_keep_every_rule(build: Callable[[], Objective]) -> None:
    assert failures(ObjectiveEntry("mine", build)) == {}


@pytest.mark.parametrize("build", BROKEN)
def test_a_broken_objective_breaks_exactly_its_rule(build: type[Objective]) -> None:
    failed = failures(ObjectiveEntry("mine", build))
    assert list(failed) == [build.breaks]  # type: ignore[attr-defined]
    assert all(isinstance(error, conformance.RuleBroken) for error in failed.values())


def test_a_penalty_that_asks_for_more_than_a_function_fails_with_its_rule() -> None:
    class Module(Sound):
        def penalty(self, critic, real, fake):  # type: ignore[no-untyped-def]
            return sum(parameter.square().sum() for parameter in critic.parameters())

    assert list(failures(ObjectiveEntry("mine", Module))) == ["check_penalty"]


def test_every_rule_has_an_objective_that_breaks_it() -> None:
    rules = set(conformance.objective_checks(mz.objectives.entry("hinge")))
    assert {build.breaks for build in BROKEN} == rules  # type: ignore[attr-defined]
