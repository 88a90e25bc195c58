"""Rules of an objective. May import contracts only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor, nn

from minegan_zoo.conformance.specimen import RuleBroken, close
from minegan_zoo.contracts import Objective, ObjectiveEntry

SHAPES = ((6,), (6, 5))
"""A score an image, and one for each of five patches."""


def check_losses_are_elementwise(entry: ObjectiveEntry) -> None:
    """An objective's losses give one value a score, of that score (and of the one that it is paired with) alone.

    The selector weighs images, a batch is run in pieces and a critic may score patches: a mean, or a value that looks
    at the rest of the batch, would mean another thing in each case.
    """
    objective = entry.build()
    for name, loss, scores in _losses(objective):
        shape, whole = tuple(scores[0].shape), loss(*scores)
        if whole.shape != shape:
            fix = "leave the mean to the trainer, which weighs images first"
            raise RuleBroken(f"{name} gives {tuple(whole.shape)} for scores {shape}", fix)
        if not bool(whole.isfinite().all()):
            raise RuleBroken(f"{name} is not finite for scores of a few units", "keep it finite")
        parts = torch.cat([loss(*(score[rows] for score in scores)) for rows in (slice(0, 1), slice(1, None))])
        if not close(parts, whole):
            raise RuleBroken(f"{name} of a batch in two pieces is not that of the whole", "look at each score alone")


def check_losses_have_gradients(entry: ObjectiveEntry) -> None:
    """An objective's losses reach the scores that they are taken of, the miner's every fake, with a finite gradient."""
    objective = entry.build()
    for name, loss, scores in _losses(objective):
        given = [score.clone().requires_grad_(True) for score in scores]
        total = loss(*given).sum()
        if not total.requires_grad:
            raise RuleBroken(f"{name} has no gradient", "compute it from the scores, without detaching them")
        gradients = torch.autograd.grad(total, given, allow_unused=True)
        for which, gradient in zip(("real", "fake") if len(given) == 2 else ("fake",), gradients, strict=True):
            if gradient is None or not bool(gradient.isfinite().all()) or not bool(gradient.any()):
                raise RuleBroken(f"{name} does not move {which} scores", "let every kind of score have a part in it")


def check_penalty(entry: ObjectiveEntry) -> None:
    """An objective's penalty is None or a finite scalar with a graph to the critic's weights; it changes no image."""
    real, fake = (torch.rand(4, 1, 8, 8, generator=Generator().manual_seed(seed)) * 2 - 1 for seed in (0, 1))
    before = real.clone(), fake.clone()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        critic = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(4 * 36, 1), nn.Flatten(0))
        penalty = entry.build().penalty(critic, real, fake)
    if not (torch.equal(real, before[0]) and torch.equal(fake, before[1])):
        raise RuleBroken("the penalty changes the images that it is given", "work on copies of them")
    if penalty is None:
        return
    if penalty.ndim or not bool(penalty.isfinite()):
        raise RuleBroken(f"the penalty is {penalty.tolist()}", "return a finite scalar, the mean over the images")
    if not penalty.requires_grad:
        raise RuleBroken("the penalty has no graph", "call torch.autograd.grad with create_graph=True")
    gradients = torch.autograd.grad(penalty, list(critic.parameters()), allow_unused=True)
    if not any(gradient is not None and bool(gradient.any()) for gradient in gradients):
        raise RuleBroken("the penalty moves none of the critic's weights", "differentiate the critic that is given")


def _losses(objective: Objective) -> Iterator[tuple[str, Callable[..., Tensor], tuple[Tensor, ...]]]:
    """(name, loss, its scores) for scores of both signs, a few units large."""
    for shape in SHAPES:
        real, fake = (3 * torch.randn(shape, generator=Generator().manual_seed(seed)) for seed in (2, 3))
        yield f"critic_loss(real, fake) of {shape}", objective.critic_loss, (real, fake)
        yield f"miner_loss(fake) of {shape}", objective.miner_loss, (fake,)
