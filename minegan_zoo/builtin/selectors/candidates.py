"""The paper's rule among a few sources a u, at the same cost with many. May import contracts and dropping."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from minegan_zoo.builtin.selectors.dropping import Dropping

UNSEEN = 0.5
"""Wins that each source of a pair starts with, against the other."""


class Candidates(Dropping):
    """The best of a few sources a u: a step runs `pool` sources at most, each on many u, and scores `count` a u.

    Each batch draws its pool, and each u its `count` candidates from it, without replacement by
    q = (1 - explore) p + explore / (sources kept). wins[i, j] counts, over about the last `draws` base noises, those
    that had both i and j as candidates and that i won; p is the stationary distribution of the chain that moves from i
    to j at the rate wins[j, i] / (wins[i, j] + wins[j, i]) (Rank Centrality: Negahban, Oh and Shah, 2012). These rates
    do not depend on how often a pair was proposed, so neither does what p converges to: to how often i is the argmax of
    all where P(i beats j) = p_i / (p_i + p_j) (Luce's choice axiom), and always where every source is a candidate;
    elsewhere to a flatter guide. When mining ends, p is replaced by how often i is the argmax of all on `draws` fresh
    draws, which assumes nothing.
    """

    def __init__(
        self,
        num_sources: int,
        count: int,
        pool: int,
        explore: float,
        draws: int,
        drop_below: float,
        patience: int,
    ) -> None:
        super().__init__(num_sources, drop_below, patience)
        self.need(
            {"count >= 2": count >= 2, "pool >= count": pool >= count}
            | {"0 < explore <= 1": 0 < explore <= 1, "draws >= 1": draws >= 1}
        )
        self.count, self.pool, self.explore, self.settle_draws = count, pool, explore, draws
        self.wins: Tensor
        self.p: Tensor
        self.register_buffer("wins", torch.zeros(num_sources, num_sources))
        self.register_buffer("p", torch.full((num_sources,), 1 / num_sources))

    def propose(self, n: int, rng: Generator) -> Tensor:
        kept = ~self.gone.cpu()
        q = (1 - self.explore) * self.probabilities().cpu() + self.explore * kept / kept.sum()
        pool = torch.multinomial(q, min(self.pool, int(kept.sum())), generator=rng)
        chosen = torch.multinomial(q[pool].expand(n, -1), min(self.count, len(pool)), generator=rng)  # (n, count)
        return torch.zeros(n, self.num_sources, dtype=torch.bool).scatter_(1, pool[chosen], True).T

    @torch.no_grad()
    def update(self, scores: Tensor) -> None:
        scored = (scores != -torch.inf).to(self.wins)
        best = self.critic_weights(scores).to(self.wins)
        self.wins.mul_(max(0.0, 1 - scores.shape[1] / self.settle_draws)).add_(best @ (scored - best).T)
        self.p.copy_(self._stationary())
        self.drop_losers()

    @torch.no_grad()
    def settle(self, scores: Tensor) -> None:
        self.p.copy_(self.critic_weights(scores).mean(1))

    def probabilities(self) -> Tensor:
        p = self.p * ~self.gone
        return p / p.sum()

    def _stationary(self) -> Tensor:
        """(S,), zero where dropped: p Q = 0 for the chain's rate matrix Q, with the last equation sum(p) = 1."""
        kept = (~self.gone).cpu()
        wins = self.wins.cpu().double()[kept][:, kept] + UNSEEN
        rates = (wins / (wins + wins.T)).T
        rates.fill_diagonal_(0)
        equations = (rates - rates.sum(1).diag()).T
        equations[-1] = 1
        p = torch.zeros(self.num_sources, dtype=torch.float64)
        p[kept] = torch.linalg.solve(equations, torch.eye(len(rates), dtype=torch.float64)[-1]).clamp(min=0)
        return (p / p.sum()).to(self.p)
