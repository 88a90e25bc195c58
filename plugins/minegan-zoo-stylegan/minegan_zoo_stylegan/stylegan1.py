"""StyleGAN's synthesis network (arXiv 1812.04948) as rosinality's port has it. Imports torch only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minegan_zoo.contracts import ImageSpec

from .fir import Fir
from .layout import fast_layout
from .linear import EqualLinear


@dataclass(frozen=True)
class Synthesis1Config:
    """`widths` are the channels at 4, 8, 16, ... pixels; `fused` says where upsampling averages instead of adding up.

    RGB outputs exist at the last `rgb_layers` sizes; `alpha`, the share of the last one, needs two of them.
    """

    channels: int
    widths: tuple[int, ...]
    w_dim: int
    fused: tuple[bool, ...]
    rgb_layers: int = 1
    alpha: float = 1.0
    filter_taps: tuple[float, ...] = (1, 2, 1)

    @property
    def resolution(self) -> int:
        return 2 << len(self.widths)


class EqualConv(nn.Module):
    """Convolution with equalised learning rate, gain sqrt(2) and unscaled bias."""

    def __init__(self, in_channels: int, out_channels: int, size: int, *, padding: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, size, size))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.scale = sqrt(2 / (in_channels * size**2))
        self.padding = size // 2 if padding is None else padding

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class UpConv(EqualConv):
    """Nearest upsampling and a 3x3 convolution as one transposed 4x4 convolution; less than half the work."""

    def __init__(self, in_channels: int, out_channels: int, *, averages: bool) -> None:
        super().__init__(in_channels, out_channels, 3)
        if averages:
            self.scale /= 4

    def forward(self, x: Tensor) -> Tensor:
        weight = shifted_sum(self.weight.flip(2, 3) * self.scale).transpose(0, 1)
        return F.conv_transpose2d(x, weight, self.bias, stride=2, padding=1)


class DownConv(EqualConv):
    """A 3x3 convolution and 2x2 average pooling as one strided 4x4 convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3)
        self.scale /= 4

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, shifted_sum(self.weight * self.scale), self.bias, stride=2, padding=1)


def shifted_sum(weight: Tensor) -> Tensor:
    """(o, i, k, k) convolved with a 2x2 box: (o, i, k + 1, k + 1)."""
    weight = F.pad(weight, (1, 1, 1, 1))
    weight = weight[:, :, 1:] + weight[:, :, :-1]
    return weight[:, :, :, 1:] + weight[:, :, :, :-1]


class StyleLayer(nn.Module):
    """What follows a convolution: noise, leaky ReLU, adaptive instance norm (eq. 1)."""

    def __init__(self, channels: int, w_dim: int) -> None:
        super().__init__()
        self.noise_weight = nn.Parameter(torch.empty(channels))
        self.noise_scale = sqrt(2 / channels)
        self.affine = EqualLinear(w_dim, 2 * channels, gain=sqrt(2))

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.noise_weight)
        self.affine.reset_parameters()
        nn.init.ones_(self.affine.bias[: len(self.noise_weight)])

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """Overwrites x."""
        if noise is not None:
            x = x.addcmul_((self.noise_weight * self.noise_scale)[:, None, None].to(x.dtype), noise.to(x.dtype))
        x = F.leaky_relu_(x, 0.2).float()
        scale, shift = self.affine(w)[:, :, None, None].chunk(2, dim=1)
        variance, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
        scale = scale * (variance + 1e-5).rsqrt()
        return torch.addcmul(shift - mean * scale, x, scale)


class Block1(nn.Module):
    """One size: the constant or an upsampling convolution, then a second one; both share one noise map."""

    noise_const: Tensor

    def __init__(self, config: Synthesis1Config, index: int) -> None:
        super().__init__()
        width, count = config.widths[index], len(config.widths)
        if index:
            self.up = UpConv(config.widths[index - 1], width, averages=config.fused[index])
            self.blur = Fir(config.filter_taps)
        else:
            self.const = nn.Parameter(torch.empty(width, 4, 4))
        self.style0 = StyleLayer(width, config.w_dim)
        self.conv = EqualConv(width, width, 3)
        self.style1 = StyleLayer(width, config.w_dim)
        self.torgb = EqualConv(width, config.channels, 1) if index >= count - config.rgb_layers else None
        self.register_buffer("noise_const", torch.empty(4 << index, 4 << index))
        self.first = index == 0

    def reset_parameters(self) -> None:
        if self.first:
            nn.init.normal_(self.const)
        else:
            self.up.reset_parameters()
        for part in (self.style0, self.conv, self.style1, self.torgb):
            if part is not None:
                part.reset_parameters()

    def forward(self, x: Tensor | None, w: Tensor, noise: Tensor | None) -> Tensor:
        x = self.const.repeat(len(w), 1, 1, 1) if x is None else self.blur.blur(self.up(fast_layout(x)), 1, 1)
        x = self.style0(x, w, noise)
        y: Tensor = self.style1(self.conv(x), w, noise)
        return y


class Synthesis1(nn.Module):
    """ws (n, blocks, w_dim), one noise map a block -> images."""

    def __init__(self, config: Synthesis1Config) -> None:
        super().__init__()
        self.image = ImageSpec(config.channels, config.resolution)
        self.num_ws, self.w_dim, self.alpha = len(config.widths), config.w_dim, config.alpha
        self.noise_sizes = [4 << i for i in range(self.num_ws)]
        self.blocks = cast(Sequence[Block1], nn.ModuleList(Block1(config, i) for i in range(self.num_ws)))

    def noise_maps(self) -> list[Tensor]:
        return [block.noise_const[None, None] for block in self.blocks]

    def reset_parameters(self) -> None:
        for block, noise in zip(self.blocks, fixed_noise(self.num_ws), strict=True):
            block.reset_parameters()
            block.noise_const.copy_(noise)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {f"body.{4 << i}": list(block.parameters()) for i, block in enumerate(self.blocks)}

    def forward(self, ws: Tensor, noise: Sequence[Tensor | None]) -> Tensor:
        x: Tensor | None = None
        before: Tensor | None = None
        for block, w, noise_map in zip(self.blocks, ws.unbind(1), noise, strict=True):
            x, before = block(x, w, noise_map), x
        last = self.blocks[-1].torgb
        assert x is not None and last is not None
        image: Tensor = last(x).float()
        if self.alpha == 1.0 or before is None:
            return image
        faint = self.blocks[-2].torgb
        assert faint is not None
        return faint(before).float().repeat_interleave(2, 2).repeat_interleave(2, 3).lerp(image, self.alpha)


def fixed_noise(count: int) -> list[Tensor]:
    """The constant noise of files that hold none: sizes 4, 8, 16, ... from a fixed seed, whatever the number."""
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(4 << i, 4 << i, generator=rng, device="cpu") for i in range(count)]
