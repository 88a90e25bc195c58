"""Rules of an objective. May import contracts only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor, nn

from minegan_zoo.conformance.specimen import RuleBroken, close
from minegan_zoo.contracts import Objective, ObjectiveEntry

SHAPES = ((6,), (6, 5))
"""A score an image, and one for each of five patches."""
SCALES = (1.0, 100.0)
"""What a critic's scores are multiplied with: its gradients are short, where a one-sided penalty is zero, then long."""


def check_losses_are_elementwise(entry: ObjectiveEntry) -> None:
    """An objective's losses give one value a score, of that score (and of the one that it is paired with) alone.

    The selector weighs images, a batch is run in pieces and a critic may score patches: a mean, a value that looks at
    the rest of the batch, or one that is drawn, would mean another thing in each case.
    """
    objective = entry.build()
    for name, loss, scores, _ in _losses(objective):
        shape, whole = tuple(scores[0].shape), loss(*scores)
        if not isinstance(whole, Tensor) or whole.shape != shape:
            observed = f"{name} gives {tuple(whole.shape) if isinstance(whole, Tensor) else whole!r}"
            raise RuleBroken(observed, f"give {shape}: leave the mean to the trainer, which weighs images first")
        if not bool(whole.isfinite().all()):
            raise RuleBroken(f"{name} is not finite for scores of a few units", "keep it finite")
        for axis in range(len(shape)):
            pieces = zip(*(score.split([1, shape[axis] - 1], axis) for score in scores), strict=True)
            if not close(torch.cat([loss(*piece) for piece in pieces], axis), whole):
                fix = "look at each score alone, and draw nothing"
                raise RuleBroken(f"{name}, in two pieces along axis {axis}, is not that of the whole", fix)


def check_losses_have_gradients(entry: ObjectiveEntry) -> None:
    """An objective's losses reach the real and the fake scores that they are taken of, with a finite gradient."""
    objective = entry.build()
    for name, loss, scores, moved in _losses(objective):
        given = [score.clone().requires_grad_(True) for score in scores]
        total = loss(*given).sum()
        if not total.requires_grad:
            raise RuleBroken(f"{name} has no gradient", "compute it from the scores, without detaching them")
        gradients = torch.autograd.grad(total, given[-len(moved) :], allow_unused=True)
        for which, gradient in zip(moved, gradients, strict=True):
            if gradient is None or not bool(gradient.isfinite().all()) or not bool(gradient.any()):
                raise RuleBroken(f"{name} does not move {which} scores", "let both kinds of score have a part in it")


def check_losses_want_the_right(entry: ObjectiveEntry) -> None:
    """An objective's critic wants real scores above fake ones, its miner fake scores that are high."""
    objective = entry.build()
    high, low = torch.ones(1), -torch.ones(1)
    if not bool(objective.critic_loss(high, low) < objective.critic_loss(low, high)):
        raise RuleBroken("critic_loss(1, -1) is not below critic_loss(-1, 1)", "lower it where real scores are higher")
    if not bool(objective.miner_loss(high) < objective.miner_loss(low)):
        raise RuleBroken("miner_loss(1) is not below miner_loss(-1)", "lower it where fake scores are higher")
    if not bool(objective.miner_loss_paired(low, high) < objective.miner_loss_paired(low, low)):
        observed = "miner_loss_paired(-1, 1) is not below miner_loss_paired(-1, -1)"
        raise RuleBroken(observed, "lower it where fake scores, the second, are higher")


def check_penalty(entry: ObjectiveEntry) -> None:
    """An objective's penalty is None or the mean over the images of what has a graph to the critic's weights.

    The critic that it is given is a function of images: it has no parameters and no mode.
    """
    objective = entry.build()
    real, fake = (torch.rand(4, 1, 8, 8, generator=Generator().manual_seed(seed)) * 2 - 1 for seed in (0, 1))
    before, moved = (real.clone(), fake.clone()), False
    for scale in SCALES:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            critic = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(4 * 36, 1), nn.Flatten(0))
            scores = _scaled(critic, scale)
            penalty = objective.penalty(scores, real, fake)
            one, many = (objective.penalty(scores, *([real[:1].repeat(n, 1, 1, 1)] * 2)) for n in (1, 8))
        if not (torch.equal(real, before[0]) and torch.equal(fake, before[1])):
            raise RuleBroken("the penalty changes the images that it is given", "work on copies of them")
        if penalty is None:
            return
        if not isinstance(penalty, Tensor) or penalty.ndim or not bool(penalty.isfinite()):
            observed = f"the penalty is {penalty.tolist() if isinstance(penalty, Tensor) else penalty!r}"
            raise RuleBroken(observed, "return a finite scalar tensor, the mean over the images, or None")
        if one is None or many is None or not close(many, one):
            raise RuleBroken("the penalty of an image is not that of the same one eight times", "take the mean")
        if not penalty.requires_grad:
            raise RuleBroken("the penalty has no graph", "call torch.autograd.grad with create_graph=True")
        gradients = torch.autograd.grad(penalty, list(critic.parameters()), allow_unused=True)
        moved = moved or any(gradient is not None and bool(gradient.any()) for gradient in gradients)
    if not moved:
        raise RuleBroken("the penalty moves none of the critic's weights", "differentiate the critic that is given")


def _scaled(critic: nn.Module, scale: float) -> Callable[[Tensor], Tensor]:
    def scores(images: Tensor) -> Tensor:
        of_images: Tensor = critic(images)
        return scale * of_images

    return scores


def _losses(
    objective: Objective,
) -> Iterator[tuple[str, Callable[..., Tensor], tuple[Tensor, ...], tuple[str, ...]]]:
    """(name, loss, its scores, the last of them that it must move) for scores of both signs, a few units large."""
    for shape in SHAPES:
        real, fake = (3 * torch.randn(shape, generator=Generator().manual_seed(seed)) for seed in (2, 3))
        yield f"critic_loss(real, fake) of {shape}", objective.critic_loss, (real, fake), ("real", "fake")
        yield f"miner_loss(fake) of {shape}", objective.miner_loss, (fake,), ("fake",)
        yield f"miner_loss_paired(real, fake) of {shape}", objective.miner_loss_paired, (real, fake), ("fake",)
