"""What is added to the unmined code, and codes made from nothing. May import contracts and this package's own."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import LatentSpace
from minegan_zoo_miners.miner import FixedNoise, Part
from minegan_zoo_miners.trunk import ByClass, RowLinear, Trunk, zeroed


class Residual(Part):
    """geometry(start(u) + head(trunk(u))), the head zero at first: the unmined code of u to begin with."""

    def __init__(self, space: LatentSpace, noise_dim: int, width: int, depth: int, num_classes: int) -> None:
        super().__init__(space, noise_dim)
        self.trunk = Trunk(noise_dim, width, depth - 1, num_classes)
        self.head = zeroed(nn.Linear(width, self.geometry.size))

    def forward(self, u: Tensor, labels: Tensor | None) -> Tensor:
        return self.geometry(self.geometry.start(u) + self.head(self.trunk(u, labels)))


class RowResiduals(Part):
    """A residual network of its own for every row of a space (rows, dim); they share nothing but u."""

    def __init__(self, space: LatentSpace, noise_dim: int, width: int, depth: int, num_classes: int) -> None:
        super().__init__(space, noise_dim)
        rows, dim = space.shape
        self.trunk = Trunk(noise_dim, width, depth - 1, num_classes, rows)
        self.head = zeroed(RowLinear(rows, width, dim))

    def forward(self, u: Tensor, labels: Tensor | None) -> Tensor:
        return self.geometry(self.geometry.start(u) + self.head(self.trunk(u, labels)).flatten(1))


class FromNothing(Part):
    """geometry(head(trunk(u)) + offset of the class): the paper's fully connected miner, given classes."""

    def __init__(self, space: LatentSpace, noise_dim: int, width: int, depth: int, num_classes: int) -> None:
        super().__init__(space, noise_dim)
        self.trunk = Trunk(noise_dim, width, depth - 1, num_classes)
        self.head = nn.Linear(width, self.geometry.size)
        self.offset = ByClass(num_classes, self.geometry.size)

    def forward(self, u: Tensor, labels: Tensor | None) -> Tensor:
        return self.geometry(self.head(self.trunk(u, labels)) + self.offset(labels))


class NoiseMap(FixedNoise):
    """Fixed standard noise (1, H, W), scaled and shifted by smooth maps of u.

    A small network makes a log-gain and a shift of at most `detail` x `detail`, brought to H x W bilinearly, so that a
    map of 1024 x 1024 costs little more than one of 4 x 4. Both are zero at first.
    """

    def __init__(
        self, space: LatentSpace, noise_dim: int, width: int, detail: int, seed: int, num_classes: int
    ) -> None:
        super().__init__(space, seed)
        self.low = [min(side, detail) for side in space.shape[1:]]
        self.trunk = Trunk(noise_dim, width, 1, num_classes)
        self.head = zeroed(nn.Linear(width, 2 * math.prod(self.low)))

    def forward(self, u: Tensor, labels: Tensor | None) -> Tensor:
        low = self.head(self.trunk(u, labels)).reshape(-1, 2, *self.low).float()
        maps = F.interpolate(low, self.fixed.shape[1:], mode="bilinear", align_corners=False)
        log_gain, shift = maps.chunk(2, 1)
        return shift + log_gain.exp() * self.fixed
