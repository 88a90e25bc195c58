"""Residual blocks and self-attention of generator and discriminator. Imports `architecture`, `norm` and `spectral`.

Shortcuts are resampled on the narrow side of their 1x1 convolution: the two commute and it is four times cheaper.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import MineganError
from minegan_zoo_biggan.architecture import Block, DiscriminatorPlan, GeneratorPlan
from minegan_zoo_biggan.layout import fast_layout
from minegan_zoo_biggan.norm import ClassBatchNorm
from minegan_zoo_biggan.spectral import Conv2d

Plan = GeneratorPlan | DiscriminatorPlan


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """May overwrite its input: that saves the cost of fresh memory, which is most of the cost."""
    known: dict[str, Callable[[Tensor], Tensor]] = {
        "relu": F.relu_,
        "leaky_relu": partial(F.leaky_relu_, negative_slope=0.2),
        "elu": F.elu,
        "silu": F.silu,
    }
    if name not in known:
        raise MineganError(f"BigGAN knows no activation {name!r}: give one of {', '.join(known)}")
    return known[name]


def conv(plan: Plan, inputs: int, outputs: int, size: int, bias: bool = True, resample: str = "") -> Conv2d:
    return Conv2d(inputs, outputs, size, plan.spectral, plan.sn_eps, bias, resample)


def upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class Attention(nn.Module):
    """Self-attention of SAGAN's released code (Zhang et al., 2019): keys and values pooled, scores not scaled."""

    def __init__(self, channels: int, plan: Plan) -> None:
        super().__init__()
        self.theta = conv(plan, channels, channels // 8, 1, bias=False)
        self.phi = conv(plan, channels, channels // 8, 1, bias=False)
        self.g = conv(plan, channels, channels // 2, 1, bias=False)
        self.o = conv(plan, channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.gamma)

    def forward(self, x: Tensor) -> Tensor:
        query = rearrange(self.theta(x), "n c h w -> n (h w) c")
        key = rearrange(F.max_pool2d(self.phi(x), 2), "n c h w -> n c (h w)")
        value = rearrange(F.max_pool2d(self.g(x), 2), "n c h w -> n (h w) c")
        # Written out: the fused kernels have no second derivative, which a gradient penalty needs.
        weights = torch.softmax((query @ key).float(), dim=-1).to(value.dtype)
        seen = rearrange(weights @ value, "n (h w) c -> n c h w", h=x.shape[2])
        out: Tensor = x + self.gamma * self.o(seen)
        return out


class GeneratorBlock(nn.Module):
    """BN-act-up-conv3-BN-act-conv3 beside up-conv1."""

    def __init__(self, block: Block, plan: GeneratorPlan) -> None:
        super().__init__()
        self.act, self.resample = activation(plan.activation), block.resample
        self.conv1 = conv(plan, block.inputs, block.hidden, 3, resample="up" if block.resample else "")
        self.conv2 = conv(plan, block.hidden, block.outputs, 3)
        self.conv_sc = None
        if block.resample or block.inputs != block.outputs:
            self.conv_sc = conv(plan, block.inputs, block.outputs, 1)
        self.bn1 = ClassBatchNorm(block.inputs, plan)
        self.bn2 = ClassBatchNorm(block.hidden, plan)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        x = fast_layout(x)
        h = self.act(self.bn1(x, condition))
        h = self.act(self.bn2(self.conv1(h), condition))
        if self.conv_sc is not None:
            x = self.conv_sc(x)
        out: Tensor = self.conv2(h).add_(upsample(x) if self.resample else x)
        return out


class DeepGeneratorBlock(nn.Module):
    """conv1-conv3-conv3-conv1 with a narrow middle; the shortcut drops the last channels."""

    def __init__(self, block: Block, plan: GeneratorPlan) -> None:
        super().__init__()
        self.act, self.resample, self.outputs = activation(plan.activation), block.resample, block.outputs
        self.conv1 = conv(plan, block.inputs, block.hidden, 1)
        self.conv2 = conv(plan, block.hidden, block.hidden, 3, resample="up" if block.resample else "")
        self.conv3 = conv(plan, block.hidden, block.hidden, 3)
        self.conv4 = conv(plan, block.hidden, block.outputs, 1)
        self.bn1 = ClassBatchNorm(block.inputs, plan)
        self.bn2 = ClassBatchNorm(block.hidden, plan)
        self.bn3 = ClassBatchNorm(block.hidden, plan)
        self.bn4 = ClassBatchNorm(block.hidden, plan)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        x = fast_layout(x)
        h = self.conv1(self.act(self.bn1(x, condition)))
        h = self.act(self.bn2(h, condition))
        h = self.conv2(h)
        h = self.conv3(self.act(self.bn3(h, condition)))
        h = self.act(self.bn4(h, condition))
        x = x[:, : self.outputs]
        out: Tensor = self.conv4(h).add_(upsample(x) if self.resample else x)
        return out


class DiscriminatorBlock(nn.Module):
    """relu-conv3-act-conv3-pool beside pool-conv1; the first block of a network sees the image without the relu."""

    def __init__(self, block: Block, plan: DiscriminatorPlan, first: bool) -> None:
        super().__init__()
        self.act, self.resample, self.first = activation(plan.activation), block.resample, first
        self.conv1 = conv(plan, block.inputs, block.hidden, 3)
        self.conv2 = conv(plan, block.hidden, block.outputs, 3, resample="down" if block.resample else "")
        self.conv_sc = None
        if block.resample or block.inputs != block.outputs:
            self.conv_sc = conv(plan, block.inputs, block.outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(self.act(self.conv1(x if self.first else F.relu(x))))
        if self.resample:
            x = F.avg_pool2d(x, 2)
        out: Tensor = h + (x if self.conv_sc is None else self.conv_sc(x))
        return out


class DeepDiscriminatorBlock(nn.Module):
    """conv1-conv3-conv3-pool-conv1 with a narrow middle; the shortcut gains channels from a 1x1 convolution."""

    def __init__(self, block: Block, plan: DiscriminatorPlan) -> None:
        super().__init__()
        self.act, self.resample = activation(plan.activation), block.resample
        self.conv1 = conv(plan, block.inputs, block.hidden, 1)
        self.conv2 = conv(plan, block.hidden, block.hidden, 3)
        self.conv3 = conv(plan, block.hidden, block.hidden, 3)
        self.conv4 = conv(plan, block.hidden, block.outputs, 1)
        self.conv_sc = None
        if block.inputs != block.outputs:
            self.conv_sc = conv(plan, block.inputs, block.outputs - block.inputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(self.act(self.conv1(F.relu(x))))
        h = self.act(self.conv3(self.act(h)))
        if self.resample:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        if self.conv_sc is not None:
            x = torch.cat([x, self.conv_sc(x)], dim=1)
        out: Tensor = self.conv4(h) + x
        return out
