"""The straightforward way to mine: all sources run with gradients, through their weights too, and max does the rest.

It computes the library's losses and gradients of miners and critic, which is what makes it a baseline.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from minegan_zoo.contracts import GeneratorSource
from minegan_zoo.sources import as_module


class NaiveSteps:
    """Hinge loss, the paper's rule; sources, miners and critic are as they come, nothing is frozen."""

    def __init__(
        self,
        sources: Sequence[GeneratorSource],
        miners: Sequence[nn.Module],
        critic: nn.Module,
        target: Tensor,
        batch: int,
    ) -> None:
        self.sources, self.miners, self.critic = sources, miners, critic
        self.target, self.batch = target, batch
        self.noise_dim: int = miners[0].noise_dim  # type: ignore[assignment]
        self.rng = Generator().manual_seed(0)
        self.critic_optimizer = Adam(critic.parameters(), 2e-3, betas=(0.0, 0.99))
        self.miner_optimizer = Adam([p for miner in miners for p in miner.parameters()], 5e-4, betas=(0.0, 0.99))

    def best(self, u: Tensor) -> Tensor:
        """(n,): the best source's score for each u."""
        pairs = zip(self.sources, self.miners, strict=True)
        return torch.stack([self.critic(source.synthesize(miner(u))) for source, miner in pairs]).max(0).values

    def critic_step(self) -> Tensor:
        rows = torch.randperm(len(self.target), generator=self.rng)[: self.batch]
        real = self.critic(self.target[rows])
        loss = (F.relu(1 - real) + F.relu(1 + self.best(self._noise()))).mean()
        self._zero()
        loss.backward()
        self.critic_optimizer.step()
        return loss.detach()

    def miner_step(self) -> Tensor:
        loss = -self.best(self._noise()).mean()
        self._zero()
        loss.backward()
        self.miner_optimizer.step()
        return loss.detach()

    def step(self) -> None:
        self.critic_step()
        self.miner_step()

    def _noise(self) -> Tensor:
        return torch.randn(self.batch, self.noise_dim, generator=self.rng)

    def _zero(self) -> None:
        for module in (*map(as_module, self.sources), *self.miners, self.critic):
            module.zero_grad()
