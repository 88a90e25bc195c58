"""Which pairs of source and base noise are run: proposed, scored without gradient, weighed by the selector.

May import contracts, batches, minegan, modes and shares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import one_hot

from minegan_zoo.batches import TargetBatches
from minegan_zoo.contracts import Stage
from minegan_zoo.minegan import CHUNK, Draw, Fakes, MinedGAN
from minegan_zoo.modes import evaluating
from minegan_zoo.shares import shares_of_target

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


BLIND = (
    "the critic shows no features: the shares of the sources are those of their wins, not of the target that they make"
)


def settle(model: MinedGAN, critic: nn.Module, target: TargetBatches, stages: Sequence[Stage]) -> str:
    """Tell the selector that it has learned for the last time, with fresh draws of the model that is kept.

    `stages` are those that are left, the one that has just ended first. Gives what the run's user should know, or "".
    """
    selected, *later = (stage.select and stage.adversarial for stage in stages)
    if not selected or any(later) or len(model.sources) == 1:
        return ""
    rng, selector = Generator().manual_seed(0), model.selector
    kept = ~selector.dropped().to(model.device)
    scores = [torch.empty(len(kept), 0, device=model.device)]
    with evaluating(critic):
        for start in range(0, selector.settle_draws, CHUNK):
            draw = model.draw(min(CHUNK, selector.settle_draws - start), rng)
            scores.append(model.score(critic, draw, kept[:, None].expand(-1, len(draw.u))))
    selector.settle(torch.cat(scores, 1))
    if not selector.share_samples or int((~selector.dropped()).sum()) == 1:
        return ""
    shares = shares_of_target(model, critic, target, selector.share_samples, rng)
    selector.share(selector.probabilities() if shares is None else shares)
    return "" if shares is not None else BLIND
