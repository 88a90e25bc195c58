"""Which source a sample comes from: the paper's rule and a learned mixture. May import contracts only."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import MineganError, Selector


class Max(nn.Module, Selector):
    """The paper's rule (MineGAN, section 3.2, eq. 5 and 6): critic and miners see the best source per u only.

    p_i is how often source i is the argmax: while mining over about the last `draws` base noises, in the end over as
    many fresh ones.
    """

    def __init__(self, num_sources: int, draws: int) -> None:
        super().__init__()
        self.num_sources = num_sources
        self.settle_draws = draws
        self.counts: Tensor
        self.register_buffer("counts", torch.zeros(num_sources))

    def critic_weights(self, scores: Tensor) -> Tensor:
        return F.one_hot(scores.argmax(0), self.num_sources).T.to(scores.dtype)

    @torch.no_grad()
    def update(self, scores: Tensor) -> None:
        # decaying counts remember about so many draws; the first count in full
        keep = max(0.0, 1 - scores.shape[1] / self.settle_draws)
        self.counts.mul_(keep if self.counts.sum() >= self.settle_draws else 1).add_(self.critic_weights(scores).sum(1))

    @torch.no_grad()
    def settle(self, scores: Tensor) -> None:
        self.counts.copy_(self.critic_weights(scores).sum(1))

    def probabilities(self) -> Tensor:
        total = self.counts.sum()
        return self.counts / total if total > 0 else torch.full_like(self.counts, 1 / self.num_sources)


class Mixture(nn.Module, Selector):
    """A learned mixture: one source is drawn per u, so a step costs no more with more sources.

    Draws come from q = (1 - floor) p + floor / S, so that the critic does not forget what the losers look like. The
    logits of p ascend the exact gradient of sum_i p_i E[s_i] + entropy H(p): p_i (a_i - sum_j p_j a_j) with
    a_i = E[s_i] - entropy log p_i. E[s_i] is a running mean in units of the scores' running standard deviation, so that
    the rate means the same for every critic. A source whose probability stays below `drop_below` times the uniform
    share for `patience` updates is dropped for good: losers that are only kept small come back, for the critic forgets
    what they look like.
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
    ) -> None:
        super().__init__()
        if not (0 <= floor < 1 and 0 <= memory < 1 and sharpness > 0):
            raise MineganError("the selector 'mixture' needs 0 <= floor < 1, 0 <= memory < 1 and sharpness > 0")
        self.num_sources = num_sources
        self.rate, self.entropy, self.floor = rate, entropy, floor
        self.warmup, self.memory = warmup, memory
        self.sharpness, self.drop_below, self.patience = sharpness, drop_below, patience
        self.logits: Tensor
        self.means: Tensor
        self.spread: Tensor
        self.seen: Tensor
        self.step: Tensor
        self.low: Tensor
        self.register_buffer("logits", torch.zeros(num_sources))
        self.register_buffer("means", torch.zeros(num_sources))
        self.register_buffer("spread", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(num_sources))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        # for how many updates on end each source has been below the threshold; dropped ones have a logit of -inf
        self.register_buffer("low", torch.zeros(num_sources, dtype=torch.int64))

    def propose(self, n: int, rng: Generator) -> Tensor:
        p = self.logits.softmax(0).cpu()
        q = (1 - self.floor) * p + self.floor * (p > 0) / (p > 0).sum()
        # stratified draws: the counts of a batch stay within one of n q_i
        points = (torch.arange(n) + torch.rand(n, generator=rng)) / n
        chosen = torch.searchsorted(q.cumsum(0), points).clamp(max=self.num_sources - 1)
        chosen = chosen[torch.randperm(n, generator=rng)]
        return F.one_hot(chosen, self.num_sources).T.bool()

    def critic_weights(self, scores: Tensor) -> Tensor:
        return scores.isfinite().to(scores.dtype) / scores.isfinite().sum(0)

    @torch.no_grad()
    def update(self, scores: Tensor) -> None:
        scored = scores.isfinite()
        counts = scored.sum(1)
        here = counts > 0
        batch_means = torch.where(scored, scores, 0).sum(1) / counts.clamp(min=1)
        # a bias-corrected running mean: the first scores count in full
        share = torch.where(here, (1 - self.memory) / (1 - self.memory ** (self.seen + 1)), 0)
        self.means.lerp_(batch_means, share)
        self.seen += here
        spread = scores[scored].std(correction=0)
        self.spread.lerp_(spread, (1 - self.memory) / (1 - self.memory ** (self.step + 1)))
        self.step += 1
        p = self.logits.softmax(0)
        kept = p > 0
        if self.step <= self.warmup or not bool((self.seen[kept] > 0).all()):
            return
        advantage = torch.where(kept, self.means / self.spread.clamp(min=1e-8) - self.entropy * p.log(), 0)
        self.logits += self.rate * p * (advantage - (p * advantage).sum())
        # in units of the uniform share: with many sources every probability is small
        low = self.probabilities() * kept.sum() < self.drop_below
        self.low = torch.where(low, self.low + 1, 0)
        self.logits[self.low >= self.patience] = -torch.inf

    def probabilities(self) -> Tensor:
        """p^sharpness, normalised: while p learns, it keeps losers in play that few samples should come from."""
        return (self.sharpness * self.logits).softmax(0)
