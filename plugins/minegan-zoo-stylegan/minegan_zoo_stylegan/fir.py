"""Low-pass filtering, up- and downsampling by two, as depthwise convolutions. Imports torch only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Fir(nn.Module):
    """The separable filter `taps` x `taps`, normalised to sum 1, applied to every channel.

    Paddings place the filter as the reference does, also where the number of taps is odd. Runs in the dtype of its
    input, whatever autocast says.
    """

    kernel: Tensor

    def __init__(self, taps: Sequence[float]) -> None:
        super().__init__()
        line = torch.tensor(taps, dtype=torch.float64)
        line = line / line.sum()
        # torch correlates; filters convolve
        self.register_buffer("kernel", torch.outer(line, line).flip(0, 1).float(), persistent=False)
        self.size = len(taps)

    def blur(self, x: Tensor, before: int, after: int, gain: float = 1.0) -> Tensor:
        """Pads (negative: crops) both axes by `before` and `after`, then filters: size + before + after - taps + 1."""
        kernel = self.kernel if gain == 1.0 else self.kernel * gain
        padding = min(before, self.size - 1) if before == after >= 0 else 0
        rest = (before - padding, after - padding)
        return depthwise(F.pad(x, rest * 2) if any(rest) else x, kernel, 1, padding)

    def down(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h / 2, w / 2); only the kept pixels are computed."""
        before, after = (self.size - 1) // 2, (self.size - 2) // 2
        if before == after:
            return depthwise(x, self.kernel, 2, before)
        return depthwise(F.pad(x, (before, after) * 2), self.kernel, 2, 0)

    def up(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, 2 h, 2 w), without inserting zeros."""
        kernel = self.kernel.flip(0, 1) * 4  # a transposed convolution convolves
        start = self.size - 1 - (self.size + 1) // 2
        full = 2 * x.shape[-1] - 2 + self.size
        if full == 2 * x.shape[-1] + 2 * start:
            return depthwise_transposed(x, kernel, 2, start, 2 * x.shape[-1])
        x = depthwise_transposed(x, kernel, 2, 0, full)
        return F.pad(x, (-start, start + 2 - self.size) * 2)


def depthwise(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    """Correlates every channel of square images x with `kernel` (k, k); differentiable in x, any number of times."""
    y: Tensor = _Depthwise.apply(x, kernel, stride, padding)
    return y


def depthwise_transposed(x: Tensor, kernel: Tensor, stride: int, padding: int, size: int) -> Tensor:
    """The adjoint of `depthwise` on images of `size` pixels."""
    y: Tensor = _Transposed.apply(x, kernel, stride, padding, size)
    return y


class _Depthwise(torch.autograd.Function):
    """Its own gradient formula, because torch's double backward of a grouped convolution loops over the groups."""

    @staticmethod
    def forward(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
        weight = kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)
        with torch.autocast(x.device.type, enabled=False):
            return F.conv2d(x, weight, stride=stride, padding=padding, groups=x.shape[1])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, kernel, ctx.stride, ctx.padding = inputs
        ctx.size = x.shape[-1]
        ctx.save_for_backward(kernel)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (kernel,) = ctx.saved_tensors
        if ctx.stride == 1:  # again a correlation, faster than a transposed one
            return depthwise(grad, kernel.flip(0, 1), 1, kernel.shape[0] - 1 - ctx.padding), None, None, None
        return depthwise_transposed(grad, kernel, ctx.stride, ctx.padding, ctx.size), None, None, None


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, kernel: Tensor, stride: int, padding: int, size: int) -> Tensor:
        channels = x.shape[1]
        weight = kernel.to(x.dtype).expand(channels, 1, -1, -1)
        extra = size - ((x.shape[-1] - 1) * stride - 2 * padding + kernel.shape[0])
        with torch.autocast(x.device.type, enabled=False):
            return F.conv_transpose2d(x, weight, None, stride, padding, extra, channels)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, kernel, ctx.stride, ctx.padding, _ = inputs
        ctx.save_for_backward(kernel)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (kernel,) = ctx.saved_tensors
        return depthwise(grad, kernel, ctx.stride, ctx.padding), None, None, None, None
