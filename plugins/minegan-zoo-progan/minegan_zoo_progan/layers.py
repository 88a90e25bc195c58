"""The layers that both ProGAN networks are made of (Karras et al., arXiv 1710.10196, section 4). Imports torch only."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn


class EqualConv2d(nn.Module):
    """Same-size convolution whose weight is multiplied by gain / sqrt(fan-in) at run time (section 4.1).

    `gain` None: an ordinary convolution. `scaled_bias`: the factor applies to the bias as well.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, gain: float | None, scaled_bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.scale, self.bias_scale = _scales(self.weight, gain, scaled_bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        _reset(self.weight, self.bias, equalized=self.scale is not None)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self._scaled()
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    def _scaled(self) -> tuple[Tensor, Tensor]:
        weight = self.weight if self.scale is None else self.weight * self.scale
        return weight, self.bias if self.bias_scale is None else self.bias * self.bias_scale


class EnlargingConv2d(EqualConv2d):
    """`EqualConv2d` of the input enlarged twofold (nearest), kernel 3.

    From 256 pixels a batch it is one transposed convolution: an enlarged pixel meets a 3x3 kernel with the four pixels
    it became, hence once with the sum of the kernel's four shifts. That takes 4 instead of 9 multiplications an output.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] * x.shape[2] * x.shape[3] < 256:  # too little to gain
            return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        bias = self.bias if self.bias_scale is None else self.bias * self.bias_scale
        return F.conv_transpose2d(x, self._enlarging_kernel(), bias, stride=2, padding=1)

    def _enlarging_kernel(self) -> Tensor:
        """(in, out, 4, 4). Summing the shifts is linear in the kernel's 9 numbers: one matrix product does it all."""
        wide = F.pad(torch.eye(9, dtype=self.weight.dtype, device=self.weight.device).reshape(9, 3, 3), (1, 1, 1, 1))
        sums = wide[:, 1:, 1:] + wide[:, 1:, :-1] + wide[:, :-1, 1:] + wide[:, :-1, :-1]  # (9, 4, 4)
        matrix = rearrange(sums.flip(0), "k h w -> (h w) k") * (1.0 if self.scale is None else self.scale)
        with torch.autocast(self.weight.device.type, enabled=False):
            kernel = matrix @ rearrange(self.weight, "o i h w -> i (h w) o")
        return rearrange(kernel, "i (h w) o -> i o h w", h=4)


class EqualLinear(nn.Module):
    """Linear counterpart of `EqualConv2d`; `biases` divides `outputs`: one bias for several neighbouring outputs."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        gain: float | None,
        scaled_bias: bool = False,
        biases: int | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs if biases is None else biases))
        self.scale, self.bias_scale = _scales(self.weight, gain, scaled_bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        _reset(self.weight, self.bias, equalized=self.scale is not None)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight if self.scale is None else self.weight * self.scale
        bias = self.bias if self.bias_scale is None else self.bias * self.bias_scale
        shared = len(weight) // len(bias)
        return F.linear(x, weight, bias if shared == 1 else repeat(bias, "c -> (c shared)", shared=shared))


class Embedding(nn.Module):
    """Labels (n,) -> rows (n, dim) of a table drawn from N(0, 1)."""

    def __init__(self, rows: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        if not self.weight.is_meta:
            nn.init.normal_(self.weight)

    def forward(self, labels: Tensor) -> Tensor:
        return F.embedding(labels, self.weight)


def _scales(weight: Tensor, gain: float | None, scaled_bias: bool) -> tuple[float | None, float | None]:
    if gain is None:
        return None, None
    scale = gain / math.sqrt(weight[0].numel())
    return scale, scale if scaled_bias else None


@torch.no_grad()
def _reset(weight: Tensor, bias: Tensor, equalized: bool) -> None:
    if weight.is_meta:  # nothing to fill, and torch would import its decompositions for it
        return
    if equalized:
        nn.init.normal_(weight)
    else:
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5))  # torch's default, as in the references
    nn.init.zeros_(bias)


def pixel_norm(x: Tensor) -> Tensor:
    """(n, C, ...) -> unit mean square over C (section 4.2, eps 1e-8); the statistic is taken in float32."""
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))
    return x * torch.rsqrt(length.square() / x.shape[1] + 1e-8).to(x.dtype)


def stddev_plane(x: Tensor, group: int) -> Tensor:
    """(n, C, H, W) -> (n, 1, 4, 4): mean over C, H, W of the standard deviation in each group of consecutive samples.

    Section 3, with the unbiased variance + 1e-8 of pytorch_GAN_zoo; zero for groups of one. float32.
    """
    if group == 1:
        return x.new_zeros(len(x), 1, 4, 4, dtype=torch.float32)
    variance = rearrange(x.float(), "(g m) c h w -> g m c h w", m=group).var(dim=1)
    deviation = torch.sqrt(variance + 1e-8).mean(dim=(1, 2, 3))
    return repeat(deviation, "g -> (g m) 1 4 4", m=group)


def image_stddev_plane(images: Tensor) -> Tensor:
    """(n, C, H, W) -> (n, 1, 4, 4): the mean unbiased standard deviation of the images themselves; zero for n = 1.

    As in rosinality's discriminator. Constant pixels count as zero and pass no gradient: sqrt has no slope there.
    """
    if len(images) == 1:
        return images.new_zeros(1, 1, 4, 4, dtype=torch.float32)
    variance = images.float().var(dim=0)
    varies = variance > 0
    deviation = torch.where(varies, torch.where(varies, variance, 1.0).sqrt(), 0.0).mean()
    return repeat(deviation, " -> n 1 4 4", n=len(images))
