"""Batches of target images, drawn by the run's own random numbers. May import data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from minegan_zoo.data import to_float


@dataclass(frozen=True)
class TargetBatches:
    """The target on the model's device: `images` (N, C, R, R) uint8, canonical, and `labels` (N,) or None."""

    images: Tensor
    labels: Tensor | None

    def digest(self) -> str:
        """sha256 over images and labels: a run resumes on the images that it began with."""
        labels = b"" if self.labels is None else self.labels.cpu().numpy().tobytes()
        return hashlib.sha256(self.images.cpu().numpy().tobytes() + labels).hexdigest()

    def images_and_labels(self, n: int, rng: Generator) -> tuple[Tensor, Tensor | None]:
        """(n, C, R, R) in [-1, 1] and (n,), without repeats where there are enough images."""
        total = len(self.images)
        rows = torch.cat([torch.randperm(total, generator=rng) for _ in range(-(-n // total))])[:n]
        rows = rows.to(self.images.device)
        return to_float(self.images[rows]), None if self.labels is None else self.labels[rows]

    def labels_alone(self, n: int, rng: Generator) -> Tensor | None:
        """(n,) as often as they are among the images; None without labels."""
        if self.labels is None:
            return None
        return self.labels[torch.randint(len(self.labels), (n,), generator=rng).to(self.labels.device)]
