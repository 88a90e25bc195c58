"""A picture that is not opened yet, and the album of them that every kind of source becomes. Imports contracts only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from minegan_zoo.contracts import MineganError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


@dataclass(frozen=True)
class SkippedFile:
    """A picture that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Picture:
    """One picture, not opened yet. `open` raises whatever the decoder raises."""

    name: str
    open: Callable[[], Image]
    label: int | None = None


@dataclass(frozen=True)
class Album:
    """The pictures of one source. Labels index `class_names`; both are absent unless asked for."""

    origin: str
    """Names the source without the folders it lies in."""
    pictures: tuple[Picture, ...]
    class_names: tuple[str, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()


def tensor_album(
    images: Tensor,
    targets: Tensor | None,
    class_names: Sequence[str],
    origin: str,
    labels: bool,
    names: Sequence[str] = (),
) -> Album:
    """Pictures from a tensor (n, C, H, W), uint8; `targets` (n,) index `class_names`."""
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise MineganError(f"{origin}: images must be (n, 1, H, W) or (n, 3, H, W), not {tuple(images.shape)}")
    if labels and targets is None:
        raise MineganError(f"{origin} has no labels: leave labels out")
    if targets is not None and len(targets) != len(images):
        raise MineganError(f"{origin}: {len(images)} images but {len(targets)} labels")
    named = names or [f"{i:06d}" for i in range(len(images))]
    kept = targets.tolist() if labels and targets is not None else [None] * len(images)
    pictures = tuple(
        Picture(name, partial(_from_tensor, row), label) for name, row, label in zip(named, images, kept, strict=True)
    )
    return Album(origin, pictures, tuple(class_names) if labels else ())


def _from_tensor(row: Tensor) -> Image:
    from PIL import Image

    pixels = row.detach().cpu().numpy()
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
