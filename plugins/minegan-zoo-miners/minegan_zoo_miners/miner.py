"""A miner put together from one part a latent space. May import contracts and this package's geometry."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor, nn

from minegan_zoo.contracts import Code, LatentSpace, MineganError, Miner
from minegan_zoo_miners.geometry import geometry_of


class Part(nn.Module):
    """Makes one latent space, within its geometry."""

    def __init__(self, space: LatentSpace, noise_dim: int) -> None:
        super().__init__()
        self.geometry = geometry_of(space, noise_dim)

    @abstractmethod
    def forward(self, u: Tensor, labels: Tensor | None) -> Tensor:
        """(n, noise_dim), labels (n,) where there are classes -> (n, *shape)."""


class FixedNoise(Part):
    """A noise map (1, H, W) drawn once from `seed`, the same for every u."""

    fixed: Tensor  # (1, H, W)

    def __init__(self, space: LatentSpace, seed: int) -> None:
        super().__init__(space, math.prod(space.shape))  # nothing of it is read from u
        self.register_buffer("fixed", torch.randn(space.shape, generator=Generator().manual_seed(seed)))

    def forward(self, u: Tensor, labels: Tensor | None) -> Tensor:
        return self.fixed.expand(len(u), -1, -1, -1)


def noise_maps(
    latents: Mapping[str, LatentSpace], make: Callable[[LatentSpace, int], Part] = FixedNoise
) -> dict[str, Part]:
    """`make(space, seed)` for every noise map (C, H, W) among the spaces, each with a seed of its own."""
    maps = [(name, space) for name, space in latents.items() if len(space.shape) == 3]
    return {name: make(space, seed) for seed, (name, space) in enumerate(maps)}


def vectors(latents: Mapping[str, LatentSpace], make: Callable[[LatentSpace], Part]) -> dict[str, Part]:
    """`make(space)` for every other space."""
    return {name: make(space) for name, space in latents.items() if len(space.shape) < 3}


class PartwiseMiner(nn.Module, Miner):
    """u (n, noise_dim) -> the code of every latent space, each by its part."""

    def __init__(self, parts: Mapping[str, Part], noise_dim: int, num_classes: int) -> None:
        super().__init__()
        self.noise_dim = noise_dim
        self.num_classes = num_classes
        # names of latent spaces hold dots ("noise.0"), which module names may not
        self.names = tuple(parts)
        self.parts = nn.ModuleList(parts.values())

    def part(self, name: str) -> Part:
        return self.parts[self.names.index(name)]  # type: ignore[return-value]

    def start_from(self, draws: Code) -> None:
        for name, values in draws.items():
            self.part(name).geometry.start_from(values)

    def forward(self, u: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        labels = labels_for(self.num_classes, labels)
        return {name: part(u, labels) for name, part in zip(self.names, self.parts, strict=True)}


def labels_for(num_classes: int, labels: Tensor | None) -> Tensor | None:
    """The labels that a miner of so many classes uses; MineganError where it has classes and they are missing."""
    if num_classes and labels is None:
        raise MineganError(f"this miner is conditioned on {num_classes} classes: give it labels (n,), int64")
    return labels if num_classes else None
