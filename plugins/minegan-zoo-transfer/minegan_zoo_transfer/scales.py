"""Scale and shift of a generator's features: its own where it has them, else one on every convolution.

Imports this package's adapters and layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .adapters import Adapter, attach, names_within
from .layers import convolutions, matching


class RowScale(Adapter):
    """Multiplies a convolution's outputs, one factor a channel: (scale W) * x = scale (W * x)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(outputs))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale[:, None, None, None]


def add_scales(source: nn.Module, patterns: str) -> None:
    """Give every convolution a scale where the network has none of its own that `patterns` name."""
    if not matching(source, patterns):
        for place in convolutions(source):
            attach(place.module, place.name, RowScale(len(place.parameter)))


def scale_names(source: nn.Module, patterns: str) -> list[str]:
    """The names of a prepared network's scales and shifts; a convolution's shift is its bias."""
    own = [place.full_name for place in matching(source, patterns)]
    if own:
        return own
    biases = [
        f"{path}.bias"
        for path, module in source.named_modules()
        if "bias" in dict(module.named_parameters(recurse=False))
        and any(isinstance(child, RowScale) for child in module.modules())
    ]
    return [*names_within(source, RowScale), *biases]
