"""The kit's rules of an objective: the built-in ones keep all, each broken one breaks its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import minegan_zoo as mz
from minegan_zoo import conformance
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


class Mean(Sound):
    breaks = "check_losses_are_elementwise"

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return super().critic_loss(real, fake).mean()


class MeanOverPatches(Sound):
    breaks = "check_losses_are_elementwise"

    def miner_loss(self, fake: Tensor) -> Tensor:
        return -fake if fake.ndim == 1 else -fake.mean(1)


class OfTheBatch(Sound):
    breaks = "check_losses_are_elementwise"

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake - real.mean()


class Detached(Sound):
    breaks = "check_losses_have_gradients"

    def miner_loss(self, fake: Tensor) -> Tensor:
        return -fake.detach()


class BlindToReal(Sound):
    breaks = "check_losses_have_gradients"

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
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


def broken_rules(build: type[Objective]) -> list[str]:
    failed = []
    for name, check in conformance.objective_checks(ObjectiveEntry("mine", build)).items():
        try:
            check()
        except conformance.RuleBroken as error:
            assert error.__notes__[0].startswith("rule: An objective")
            failed.append(name)
    return failed


@pytest.mark.parametrize("name", ["wgan-gp", "logistic", "hinge"])
def test_the_built_in_objectives_keep_every_rule(name: str) -> None:
    before = torch.get_rng_state()
    for check in conformance.objective_checks(mz.objectives.entry(name)).values():
        check()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_relativistic_objective_keeps_every_rule() -> None:
    assert broken_rules(Sound) == []


@pytest.mark.parametrize(
    "build", [Mean, MeanOverPatches, OfTheBatch, Detached, BlindToReal, PerImage, NoGraph, Clamps, OfNothing]
)
def test_a_broken_objective_breaks_exactly_its_rule(build: type[Objective]) -> None:
    assert broken_rules(build) == [build.breaks]  # type: ignore[attr-defined]
