"""The learned mixture: one source is drawn per u, its logits ascend a gradient. Imports contracts, dropping, fixed."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from minegan_zoo.builtin.selectors.dropping import Dropping
from minegan_zoo.builtin.selectors.fixed import drawn_weights, stratified


class Mixture(Dropping):
    """A learned mixture: one source is drawn per u, so a step costs no more with more sources.

    Draws come from q = (1 - floor) p + floor / (sources kept), so that the critic does not forget what the losers look
    like; where more than `pool` sources are kept, a batch is shared by `pool` draws, for many small groups are slow to
    run. The logits of p ascend the exact gradient of sum_i p_i E[s_i] + entropy H(p): p_i (a_i - sum_j p_j a_j) with
    a_i = E[s_i] - entropy log p_i. E[s_i] is a running mean in units of the scores' running standard deviation, so that
    the rate means the same for every critic. Losers are dropped rather than only kept small, for then they come back:
    the critic forgets what they look like.
    """

    def __init__(
        self,
        num_sources: int,
        rate: float,
        entropy: float,
        floor: float,
        warmup: int,
        memory: float,
        sharpness: float,
        drop_below: float,
        patience: int,
        pool: int,
    ) -> None:
        super().__init__(num_sources, drop_below, patience)
        self.need(
            {"rate >= 0": rate >= 0, "entropy >= 0": entropy >= 0, "0 <= floor < 1": 0 <= floor < 1}
            | {"warmup >= 0": warmup >= 0, "0 <= memory < 1": 0 <= memory < 1, "sharpness > 0": sharpness > 0}
            | {"pool >= 1": pool >= 1}
        )
        self.rate, self.entropy, self.floor = rate, entropy, floor
        self.warmup, self.memory, self.sharpness, self.pool = warmup, memory, sharpness, pool
        self.logits: Tensor
        self.means: Tensor
        self.spread: Tensor
        self.seen: Tensor
        self.step: Tensor
        self.register_buffer("logits", torch.zeros(num_sources))
        self.register_buffer("means", torch.zeros(num_sources))
        self.register_buffer("spread", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(num_sources))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def propose(self, n: int, rng: Generator) -> Tensor:
        kept = ~self.gone
        q = (1 - self.floor) * self._log_p().exp() + self.floor * kept / kept.sum()
        draws = n if kept.sum() <= self.pool else min(n, self.pool)
        return stratified(q, draws, rng)[:, torch.arange(n) * draws // n]

    def critic_weights(self, scores: Tensor) -> Tensor:
        return drawn_weights(scores)

    @torch.no_grad()
    def update(self, scores: Tensor) -> None:
        scores = scores.to(self.means)
        scored = scores != -torch.inf
        counts = scored.sum(1)
        here = counts > 0
        batch_means = torch.where(scored, scores, 0).sum(1) / counts.clamp(min=1)
        # a single score has no spread but its distance from the source's mean so far
        spread = scores[scored].std(correction=0) if counts.sum() > 1 else (batch_means - self.means)[here].abs().sum()
        # bias-corrected running means: the first scores count in full
        share = torch.where(here, (1 - self.memory) / (1 - self.memory ** (self.seen + 1)), 0)
        self.means.lerp_(batch_means, share)
        self.seen += here
        self.spread.lerp_(spread, (1 - self.memory) / (1 - self.memory ** (self.step + 1)))
        self.step += 1
        kept = ~self.gone
        if self.step <= self.warmup or not bool((self.seen[kept] > 0).all()):
            return
        log_p = self._log_p()
        p = log_p.exp()
        # the mean goes first: it may be large against the spread
        score = (self.means - (p * self.means).sum()) / self.spread.clamp(min=1e-8)
        advantage = torch.where(kept, score - self.entropy * log_p, 0)
        self.logits += self.rate * p * (advantage - (p * advantage).sum())
        self.drop_losers()

    def probabilities(self) -> Tensor:
        """p^sharpness, normalised: while p learns, it keeps losers in play that few samples should come from."""
        return (self.sharpness * self.logits).masked_fill(self.gone, -torch.inf).softmax(0)

    def _log_p(self) -> Tensor:
        return self.logits.masked_fill(self.gone, -torch.inf).log_softmax(0)
