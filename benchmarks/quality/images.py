"""Which images a task trains, validates and tests on: three sets that share no pixel-identical image."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from minegan_zoo.contracts import ImageSpec
from minegan_zoo.data import ImageSet, load_images

from .sources import images_of

IMAGE = ImageSpec(1, 32)
VALIDATION = 1000
"""So many of a target's training images, at most a fifth, are kept to choose learning rates by."""


@dataclass(frozen=True, eq=False)
class Splits:
    """A target's images, uint8 (n, 1, 32, 32)."""

    name: str
    pool: Tensor
    """What few-shot training sets are drawn from."""
    validation: Tensor
    """No run trains on them: rates are chosen on them, and they are the tables' other real images. A source that covers
    the target has seen them, for it is pretrained on the whole training split of its classes."""
    test: Tensor
    """The data set's own test split, which every reported number is measured against."""

    def real(self, split: str) -> ImageSet:
        """ "test" or "validation", to measure against."""
        images = {"test": self.test, "validation": self.validation}[split]
        return replace(load_images(images, IMAGE), origin=f"{self.name}, {split}")

    def shots(self, count: int, seed: int) -> ImageSet:
        """A few-shot training set: fewer are a subset of more, and another seed draws others."""
        found = load_images(self.pool, IMAGE, limit=count, seed=seed)
        return replace(found, origin=f"{self.name}, {count} images drawn by seed {seed}")


def read_splits(dataset: str, classes: tuple[int, ...], data_root: Path, cache: Path) -> Splits:
    """Read some classes, from `cache` the second time. What occurs twice is kept once, in the test split if there."""
    name = f"{dataset} {','.join(map(str, classes))}"
    kept = cache / f"images-{dataset}-{'-'.join(map(str, classes))}-{VALIDATION}.safetensors"
    if kept.is_file():
        return Splits(name, **load_file(kept))
    train, test = (
        load_images(images_of(dataset, split, classes, data_root), IMAGE).images for split in ("train", "test")
    )
    seen, rows = set(map(_digest, test)), []
    for row, digest in enumerate(map(_digest, train)):
        if digest not in seen:
            rows.append(row)
            seen.add(digest)
    own = train[torch.tensor(rows)]
    count = min(VALIDATION, len(own) // 5)
    parts = {"pool": own[:-count].clone(), "validation": own[-count:].clone(), "test": test}
    cache.mkdir(parents=True, exist_ok=True)
    aside = kept.with_suffix(f".{os.getpid()}")
    save_file(parts, aside)
    aside.replace(kept)
    return Splits(name, **parts)


def _digest(image: Tensor) -> str:
    return hashlib.sha256(image.numpy().tobytes()).hexdigest()
