"""Fully connected layers with equalised learning rate. Imports torch only."""

from __future__ import annotations

from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .activation import Activation


class EqualLinear(nn.Module):
    """(n, in) -> (n, out) with weights stored at unit variance and scaled at run time (arXiv 1710.10196, 4.1).

    `lr` multiplies the learning rate of weight and bias (arXiv 1812.04948, appendix C); `gain` the weight alone. Always
    computed in float32, also under autocast. Parameters are uninitialised until `reset_parameters()` or loading.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        lr: float = 1.0,
        gain: float = 1.0,
        bias_init: float = 0.0,
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features))
        self.lr, self.scale, self.bias_init = lr, gain * lr / sqrt(in_features), bias_init
        self.activation = activation or Activation("linear")

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=1 / self.lr)
        nn.init.constant_(self.bias, self.bias_init / self.lr)

    def forward(self, x: Tensor) -> Tensor:
        before = self.activation.before
        with torch.autocast(x.device.type, enabled=False):
            x = F.linear(x.float(), self.weight * (self.scale * before), self.bias * (self.lr * before))
        return self.activation(x)


def normalise(x: Tensor) -> Tensor:
    """(n, d) -> rows with second moment 1."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
