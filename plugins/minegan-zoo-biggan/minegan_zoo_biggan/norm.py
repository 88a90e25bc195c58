"""Batch norm on stored statistics in `eval()`, on the batch's in `train()`. Imports `architecture` and `spectral`.

On stored statistics, norm and condition are folded into one multiply-add on the feature map.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minegan_zoo_biggan.architecture import GeneratorPlan
from minegan_zoo_biggan.spectral import Linear, Table, full_precision

MOMENTUM = 0.1


class BatchStatistics(nn.Module):
    """Holds the statistics, one set or one per truncation, and normalises with them."""

    stored_mean: Tensor
    stored_var: Tensor

    def __init__(self, channels: int, plan: GeneratorPlan, eps: float) -> None:
        super().__init__()
        shape = (plan.statistics, channels) if plan.statistics else (channels,)
        self.register_buffer("stored_mean", torch.zeros(shape))
        self.register_buffer("stored_var", torch.ones(shape))
        self.statistics, self.added_gain, self.eps = plan.statistics, plan.added_gain, eps
        self.truncation = 1.0

    def normalise(self, x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        """x (n, c, h, w); gain and bias (n or 1, c), float32."""
        with full_precision(x):
            if self.training:
                return self._by_batch(x.float(), gain, bias).to(x.dtype)
            mean, var = self._stored(self.stored_mean), self._stored(self.stored_var)
            scale = torch.rsqrt(var + self.eps)
            if self.added_gain:
                bias = bias + gain
            else:
                scale = scale * gain
            shift = bias - mean * scale
            return torch.addcmul(shift[..., None, None], x.float(), scale[..., None, None]).to(x.dtype)

    def _by_batch(self, x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        mean, var = x.new_zeros(x.shape[1]), x.new_zeros(x.shape[1])
        normal = F.batch_norm(x, mean, var, training=True, momentum=1.0, eps=self.eps)
        with torch.no_grad():
            self.stored_mean.lerp_(mean.expand_as(self.stored_mean), MOMENTUM)
            self.stored_var.lerp_(var.expand_as(self.stored_var), MOMENTUM)
        return torch.addcmul(bias[..., None, None], normal, gain[..., None, None])

    def _stored(self, rows: Tensor) -> Tensor:
        """The row for the truncation; between two, the reference's weights, which are the wrong way round."""
        if not self.statistics:
            return rows
        fraction, index = math.modf(self.truncation / (1.0 / (self.statistics - 1)))
        low = int(index)
        if fraction == 0.0:
            return rows[low]
        return rows[low] * fraction + rows[low + 1] * (1 - fraction)

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.stored_mean)
        nn.init.ones_(self.stored_var)


class ClassBatchNorm(BatchStatistics):
    """Gain and bias are functions of the condition (n, class_dim + chunk)."""

    def __init__(self, channels: int, plan: GeneratorPlan) -> None:
        super().__init__(channels, plan, plan.bn_eps)
        self.gain, self.bias = self._condition(channels, plan), self._condition(channels, plan)

    @staticmethod
    def _condition(channels: int, plan: GeneratorPlan) -> nn.Module:
        if not plan.shared_dim:
            return Table(plan.classes, channels, "none", plan.sn_eps)
        return Linear(plan.class_dim + plan.chunk, channels, plan.spectral, plan.sn_eps, bias=False)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        with full_precision(x):
            gain, bias = 1 + self.gain(condition), self.bias(condition)
        return self.normalise(x, gain, bias)


class BatchNorm(BatchStatistics):
    """Gain and bias are parameters."""

    def __init__(self, channels: int, plan: GeneratorPlan) -> None:
        super().__init__(channels, plan, plan.output_eps)
        self.gain, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.ones_(self.gain)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.normalise(x, self.gain[None], self.bias[None])
