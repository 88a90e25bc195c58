"""What is measured of images, and how its records are kept small. Every number is `minegan_zoo.evaluation`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from minegan_zoo.contracts import GeneratorSource
from minegan_zoo.data import ImageSet
from minegan_zoo.evaluation import evaluate
from minegan_zoo.metrics import METRICS
from minegan_zoo.pixels import to_uint8
from minegan_zoo.records import MetricRecord
from minegan_zoo.samplers import Sampler, SourceSampler

from .protocol import Protocol, Task

SHEET = (4, 8)
"""Rows and columns of a sample sheet."""
DIGITS_FROM = 10
"""The bundled classifier's first digit: its classes are Fashion-MNIST's, then MNIST's."""


class Together:
    """Several sources as they are, in equal shares."""

    def __init__(self, sources: Sequence[GeneratorSource]) -> None:
        self.samplers = [SourceSampler(source) for source in sources]

    def sample(self, n: int, seed: int | None = None) -> Tensor:
        shares = torch.arange(n).tensor_split(len(self.samplers))
        found = [sampler.sample(len(rows), seed) for sampler, rows in zip(self.samplers, shares, strict=True)]
        mixed: Tensor = torch.cat(found)[torch.randperm(n, generator=torch.Generator().manual_seed(seed or 0))]
        return mixed


def class_indices(task: Task) -> tuple[int, ...]:
    """The task's classes among the bundled classifier's."""
    return tuple(DIGITS_FROM + number if task.dataset == "MNIST" else number for number in task.classes)


def measure(
    model: Sampler | Tensor,
    real: ImageSet,
    task: Task,
    protocol: Protocol,
    *,
    seed: int,
    training: ImageSet | None,
    checkpoint: str,
) -> list[dict[str, Any]]:
    """Both feature spaces' records, folded; without training images, whatever needs none."""
    found = []
    for extractor, names in ((None, protocol.metrics), (protocol.second, protocol.second_metrics)):
        records = evaluate(
            model,
            real,
            metrics=[name for name in names if training is not None or not METRICS[name].train],
            extractor=extractor,
            samples=protocol.samples,
            seed=seed,
            training=training,
            classes=class_indices(task),
            checkpoint=checkpoint,
            device="cpu",
        )
        found.append(fold(records))
    return found


def fold(records: Mapping[str, MetricRecord]) -> dict[str, Any]:
    """What all records of a space have in common, once, and what each has of its own."""
    every = {name: record.as_dict() for name, record in records.items()}
    first = next(iter(every.values()))
    shared = {key: value for key, value in first.items() if all(record[key] == value for record in every.values())}
    own = {name: {key: v for key, v in record.items() if key not in shared} for name, record in every.items()}
    return {"shared": shared, "metrics": own}


def save_sheet(images: Tensor, path: Path) -> None:
    """The first samples (n, 1, R, R), [-1, 1] or uint8, as one small picture."""
    rows, columns = SHEET
    pixels = images[: rows * columns]
    pixels = pixels if pixels.dtype == torch.uint8 else to_uint8(pixels)
    if len(pixels) < rows * columns:
        pixels = torch.cat([pixels, pixels.new_zeros(rows * columns - len(pixels), *pixels.shape[1:])])
    grid = rearrange(pixels, "(rows columns) 1 h w -> (rows h) (columns w)", rows=rows)
    Image.fromarray(grid.numpy()).save(path, "WEBP", quality=70, method=6)
