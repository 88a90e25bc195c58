"""Draws of one source a u, and the selector that only draws. May import contracts only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import MineganError, Selector

TOLERANCE = 0.005
"""By how much given probabilities may miss one: three times 0.333 passes."""


class Fixed(nn.Module, Selector):
    """One source is drawn per u, always by the same probabilities; critic and miners see what was drawn.

    A source of probability zero counts as dropped.
    """

    def __init__(self, num_sources: int, probabilities: Sequence[float]) -> None:
        """`probabilities` are in the order of the sources; empty: all alike."""
        super().__init__()
        if num_sources < 1:
            raise MineganError("the selector 'fixed' needs num_sources >= 1")
        p = torch.tensor(tuple(probabilities) or (1 / num_sources,) * num_sources)
        if len(p) != num_sources:
            raise MineganError(
                f"the selector 'fixed' got {len(p)} probabilities for {num_sources} sources: give one a source, in "
                "their order"
            )
        if not (bool((p >= 0).all()) and abs(float(p.sum()) - 1) <= TOLERANCE):
            raise MineganError(
                f"the selector 'fixed' needs probabilities that are not negative and sum to 1, not {p.tolist()}"
            )
        self.num_sources = num_sources
        self.p: Tensor
        self.register_buffer("p", p / p.sum())

    def propose(self, n: int, rng: Generator) -> Tensor:
        return stratified(self.p, n, rng)

    def critic_weights(self, scores: Tensor) -> Tensor:
        return drawn_weights(scores)

    def probabilities(self) -> Tensor:
        return self.p.clone()

    def dropped(self) -> Tensor:
        return self.p == 0


def stratified(p: Tensor, n: int, rng: Generator) -> Tensor:
    """Bool (S, n): one source a column, drawn by p (S,); the counts of a batch stay within one of n p_i."""
    bounds = p.cpu().double().cumsum(0)
    points = (torch.arange(n) + torch.rand(n, generator=rng).double()) / n  # below one, also when rounded
    # the bounds end at exactly one and `right` passes over empty intervals: p_i = 0 is never drawn
    chosen = torch.searchsorted(bounds / bounds[-1], points, right=True)
    chosen = chosen[torch.randperm(n, generator=rng)]
    return F.one_hot(chosen, len(p)).T.bool()


def drawn_weights(scores: Tensor) -> Tensor:
    """(S, n), columns on the simplex: what was drawn and scored, alike where that is several."""
    scored = (scores != -torch.inf).to(scores.dtype)
    return scored / scored.sum(0)
