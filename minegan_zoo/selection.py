"""Which pairs of source and base noise are run: proposed, scored without gradient, weighed by the selector.

May import contracts, data, minegan, modes and nearest_source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import one_hot

from minegan_zoo.contracts import Stage
from minegan_zoo.data import to_uint8
from minegan_zoo.minegan import CHUNK, Draw, Fakes, MinedGAN
from minegan_zoo.modes import evaluating
from minegan_zoo.nearest_source import parts

Score = Callable[[Tensor, Tensor | None], Tensor]
"""The critic as a function of images (n, C, H, W) and labels (n,): scores (n,)."""


@dataclass(frozen=True)
class Proposal:
    """A batch's base noise, and which sources are candidates for each u; a step fills in the scores."""

    draw: Draw
    pairs: Tensor
    """Bool (sources, n)."""
    open: bool
    """Whether scores are to pick: not every u has one candidate."""
    scores: Tensor
    """(sources, n); -inf where nothing was scored, or not yet."""


def propose(model: MinedGAN, draw: Draw, rng: Generator, select: bool) -> Proposal:
    """The pairs to score. Without `select`, one source a u by the selector's probabilities."""
    count, n = len(model.sources), len(draw.u)
    if count == 1:
        pairs = torch.ones(1, n, dtype=torch.bool)
    elif not select:
        pairs = one_hot(model.choose_sources(draw, rng), count).T.bool()
    else:
        pairs = model.selector.propose(n, rng)
    scores = torch.full(pairs.shape, -torch.inf, device=model.device)
    return Proposal(draw, pairs.to(model.device), bool((pairs.sum(0) != 1).any()), scores)


def run_scores(fakes: Fakes, scores: Tensor, shape: Sequence[int]) -> Tensor:
    """The scores (m,) of the pairs that ran, spread to (sources, n) with -inf elsewhere."""
    spread = scores.new_full(tuple(shape), -torch.inf, dtype=torch.float32)
    spread[fakes.source, fakes.row] = scores.detach().float()
    return spread


TARGETS = 1024
"""Target images, at most, that tell the parts of several sources."""
POOL = 16
"""Base noises that are drawn for each sample of a source, to choose those by which the selector chooses it."""
TINY = 1e-12
"""Weight of a base noise that is never the source's: only where it has fewer than are to be chosen."""


def settle(model: MinedGAN, critic: nn.Module, target: Tensor, stages: Sequence[Stage]) -> None:
    """Tell the selector that it has learned for the last time, with fresh draws of the model that is kept.

    `target` are its images, (m, C, H, W) uint8; `stages` those that are left, the one that has just ended first.
    """
    selected, *later = (stage.select and stage.adversarial for stage in stages)
    if not selected or any(later) or len(model.sources) == 1:
        return
    rng, draws = Generator().manual_seed(0), model.selector.settle_draws
    batches = [model.draw(min(CHUNK, draws - start), rng) for start in range(0, draws, CHUNK)]
    kept = ~model.selector.dropped().to(model.device)
    scores = [torch.empty(len(kept), 0, device=model.device)]
    with evaluating(critic):
        scores += [model.score(critic, draw, kept[:, None].expand(-1, len(draw.u))) for draw in batches]
    model.selector.settle(torch.cat(scores, 1))
    if model.selector.share_samples and int((~model.selector.dropped()).sum()) > 1:
        samples = _samples_of_each(model, model.selector.share_samples, rng)
        some = torch.randperm(len(target), generator=rng)[:TARGETS].to(target.device)
        model.selector.share(parts(samples, target[some], model.device))


@torch.no_grad()
def _samples_of_each(model: MinedGAN, count: int, rng: Generator) -> list[Tensor | None]:
    """Of each source uint8 images (count, C, H, W), by u for which the selector chooses it; None of what is dropped."""
    u = torch.randn(POOL * count, model.noise_dim, generator=rng).to(model.device)
    given, gone = model.selector.probabilities_given(u).cpu().double(), model.selector.dropped().tolist()
    samples: list[Tensor | None] = []
    for index, dropped in enumerate(gone):
        if dropped:
            samples.append(None)
            continue
        rows = torch.multinomial(given[index].clamp(min=TINY), count, generator=rng)
        batches = [model.draw(len(some), rng, u=u[some.to(u.device)]) for some in rows.split(CHUNK)]
        made = [model.synthesize(index, draw, torch.arange(len(draw.u)))[0] for draw in batches]
        samples.append(torch.cat([to_uint8(images.float().clamp(-1, 1)).cpu() for images in made]))
    return samples
