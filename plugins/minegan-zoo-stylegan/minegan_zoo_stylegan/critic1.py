"""StyleGAN's discriminator (that of progressive growing) as rosinality's port has it. Imports torch only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minegan_zoo.contracts import Critic, ImageSpec, MineganError

from .fir import Fir
from .linear import EqualLinear
from .minibatch import append_deviation
from .stylegan1 import DownConv, EqualConv


@dataclass(frozen=True)
class Critic1Config:
    """`widths` as in the generator, `head` those of the last layers; `activate` says whether RGB inputs are activated.

    RGB inputs exist at the last `rgb_layers` sizes; `alpha`, the share of the last one, needs two of them.
    """

    channels: int
    widths: tuple[int, ...]
    head: int
    activate: bool = True
    rgb_layers: int = 1
    alpha: float = 1.0
    filter_taps: tuple[float, ...] = (1, 2, 1)


class CriticBlock1(nn.Module):
    """From one size to half of it; at 4x4 (index 0) to a vector, with the deviation over the whole batch appended."""

    def __init__(self, config: Critic1Config, index: int) -> None:
        super().__init__()
        inputs = config.widths[index]
        self.fromrgb = (
            EqualConv(config.channels, inputs, 1) if index >= len(config.widths) - config.rgb_layers else None
        )
        if index:
            outputs = config.widths[index - 1]
            self.conv0: EqualConv = EqualConv(inputs, outputs, 3)
            self.blur: Fir | None = Fir(config.filter_taps)
            self.conv1: EqualConv = DownConv(outputs, outputs)
        else:
            self.conv0 = EqualConv(inputs + 1, config.head, 3)
            self.blur = None
            self.conv1 = EqualConv(config.head, config.head, 4, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        if self.blur is None:
            x = append_deviation(x.float(), len(x))
        x = F.leaky_relu(self.conv0(x), 0.2)
        if self.blur is not None:
            x = self.blur.blur(x, 1, 1)
        return F.leaky_relu(self.conv1(x), 0.2)


class ProgressiveCritic(nn.Module, Critic):
    """Images -> (n,); unconditional."""

    def __init__(self, config: Critic1Config) -> None:
        super().__init__()
        self.image = ImageSpec(config.channels, 2 << len(config.widths))
        self.activate, self.alpha = config.activate, config.alpha
        blocks = [CriticBlock1(config, index) for index in range(len(config.widths))]
        self.blocks = cast(Sequence[CriticBlock1], nn.ModuleList(blocks))
        self.out = EqualLinear(config.head, 1, gain=sqrt(2))

    def reset_parameters(self) -> None:
        for module in self.modules():
            if isinstance(module, EqualConv | EqualLinear):
                module.reset_parameters()

    def groups(self) -> dict[str, list[nn.Parameter]]:
        body = {f"body.{4 << i}": list(block.parameters()) for i, block in enumerate(self.blocks)}
        return dict(reversed(body.items())) | {"head": list(self.out.parameters())}

    def _from_rgb(self, index: int, images: Tensor) -> Tensor:
        layer = self.blocks[index].fromrgb
        assert layer is not None
        x: Tensor = layer(images)
        return F.leaky_relu(x, 0.2) if self.activate else x

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.forward_head(self.forward_features(images))

    def forward_head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """(n, head) -> (n,), float32."""
        scores: Tensor = self.out(features)
        return scores[:, 0]

    def forward_features(self, images: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, head)."""
        expected = (self.image.channels, self.image.resolution, self.image.resolution)
        if images.shape[1:] != expected:
            raise MineganError(f"this critic scores {self.image} images, got {tuple(images.shape)}")
        *lower, last = self.blocks
        x = last(self._from_rgb(-1, images))
        if self.alpha < 1.0 and lower:
            x = self._from_rgb(-2, F.avg_pool2d(images, 2)).lerp(x, self.alpha)
        for block in reversed(lower):
            x = block(x)
        return torch.flatten(x, 1)
