"""How images are held: uint8, or floats in [-1, 1]. Imports contracts; torch inside functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minegan_zoo.contracts import MineganError

if TYPE_CHECKING:
    from torch import Tensor

FAR = 10.0
"""No image in [-1, 1] has a value beyond it, and all but black ones in [0, 255] do."""


def to_float(images: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Float, clamped to [-1, 1] -> uint8, to the nearest; the exact inverse of `to_float`."""
    import torch

    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def canonical(images: Tensor) -> Tensor:
    """Somebody's images, uint8 or float in [-1, 1] -> uint8; MineganError for another range or type."""
    import torch

    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise MineganError(f"images are uint8 or float in [-1, 1], not {str(images.dtype).removeprefix('torch.')}")
    if images.numel() and (reach := float(images.detach().abs().max())) > FAR:
        raise MineganError(f"float images are in [-1, 1], and these reach {reach:.4g}: give those in 0 to 255 as uint8")
    return to_uint8(images)
