"""Convolutions whose input channels are scaled by a style (arXiv 1912.04958, section 2.2). Imports torch only."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .activation import Activation
from .fir import Fir
from .linear import EqualLinear


class ModulatedConv(nn.Module):
    """Scales activations, not weights: one ordinary convolution for the whole batch instead of one a sample.

    conv(x, s W) = conv(s x, W), and demodulation divides output channels by |s W| (eq. 3), so both become elementwise.
    """

    def __init__(self, in_channels: int, out_channels: int, size: int, w_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, size, size))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.affine = EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.scale = 1 / sqrt(in_channels * size**2)

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)
        self.affine.reset_parameters()


class StyledConv(ModulatedConv):
    """Modulated convolution, upsampling, demodulation, noise, bias, activation."""

    noise_const: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        w_dim: int,
        *,
        resolution: int,
        activation: Activation,
        filter_taps: Sequence[float],
        up: bool,
        noise: bool,
    ) -> None:
        super().__init__(in_channels, out_channels, size, w_dim)
        self.activation, self.resolution = activation, resolution
        self.fir = Fir(filter_taps) if up else None
        self.noise_strength = nn.Parameter(torch.empty(())) if noise else None
        if noise:
            self.register_buffer("noise_const", torch.empty(resolution, resolution))

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.noise_strength is not None:
            nn.init.zeros_(self.noise_strength)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """x (n, in, h, h), w (n, w_dim), noise (n or 1, 1, H, H) -> (n, out, H, H), H = `resolution`."""
        gain = self.activation.before
        with torch.autocast(x.device.type, enabled=False):
            style = self.affine(w) * self.scale
            squares = self.weight.square().flatten(1)  # (out, in * size^2)
            norm = F.linear(style.square().repeat_interleave(self.weight[0, 0].numel(), 1), squares)  # (n, out)
            demodulation = (norm + 1e-8).rsqrt()[:, :, None, None] * gain
            bias = self.bias[:, None, None] * gain
            scaled = None
            if noise is not None and self.noise_strength is not None:
                scaled = noise * (self.noise_strength * gain)
        x = self._convolve(x * style[:, :, None, None].to(x.dtype), self.weight)
        # one new feature map, then in place: fresh memory costs more than the arithmetic
        if scaled is None:
            x = torch.addcmul(bias.to(x.dtype), x, demodulation.to(x.dtype))
        else:
            x = torch.addcmul(scaled.to(x.dtype), x, demodulation.to(x.dtype)).add_(bias.to(x.dtype))
        return self.activation(x)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        size = weight.shape[-1]
        if self.fir is None:
            return F.conv2d(x, weight, padding=size // 2)
        # zero-inserting upsampling, convolution, filter; the first two are one transposed convolution
        x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        before = size // 2 + (self.fir.size + 1) // 2 - (size - 1)
        after = size // 2 + (self.fir.size - 2) // 2 - (size - 2)
        return self.fir.blur(x, before, after, gain=4.0)


class ToRGB(ModulatedConv):
    """1x1 modulated convolution without demodulation; float32 from its sum on."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, *, clamp: float | None) -> None:
        super().__init__(in_channels, out_channels, 1, w_dim)
        self.activation = Activation("linear", clamp=clamp)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.affine(w) * self.scale
        x = F.conv2d(x * style[:, :, None, None].to(x.dtype), self.weight)
        return self.activation(x.float() + self.bias[:, None, None])
