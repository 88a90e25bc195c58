"""StyleGAN2's synthesis network (arXiv 1912.04958), in the three architectures of its figure 7. Imports torch only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal, cast

import torch
from torch import Tensor, nn

from minegan_zoo.contracts import ImageSpec, MineganError

from .activation import Activation
from .fir import Fir
from .layout import fast_layout
from .modulation import StyledConv, ToRGB

Architecture = Literal["orig", "skip", "resnet"]


@dataclass(frozen=True)
class SynthesisConfig:
    """`widths` are the channels at 4, 8, 16, ... pixels; the last one's place gives the resolution."""

    channels: int
    widths: tuple[int, ...]
    w_dim: int
    architecture: Architecture = "skip"
    filter_taps: tuple[float, ...] = (1, 3, 3, 1)
    rgb_filter_taps: tuple[float, ...] = (1, 3, 3, 1)
    kernel: int = 3
    activation: str = "lrelu"
    clamp: float | None = None
    noise: bool = True

    @property
    def resolution(self) -> int:
        return 2 << len(self.widths)

    @property
    def num_ws(self) -> int:
        return 2 * len(self.widths)

    def cropped(self, resolution: int) -> SynthesisConfig:
        """The network that ends at `resolution`, where the architecture has images on the way."""
        if resolution == self.resolution:
            return self
        count = resolution.bit_length() - 2
        if self.architecture != "skip" or not 0 < count < len(self.widths) or 2 << count != resolution:
            sizes = [4 << i for i in range(len(self.widths))] if self.architecture == "skip" else [self.resolution]
            raise MineganError(
                f"this StyleGAN2 ({self.architecture}) gives no {resolution}x{resolution}: ask for {sizes}"
            )
        return replace(self, widths=self.widths[:count])


class SynthesisBlock(nn.Module):
    """One resolution: one (at 4x4) or two styled convolutions, and an RGB output where `rgb`."""

    def __init__(self, config: SynthesisConfig, index: int, *, rgb: bool) -> None:
        super().__init__()
        width, resolution = config.widths[index], 4 << index
        self.residual = config.architecture == "resnet" and index > 0

        def conv(inputs: int, *, up: bool, gain: float = 1.0) -> StyledConv:
            return StyledConv(
                inputs,
                width,
                config.kernel,
                config.w_dim,
                resolution=resolution,
                activation=Activation(config.activation, gain=gain, clamp=config.clamp),
                filter_taps=config.filter_taps,
                up=up,
                noise=config.noise,
            )

        if index == 0:
            self.const = nn.Parameter(torch.empty(width, 4, 4))
            convs = [conv(width, up=False)]
        else:
            inputs = config.widths[index - 1]
            last = conv(width, up=False, gain=sqrt(0.5) if self.residual else 1.0)
            convs = [conv(inputs, up=True), last]
            if self.residual:
                self.skip = nn.Conv2d(inputs, width, 1, bias=False)
                self.skip_scale = sqrt(0.5 / inputs)
        self.convs = cast(Sequence[StyledConv], nn.ModuleList(convs))
        self.torgb = ToRGB(width, config.channels, config.w_dim, clamp=config.clamp) if rgb else None
        self.fir = Fir(config.rgb_filter_taps)

    def reset_parameters(self) -> None:
        if len(self.convs) == 1:
            nn.init.normal_(self.const)
        if self.residual:
            nn.init.normal_(self.skip.weight)
        for part in (*self.convs, self.torgb):
            if isinstance(part, StyledConv | ToRGB):
                part.reset_parameters()

    def forward(
        self, x: Tensor | None, image: Tensor | None, ws: Sequence[Tensor], noise: Sequence[Tensor | None]
    ) -> tuple[Tensor, Tensor | None]:
        """`ws` are one a convolution and one for the RGB output, `noise` one a convolution."""
        if x is None:
            x = self.const.expand(ws[0].shape[0], -1, -1, -1)
        skip = x = fast_layout(x)
        for conv, w, map_ in zip(self.convs, ws, noise, strict=False):
            x = conv(x, w, map_)
        if self.residual:
            x = x + self.fir.up(nn.functional.conv2d(skip, self.skip.weight * self.skip_scale))
        if self.torgb is not None:
            rgb = self.torgb(x, ws[len(self.convs)])
            image = rgb if image is None else self.fir.up(image) + rgb
        return x, image


class Synthesis2(nn.Module):
    """ws (n, num_ws, w_dim), noise maps -> images. Convolution i takes ws[i], an RGB output its successor's."""

    def __init__(self, config: SynthesisConfig) -> None:
        super().__init__()
        self.image = ImageSpec(config.channels, config.resolution)
        self.num_ws, self.w_dim = config.num_ws, config.w_dim
        last = len(config.widths) - 1
        blocks = [SynthesisBlock(config, i, rgb=config.architecture == "skip" or i == last) for i in range(last + 1)]
        self.blocks = cast(Sequence[SynthesisBlock], nn.ModuleList(blocks))
        self.noise_sizes = [conv.resolution for block in blocks for conv in block.convs] if config.noise else []

    def noise_maps(self) -> list[Tensor]:
        """The stored maps, (1, 1, H, H) each."""
        if not self.noise_sizes:
            return []
        return [conv.noise_const[None, None] for block in self.blocks for conv in block.convs]

    def reset_parameters(self) -> None:
        rng = torch.Generator().manual_seed(0)
        for block in self.blocks:
            block.reset_parameters()
        with torch.no_grad():
            for buffer in self.noise_maps():
                buffer.copy_(torch.randn(buffer.shape, generator=rng))

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {f"body.{4 << i}": list(block.parameters()) for i, block in enumerate(self.blocks)}

    def forward(self, ws: Tensor, noise: Sequence[Tensor | None]) -> Tensor:
        x: Tensor | None = None
        image: Tensor | None = None
        noise = noise or [None] * self.num_ws
        at = 0
        for block in self.blocks:
            count = len(block.convs)
            x, image = block(x, image, ws[:, at : at + count + 1].unbind(1), noise[at : at + count])
            at += count
        assert image is not None
        return image.contiguous()
