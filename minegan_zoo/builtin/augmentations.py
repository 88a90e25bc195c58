"""DiffAugment, and none. Imports contracts only.

In torch, not kornia: kornia's colour operations clamp to [0, 1], its erasing draws other shapes than the paper's, and
its translation resamples where whole pixels can be copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import Augmentation, MineganError


class Unchanged(nn.Module, Augmentation):
    """Images as they are, for a run whose strategy would augment them."""

    def forward(self, images: Tensor) -> Tensor:
        """The very images."""
        return images


class DiffAugment(nn.Module, Augmentation):
    """Differentiable augmentation (Zhao et al., arXiv 2006.10738, section 3), drawn for each image on its own.

    `color`: brightness by up to 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5; `translation`: by up to an
    eighth of the size; `cutout`: a square of half the size. What moves in or is cut out is zero. Values may leave
    [-1, 1]. Draws come from torch's global CPU generator, so that they resume with it on every device.
    """

    def __init__(self, policy: str = "color,translation,cutout") -> None:
        super().__init__()
        self.steps = tuple(name.strip() for name in policy.split(","))
        if unknown := [name for name in self.steps if name not in STEPS]:
            raise MineganError(f"diffaugment: policy {policy!r} holds {unknown}; it may hold {', '.join(STEPS)}")

    def forward(self, images: Tensor) -> Tensor:
        """(n, C, H, W) -> the same shape; grey or RGB."""
        for name in self.steps:
            images = STEPS[name](images)
        return images


def color(images: Tensor) -> Tensor:
    """Brightness, saturation, contrast, in this order. Grey has no saturation to change."""
    brightness, saturation, contrast = torch.rand(3, len(images), 1, 1, 1).to(images)
    images = images + (brightness - 0.5)
    images = images.mean(1, keepdim=True).lerp(images, 2 * saturation)
    return images.mean((1, 2, 3), keepdim=True).lerp(images, contrast + 0.5)


def translation(images: Tensor) -> Tensor:
    """By whole pixels, each axis on its own."""
    n, _, height, width = images.shape
    most_down, most_right = round(height / 8), round(width / 8)
    down = torch.randint(-most_down, most_down + 1, (n, 1, 1))
    right = torch.randint(-most_right, most_right + 1, (n, 1, 1))
    rows = (torch.arange(height)[:, None] - down + most_down).to(images.device)  # (n, H, 1) of the padded image
    columns = (torch.arange(width) - right + most_right).to(images.device)  # (n, 1, W)
    padded = rearrange(F.pad(images, (most_right, most_right, most_down, most_down)), "n c h w -> n h w c")
    shifted = padded[torch.arange(n, device=images.device)[:, None, None], rows, columns]
    return rearrange(shifted, "n h w c -> n c h w")


def cutout(images: Tensor) -> Tensor:
    """A square whose centre is anywhere in the image, so that it may stick out."""
    n, _, height, width = images.shape
    tall, wide = round(height / 2), round(width / 2)
    top = torch.randint(0, height + (1 - tall % 2), (n, 1, 1)) - tall // 2
    left = torch.randint(0, width + (1 - wide % 2), (n, 1, 1)) - wide // 2
    row, column = torch.arange(height)[:, None], torch.arange(width)
    cut = (row >= top) & (row < top + tall) & (column >= left) & (column < left + wide)  # (n, H, W)
    return images * ~cut[:, None].to(images.device)


STEPS: Mapping[str, Callable[[Tensor], Tensor]] = {"color": color, "translation": translation, "cutout": cutout}
