"""z = mean + L u. May import contracts and this package's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from minegan_zoo.contracts import LatentSpace
from minegan_zoo_miners.miner import Part
from minegan_zoo_miners.trunk import ByClass, zeroed


class Affine(Part):
    """geometry(mean + L start(u)) with L lower-triangular, or diagonal plus a product of rank `rank`; L = I at first.

    The code is then normal, in the geometry's free coordinates, with covariance L L^T. Classes have means of their own
    and share L.
    """

    def __init__(self, space: LatentSpace, noise_dim: int, rank: int, num_classes: int) -> None:
        super().__init__(space, noise_dim)
        size = self.geometry.size
        self.mean = ByClass(num_classes, size)
        self.log_diagonal = nn.Parameter(torch.zeros(size))
        # one factor is zero and the other not, so that gradient reaches the product
        self.left = nn.Parameter(torch.zeros(size, rank or size))
        self.right = nn.Parameter(torch.randn(size, rank) * size**-0.5) if rank else None

    def factor(self) -> Tensor:
        """L, (size, size)."""
        below = self.left.tril(-1) if self.right is None else self.left @ self.right.T
        return below + self.log_diagonal.exp().diag()

    def covariance(self) -> Tensor:
        """Of the free coordinates, (size, size)."""
        return self.factor() @ self.factor().T

    def forward(self, u: Tensor, labels: Tensor | None) -> Tensor:
        start = self.geometry.start(u)
        below = start @ self.left.tril(-1).T if self.right is None else (start @ self.right) @ self.left.T
        return self.geometry(self.mean(labels) + start * self.log_diagonal.exp() + below)


class AffineEmbedding(Part):
    """geometry(mean + A u), A = 0 at first: class embeddings start at the prior's mean, whatever u is."""

    def __init__(self, space: LatentSpace, noise_dim: int, num_classes: int) -> None:
        super().__init__(space, noise_dim)
        self.mean = ByClass(num_classes, self.geometry.size)
        self.linear = zeroed(nn.Linear(noise_dim, self.geometry.size, bias=False))

    def forward(self, u: Tensor, labels: Tensor | None) -> Tensor:
        return self.geometry(self.geometry.start(u) + self.mean(labels) + self.linear(u))
