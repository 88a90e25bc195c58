"""Images of whatever is to be measured, a chunk at a time. May import contracts and pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor

from minegan_zoo.contracts import GeneratorSource, ImageSpec, MineganError
from minegan_zoo.pixels import canonical

CHUNK_BYTES = 2**28
"""How much of a model's output is held at once."""
BATCH = 64
"""How many images a source makes at once, unless told."""


@runtime_checkable
class Sampler(Protocol):
    """Whatever gives n float32 images (n, C, H, W) in [-1, 1], the same ones for the same seed."""

    def sample(self, n: int, seed: int | None = None) -> Tensor: ...


class SourceSampler:
    """A source as it is, without any mining: what its own prior draws."""

    def __init__(self, source: GeneratorSource, batch: int = BATCH) -> None:
        self.source, self.batch = source, batch

    @torch.no_grad()
    def sample(self, n: int, seed: int | None = None) -> Tensor:
        rng = Generator().manual_seed(seed or 0)
        keys, batches = self.source.inputs[0], torch.arange(n).split(self.batch)
        made = (self.source.synthesize(self.source.prior(len(rows), keys, rng)) for rows in batches)
        return torch.cat([images.float().clamp(-1, 1).cpu() for images in made])


def image_of(model: Sampler | Tensor, seed: int) -> ImageSpec:
    """The form of a model's images, or of images (n, C, R, R); MineganError where they are not square."""
    shape = model.shape if isinstance(model, Tensor) else model.sample(1, seed=seed).shape
    if len(shape) != 4 or shape[1] not in (1, 3) or shape[2] != shape[3]:
        raise MineganError(f"the model's images must be (n, 1 or 3, R, R), not {tuple(shape)}")
    return ImageSpec(shape[1], shape[3])


def draw_uint8(model: Sampler | Tensor, count: int, seed: int, image: ImageSpec) -> Iterator[Tensor]:
    """`count` images as uint8. A model's first chunk is its `sample(n, seed=seed)`; later seeds are 2**32 apart."""
    if isinstance(model, Tensor):
        if len(model) < count:
            raise MineganError(f"{count} samples asked for, but the tensor holds {len(model)}")
        yield canonical(_finite(model[:count]))
        return
    size = max(1, CHUNK_BYTES // (4 * image.channels * image.resolution**2))
    for index, start in enumerate(range(0, count, size)):
        wanted = min(size, count - start)
        made = model.sample(wanted, seed=seed + (index << 32))
        if len(made) != wanted:
            raise MineganError(f"{wanted} samples asked for, and {type(model).__name__} made {len(made)}")
        yield canonical(_finite(made))


def _finite(images: Tensor) -> Tensor:
    if not images.isfinite().all():
        raise MineganError("the model's images are not finite: it diverged; go back to an earlier state")
    return images
