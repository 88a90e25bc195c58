"""The paper's rule, and learned: the best source of all is run. May import contracts and dropping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from minegan_zoo.builtin.selectors.dropping import Dropping


class Max(Dropping):
    """The paper's rule (MineGAN, section 3.2, eq. 5 and 6): critic and miners see the best source per u only.

    p_i is how often source i is the argmax: while mining over about the last `draws` base noises, in the end over as
    many fresh ones.
    """

    def __init__(self, num_sources: int, draws: int, drop_below: float, patience: int) -> None:
        super().__init__(num_sources, drop_below, patience)
        self.need({"draws >= 1": draws >= 1})
        self.draws = self.settle_draws = draws
        self.counts: Tensor
        self.register_buffer("counts", torch.zeros(num_sources))

    @torch.no_grad()
    def update(self, scores: Tensor) -> None:
        self.count(self.critic_weights(scores))

    @torch.no_grad()
    def count(self, wins: Tensor) -> None:
        """Add (S, n) shares, columns on the simplex, to the decaying counts, which remember about `draws` columns."""
        keep = max(0.0, 1 - wins.shape[1] / self.draws)
        # the first ones count in full
        self.counts.mul_(keep if self.counts.sum() >= self.draws else 1).add_(wins.sum(1).to(self.counts))
        self.drop_losers()

    @torch.no_grad()
    def settle(self, scores: Tensor) -> None:
        self.counts.copy_(self.critic_weights(scores).sum(1))

    def probabilities(self) -> Tensor:
        kept = (~self.gone).float()
        shares = self.counts * kept if (self.counts * kept).sum() > 0 else kept
        return shares / shares.sum()


class Softmax(Max):
    """The paper's rule, with a small network that learns to predict from u which source is the best.

    Each update is one step of Adam (Kingma and Ba, 2015) on the cross-entropy between its softmax and the argmax of
    that update; `probabilities_given` is its prediction, `probabilities` the mean prediction over about the last
    `draws` base noises. When mining ends, that mean is replaced by what it estimates, as in `Max`: how often i is the
    argmax under the model that is kept. The network is sized by the first u that it learns from, its first weights come
    from a fixed seed, and it predicts uniformly before.
    """

    def __init__(self, num_sources: int, draws: int, width: int, rate: float, drop_below: float, patience: int) -> None:
        super().__init__(num_sources, draws, drop_below, patience)
        self.need({"width >= 1": width >= 1, "rate > 0": rate > 0})
        self.width, self.rate = width, rate
        self.weights: Tensor
        self.moments: Tensor
        self.step: Tensor
        # buffers, not parameters: nobody else is to train, average or count them
        self.register_buffer("weights", torch.zeros(0))
        self.register_buffer("moments", torch.zeros(2, 0))  # running means of gradient and squared gradient
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def observe(self, u: Tensor, scores: Tensor) -> None:
        self.count(self._shares(self.fit(u, self.critic_weights(scores))))

    def fit(self, u: Tensor, wins: Tensor) -> Tensor:
        """Take a step towards the wins (S, n) of u; gives the logits (n, S) before it."""
        u = u.detach().to(self.counts)
        if not self.weights.numel():
            self._start(u.shape[1])
        weights = self.weights.clone().requires_grad_(True)
        with torch.enable_grad():
            logits = self._logits(weights, u)
            (gradient,) = torch.autograd.grad(F.cross_entropy(logits, wins.argmax(0).to(u.device)), weights)
        self._descend(gradient)
        return logits.detach()

    @torch.no_grad()
    def probabilities_given(self, u: Tensor) -> Tensor:
        if not self.weights.numel():
            return super().probabilities_given(u)
        return self._shares(self._logits(self.weights, u.to(self.weights)))

    def _shares(self, logits: Tensor) -> Tensor:
        """(n, S) -> (S, n), columns sum to one."""
        return logits.softmax(1).T

    def _start(self, noise_dim: int) -> None:
        """He's initialisation; a last layer of zeros predicts all sources alike."""
        inner = torch.randn(self.width, noise_dim + 1, generator=Generator().manual_seed(0)) * (2 / noise_dim) ** 0.5
        inner[:, 0] = 0
        outer = torch.zeros(self.num_sources, self.width + 1)
        self.weights = torch.cat([inner.flatten(), outer.flatten()]).to(self.counts)
        self.moments = self.weights.new_zeros(2, len(self.weights))

    def _logits(self, weights: Tensor, u: Tensor) -> Tensor:
        """(n, S). `weights` holds two layers, each with its biases as the first column."""
        last = self.num_sources * (self.width + 1)
        inner = weights[:-last].view(self.width, -1)
        outer = weights[-last:].view(self.num_sources, -1)
        hidden = F.relu(F.linear(u, inner[:, 1:], inner[:, 0]))
        return F.linear(hidden, outer[:, 1:], outer[:, 0]).masked_fill(self.gone, -torch.inf)

    @torch.no_grad()
    def _descend(self, gradient: Tensor) -> None:
        self.step += 1
        betas = gradient.new_tensor([[0.9], [0.999]])
        self.moments.lerp_(torch.stack([gradient, gradient.square()]), 1 - betas)
        mean, square = self.moments / (1 - betas**self.step)
        self.weights -= self.rate * mean / (square.sqrt() + 1e-8)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("weights", "moments"):  # sized as they were saved
            if prefix + name in state_dict:
                self.register_buffer(name, self.counts.new_zeros(state_dict[prefix + name].shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)


SHARE_SAMPLES = 256
"""Of each source, to compare with the target."""
BALANCED_ON, ROUNDS, EXACT, TINY = 4096, 10_000, 1e-4, 1e-6
"""Draws of base noise, rounds at most, and error at which it ends, by which shares are brought to those parts; no share
is taken as less than the last. A sharp network needs hundreds of rounds."""


class Partition(Softmax):
    """The paper's rule, with the base noise divided among the sources: each keeps to the u that it wins.

    By eq. 5 a source's miner learns where the source wins. Drawing i ~ p whatever u is, as eq. 6 does, also shows what
    it makes of all other u, which nobody has mined. So the network of `Softmax` chooses the source of each u here, by
    its prediction to the power of `sharpness`.
    The parts are settled when mining ends: while sources are finetuned each learns on its own, and sampling needs no
    critic. A factor a source then brings the shares to what each makes of the target: of how many target images the
    nearest sample, in the critic's features, is one of its. Wins, by which it learns, favour whoever makes better
    images of its part; they stay where the critic shows no features. Sources whose share is below `keep_above` /
    (sources left) are dropped. p_i is that share, until then the share of the last `draws` base noises that i has won.
    """

    def __init__(
        self,
        num_sources: int,
        draws: int,
        width: int,
        rate: float,
        sharpness: float,
        drop_below: float,
        patience: int,
        keep_above: float,
    ) -> None:
        super().__init__(num_sources, draws, width, rate, drop_below, patience)
        self.need({"0 < sharpness < inf": 0 < sharpness < math.inf, "0 <= keep_above < 1": 0 <= keep_above < 1})
        self.sharpness, self.keep_above = sharpness, keep_above
        self.settle_draws, self.share_samples = 0, SHARE_SAMPLES
        self.offsets: Tensor
        self.register_buffer("offsets", torch.zeros(num_sources))  # logarithms of the factors

    def observe(self, u: Tensor, scores: Tensor) -> None:
        wins = self.critic_weights(scores)
        self.fit(u, wins)
        self.count(wins)

    def settle(self, scores: Tensor) -> None:
        """Nothing: fresh wins are no surer than the last `draws`, and `share` follows."""

    @torch.no_grad()
    def share(self, shares: Tensor) -> None:
        self.gone |= shares * (~self.gone).sum() < self.keep_above
        self.counts.copy_(shares * self.draws)
        if self.weights.numel():
            self._balance()

    def _balance(self) -> None:
        """Iterative proportional fitting (Deming and Stephan, 1940) of the mean shares to p."""
        noise_dim = (self.weights.numel() - self.num_sources * (self.width + 1)) // self.width - 1
        u = torch.randn(BALANCED_ON, noise_dim, generator=Generator().manual_seed(0)).to(self.weights)
        logits, kept, goal = self._logits(self.weights, u), ~self.gone, self.probabilities()
        for _ in range(ROUNDS):
            found = self._shares(logits).mean(1)
            if (found - goal).abs().max() < EXACT:
                break
            self.offsets += torch.where(kept, goal.clamp(min=TINY).log() - found.clamp(min=TINY).log(), 0)

    def _shares(self, logits: Tensor) -> Tensor:
        return super()._shares(self.sharpness * logits + self.offsets)
