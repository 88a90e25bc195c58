"""StyleGAN2's discriminator (arXiv 1912.04958), which StyleGAN3 keeps. Imports torch only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minegan_zoo.contracts import Critic, ImageSpec, MineganError

from .activation import Activation
from .fir import Fir
from .linear import EqualLinear
from .mapping import Mapping as LabelMapping
from .mapping import MappingConfig
from .minibatch import append_deviation
from .stylegan2 import Architecture


@dataclass(frozen=True)
class CriticConfig:
    """`widths` are the channels at 4, 8, 16, ... pixels; `labels` maps a class to the projection's weights."""

    channels: int
    widths: tuple[int, ...]
    architecture: Architecture = "resnet"
    filter_taps: tuple[float, ...] = (1, 3, 3, 1)
    activation: str = "lrelu"
    head_activation: str = "lrelu"
    clamp: float | None = None
    deviation_group: int | None = 4
    """None = the whole batch."""
    deviation_planes: int = 1
    labels: MappingConfig | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Self | None:
        if data is None:
            return None
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        labels = data["labels"]
        if labels is not None:
            fields["labels"] = MappingConfig(**labels | {"widths": tuple(labels["widths"])})
        return cls(**fields)


class ConvLayer(nn.Module):
    """Convolution (filtered and strided where `down`), bias, activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        activation: Activation,
        *,
        down: Sequence[float] | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, size, size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.scale, self.activation = 1 / sqrt(in_channels * size**2), activation
        self.fir = None if down is None else Fir(down)

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        size = self.weight.shape[-1]
        gain = self.activation.before
        weight = self.weight * (self.scale * gain)
        bias = None if self.bias is None else self.bias * gain
        if self.fir is None:
            return self.activation(F.conv2d(x, weight, bias, padding=size // 2))
        if size == 1:
            return self.activation(F.conv2d(self.fir.down(x), weight, bias))
        x = self.fir.blur(x, size // 2 + (self.fir.size - 1) // 2, size // 2 + (self.fir.size - 2) // 2)
        return self.activation(F.conv2d(x, weight, bias, stride=2))


class CriticBlock(nn.Module):
    """From one resolution to half of it."""

    def __init__(self, config: CriticConfig, index: int) -> None:
        super().__init__()
        inputs, outputs = config.widths[index], config.widths[index - 1]
        residual = config.architecture == "resnet"
        plain = Activation(config.activation, clamp=config.clamp)
        last = Activation(config.activation, gain=sqrt(0.5) if residual else 1.0, clamp=config.clamp)
        rgb = config.architecture == "skip" or index == len(config.widths) - 1
        self.fromrgb = ConvLayer(config.channels, inputs, 1, plain) if rgb else None
        self.conv0 = ConvLayer(inputs, inputs, 3, plain)
        self.conv1 = ConvLayer(inputs, outputs, 3, last, down=config.filter_taps)
        linear = Activation("linear", gain=sqrt(0.5))
        self.skip = ConvLayer(inputs, outputs, 1, linear, down=config.filter_taps, bias=False) if residual else None
        self.fir = Fir(config.filter_taps) if config.architecture == "skip" else None

    def forward(self, x: Tensor | None, image: Tensor) -> tuple[Tensor, Tensor]:
        if self.fromrgb is not None:
            rgb = self.fromrgb(image)
            x = rgb if x is None else x + rgb
        assert x is not None
        if self.fir is not None:
            image = self.fir.down(image)
        y = self.conv1(self.conv0(x))
        return (y if self.skip is None else y + self.skip(x)), image


class CriticHead(nn.Module):
    """4x4 feature maps -> features (n, width); `out`: these -> score or, with labels, what is projected; in float32."""

    def __init__(self, config: CriticConfig) -> None:
        super().__init__()
        width = config.widths[0]
        activation = Activation(config.head_activation, clamp=config.clamp)
        rgb = config.architecture == "skip"
        self.fromrgb = ConvLayer(config.channels, width, 1, Activation(config.head_activation)) if rgb else None
        self.group, self.planes = config.deviation_group, config.deviation_planes
        self.conv = ConvLayer(width + self.planes, width, 3, activation)
        self.hidden = EqualLinear(width * 16, width, activation=Activation(config.head_activation))
        self.out = EqualLinear(width, config.labels.widths[-1] if config.labels else 1)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            x, image = x.float(), image.float()
            if self.fromrgb is not None:
                x = x + self.fromrgb(image)
            if self.planes:
                x = append_deviation(x, self.group or x.shape[0], self.planes)
            features: Tensor = self.hidden(self.conv(x).flatten(1))
        return features


class ResidualCritic(nn.Module, Critic):
    """Images (and labels) -> (n,).

    A conditional one scores by projection alone, <out(features), class weights> / sqrt(d), as StyleGAN2-ADA's: nothing
    is left of the score without its class term. Without labels it therefore averages the class out: the mean of all
    classes' weights, which gives the mean of the scores under every label. (The weights of an all-zero label, the one
    other reading, no training has ever seen.)
    """

    def __init__(self, config: CriticConfig) -> None:
        super().__init__()
        self.image = ImageSpec(config.channels, 2 << len(config.widths))
        self.blocks = nn.ModuleList(CriticBlock(config, i) for i in range(1, len(config.widths)))
        self.labels = LabelMapping(config.labels) if config.labels else None
        self.num_classes = config.labels.num_classes if config.labels else 0
        self.head = CriticHead(config)

    def reset_parameters(self) -> None:
        for module in self.modules():
            if isinstance(module, ConvLayer | EqualLinear):
                module.reset_parameters()

    def groups(self) -> dict[str, list[nn.Parameter]]:
        body = {f"body.{8 << i}": list(block.parameters()) for i, block in enumerate(self.blocks)}
        groups = dict(reversed(body.items()))
        if self.labels is not None:
            groups["labels"] = list(self.labels.parameters())
        return groups | {"head": list(self.head.parameters())}

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.forward_head(self.forward_features(images), labels)

    def forward_features(self, images: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, width at 4x4), float32."""
        expected = (self.image.channels, self.image.resolution, self.image.resolution)
        if images.shape[1:] != expected:
            raise MineganError(f"this critic scores {self.image} images, got {tuple(images.shape)}")
        x = None
        for block in reversed(self.blocks):
            x, images = block(x, images)
        features: Tensor = self.head(x, images)
        return features

    def forward_head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """(n, width at 4x4) -> (n,), float32; what `labels` is, the class says."""
        scores: Tensor = self.head.out(features)
        if self.labels is None:
            return scores[:, 0]
        codes = self.labels.class_table() if labels is None else self.labels.class_codes(labels)
        weights = self.labels(None, codes)
        if labels is None:
            weights = weights.mean(dim=0)
        return (scores * weights).sum(dim=1) / sqrt(scores.shape[1])
