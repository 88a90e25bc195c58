"""Depthwise correlation with one fixed kernel for all channels, and its adjoint. Imports torch only.

Each is the other's gradient, so both are differentiable any number of times at equal cost; torch's own double backward
of a grouped convolution loops over the groups.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, int]


def depthwise(x: Tensor, kernel: Tensor, stride: Pair = (1, 1), padding: Pair = (0, 0)) -> Tensor:
    """Correlates every channel of x (n, c, h, w) with `kernel` (kh, kw), in the dtype of x; no gradient to `kernel`."""
    y: Tensor = _Depthwise.apply(x, kernel, stride, padding)
    return y


def depthwise_transposed(x: Tensor, kernel: Tensor, stride: Pair, padding: Pair, size: Pair) -> Tensor:
    """The adjoint of `depthwise` on images of `size`."""
    y: Tensor = _Transposed.apply(x, kernel, stride, padding, size)
    return y


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, kernel: Tensor, stride: Pair, padding: Pair) -> Tensor:
        weight = kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)
        with torch.autocast(x.device.type, enabled=False):
            return F.conv2d(x, weight, stride=stride, padding=padding, groups=x.shape[1])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, kernel, ctx.stride, ctx.padding = inputs
        ctx.size = x.shape[2:]
        ctx.save_for_backward(kernel)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (kernel,) = ctx.saved_tensors
        rest = (kernel.shape[0] - 1 - ctx.padding[0], kernel.shape[1] - 1 - ctx.padding[1])
        if ctx.stride == (1, 1) and min(rest) >= 0:  # again a correlation, faster than a transposed one
            return depthwise(grad, kernel.flip(0, 1), padding=rest), None, None, None
        return depthwise_transposed(grad, kernel, ctx.stride, ctx.padding, ctx.size), None, None, None


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, kernel: Tensor, stride: Pair, padding: Pair, size: Pair) -> Tensor:
        channels = x.shape[1]
        weight = kernel.to(x.dtype).expand(channels, 1, -1, -1)
        least = [(x.shape[i + 2] - 1) * stride[i] - 2 * padding[i] + kernel.shape[i] for i in (0, 1)]
        extra = (size[0] - least[0], size[1] - least[1])
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
