"""Scale and shift of a generator's features: its own where it has them, else one on every convolution.

Imports contracts and this package's adapters and layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from minegan_zoo.contracts import MineganError

from . import SCALES
from .adapters import Adapter, attach, names_within
from .layers import convolutions, matching


class RowScale(Adapter):
    """Multiplies a convolution's outputs, one factor a channel: (scale W) * x = scale (W * x)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(outputs))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale[:, None, None, None]


def add_scales(sources: Sequence[nn.Module], patterns: str) -> None:
    """Give every convolution a scale in sources that have none of their own that `patterns` name.

    Raises MineganError for patterns other than the default that no source answers to.
    """
    plain = [source for source in sources if not matching(source, patterns)]
    if patterns != SCALES and len(plain) == len(sources):
        raise MineganError(
            f"no source has parameters named {patterns}: leave out strategy.scales (which also scales the convolutions "
            "of a source without normalisation), or give shell-style patterns of the names in its state_dict"
        )
    for source in plain:
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
