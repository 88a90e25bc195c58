"""Batches of target images, drawn by the run's own random numbers. May import pixels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

from minegan_zoo.pixels import to_float


@dataclass(frozen=True)
class TargetBatches:
    """The target: `images` (N, C, R, R) uint8, canonical, on the model's device if they fit; `labels` (N,) or None."""

    images: Tensor
    labels: Tensor | None
    device: torch.device

    @classmethod
    def on(cls, device: torch.device, images: Tensor, labels: Tensor | None) -> TargetBatches:
        """On the device where they take at most a quarter of its free memory, else in the host's."""
        if device.type == "cuda" and images.nbytes <= torch.cuda.mem_get_info(device)[0] // 4:
            images = images.to(device)
        return cls(images, labels, device)

    @cached_property
    def digest(self) -> str:
        """sha256 over images and labels: a run resumes on the images that it began with."""
        labels = b"" if self.labels is None else self.labels.cpu().numpy().tobytes()
        return hashlib.sha256(self.images.cpu().numpy().tobytes() + labels).hexdigest()

    def draw(self, n: int, rng: Generator) -> Tensor:
        """(n,) rows, without repeats where there are enough images."""
        total = len(self.images)
        return torch.cat([torch.randperm(total, generator=rng) for _ in range(-(-n // total))])[:n]

    def images_of(self, rows: Tensor) -> Tensor:
        """(n, C, R, R) in [-1, 1], on the model's device."""
        return to_float(self.images[rows.to(self.images.device)].to(self.device))

    def labels_of(self, rows: Tensor) -> Tensor | None:
        """(n,); None without labels."""
        return None if self.labels is None else self.labels[rows]

    def labels_alone(self, n: int, rng: Generator) -> Tensor | None:
        """(n,) as often as they are among the images; None without labels."""
        if self.labels is None:
            return None
        return self.labels[torch.randint(len(self.labels), (n,), generator=rng)]
