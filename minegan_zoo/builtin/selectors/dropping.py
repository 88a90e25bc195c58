"""What the selectors that learn have in common: they drop sources that lose for long. May import contracts only."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import MineganError, Selector


class Dropping(nn.Module, Selector):
    """Drops for good each source whose p_i has stayed below `drop_below` / (sources kept) for `patience` updates.

    The best source of all is never below the uniform share, so one is always kept. By default every kept source is
    scored and the best one a u is run.
    """

    def __init__(self, num_sources: int, drop_below: float, patience: int) -> None:
        super().__init__()
        self.num_sources, self.drop_below, self.patience = num_sources, drop_below, patience
        self.need(
            {"num_sources >= 1": num_sources >= 1, "0 <= drop_below < 1": 0 <= drop_below < 1}
            | {"patience >= 1": patience >= 1}
        )
        self.low: Tensor
        self.gone: Tensor
        # for how many updates on end each source has been below the threshold
        self.register_buffer("low", torch.zeros(num_sources, dtype=torch.int64))
        self.register_buffer("gone", torch.zeros(num_sources, dtype=torch.bool))

    def need(self, conditions: Mapping[str, bool]) -> None:
        """Raise MineganError with the conditions that do not hold."""
        if broken := [condition for condition, holds in conditions.items() if not holds]:
            name = re.sub(r"(?<=.)(?=[A-Z])", "-", type(self).__name__).lower()  # as it is registered
            raise MineganError(f"the selector '{name}' needs {', '.join(broken)}")

    def propose(self, n: int, rng: Generator) -> Tensor:
        return ~self.gone.cpu()[:, None].expand(-1, n)

    def critic_weights(self, scores: Tensor) -> Tensor:
        best = scores.masked_fill(self.gone.to(scores.device)[:, None], -torch.inf).argmax(0)
        return F.one_hot(best, self.num_sources).T.to(scores.dtype)

    def dropped(self) -> Tensor:
        return self.gone.clone()

    @torch.no_grad()
    def drop_losers(self) -> None:
        """Once an update, after p has learned. Shares are of the uniform one: with many sources every p_i is small."""
        low = self.probabilities() * (~self.gone).sum() < self.drop_below
        self.low.copy_(torch.where(low & ~self.gone, self.low + 1, 0))
        self.gone |= self.low >= self.patience
