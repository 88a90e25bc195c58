"""How much of the target each of several sources makes.

May import contracts, batches, minegan, modes and neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Generator, Tensor, nn

from minegan_zoo.batches import TargetBatches
from minegan_zoo.contracts import Critic, MineganError
from minegan_zoo.minegan import CHUNK, MinedGAN
from minegan_zoo.modes import evaluating
from minegan_zoo.neighbours import nearest

TARGETS = 1024
"""Target images that are looked at, at most."""
POOL, TINY = 16, 1e-12
"""Base noises that are drawn for each sample, to choose those by which the selector chooses its source; and the weight
of one that is never the source's, for where it has fewer than are to be chosen."""


@torch.no_grad()
def shares_of_target(
    model: MinedGAN, critic: nn.Module, target: TargetBatches, count: int, rng: Generator
) -> Tensor | None:
    """Of each source (S,), the part of the target images whose nearest sample is one of its; 0 of what is dropped.

    By Euclidean distance between the critic's features, among `count` samples of each source. Wins by the critic's
    scores favour whoever makes better images, whatever part of the target they belong to; this does so only where
    parts overlap. None where the critic shows no features.
    """
    with evaluating(critic):
        rows = target.draw(min(TARGETS, len(target.images)), rng).split(CHUNK)
        try:
            wanted = _features(critic, (target.images_of(some) for some in rows))
        except MineganError:  # by `Critic.forward_features`, or by a wrapper that asks another one's
            return None
        gone = model.selector.dropped().tolist()
        distances = torch.full((len(gone), len(wanted)), torch.inf)
        for index in (index for index, dropped in enumerate(gone) if not dropped):
            distances[index] = nearest(wanted, _features(critic, _samples(model, index, target, count, rng)))[0]
    shares = distances.argmin(0).bincount(minlength=len(gone)) / len(wanted)
    return shares.to(model.device)


def _features(critic: nn.Module, batches: Iterable[Tensor]) -> Tensor:
    """Of batches (n, C, H, W), on the CPU."""
    assert isinstance(critic, Critic)
    return torch.cat([critic.forward_features(images).float().flatten(1).cpu() for images in batches])


def _samples(model: MinedGAN, index: int, target: TargetBatches, count: int, rng: Generator) -> Iterable[Tensor]:
    """Images of one source, `count` in batches, by u for which the selector chooses it, of the target's classes."""
    u = torch.randn(POOL * count, model.noise_dim, generator=rng).to(model.device)
    given = model.selector.probabilities_given(u)[index].cpu().double().clamp(min=TINY)
    for rows in torch.multinomial(given, count, generator=rng).split(CHUNK):
        labels = target.labels_alone(len(rows), rng)
        draw = model.draw(len(rows), rng, u=u[rows.to(u.device)], labels=labels)
        yield model.synthesize(index, draw, torch.arange(len(rows)))[0].clamp(-1, 1)
