"""Activation functions with the gain that keeps their output's variance. Imports torch only."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import torch.nn.functional as F
from torch import Tensor

from minegan_zoo.contracts import MineganError

_FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], float, bool]] = {
    # name: function, gain, whether f(a x) = a f(x) for a > 0
    "linear": (lambda x: x, 1.0, True),
    "relu": (F.relu, sqrt(2), True),
    "lrelu": (lambda x: F.leaky_relu_(x, 0.2), sqrt(2), True),
    "tanh": (F.tanh, 1.0, False),
    "sigmoid": (F.sigmoid, 1.0, False),
    "elu": (F.elu, 1.0, False),
    "selu": (F.selu, 1.0, False),
    "softplus": (F.softplus, 1.0, False),
    "swish": (F.silu, sqrt(2), False),
}


class Activation:
    """x -> gain * f(x), clamped. Callers multiply by `before` what they add up anyway, which spares a pass over x.

    For f(a x) = a f(x) the whole gain can be applied before f: `before` is then the gain, otherwise 1.
    """

    def __init__(self, name: str, *, gain: float = 1.0, clamp: float | None = None) -> None:
        if name not in _FUNCTIONS:
            raise MineganError(f"unknown activation {name!r}: this plugin has {', '.join(_FUNCTIONS)}")
        self.function, natural, homogeneous = _FUNCTIONS[name]
        self.before, self.after = (natural * gain, 1.0) if homogeneous else (1.0, natural * gain)
        self.limit = None if clamp is None else clamp * gain

    def __call__(self, x: Tensor) -> Tensor:
        """x is already multiplied by `before`."""
        x = self.function(x)
        if self.after != 1.0:
            x = x * self.after
        return x if self.limit is None else x.clamp(-self.limit, self.limit)
