"""Scale and shift of a generator's features: its own where it has them, else one on every convolution.

Imports contracts and this package's adapters and layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from minegan_zoo.contracts import MineganError

from . import SCALES
from .adapters import Adapter, attach, names_within
from .layers import Place, convolutions, has_bias, matching


class RowScale(Adapter):
    """Multiplies a convolution's outputs, one factor a channel: (scale W) * x = scale (W * x)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(outputs))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale[:, None, None, None]


NO_FEATURES = "*.input.affine.*"
"""What turns StyleGAN3's grid, which is called as its styles are."""


def scaling(source: nn.Module, patterns: str) -> list[Place]:
    """The parameters by which a network scales and shifts features, by the names that `patterns` give."""
    others = {place.full_name for place in matching(source, NO_FEATURES)}
    return [place for place in matching(source, patterns) if place.full_name not in others]


def add_scales(sources: Sequence[nn.Module], patterns: str) -> None:
    """Give every convolution a scale in sources that have none of their own that `patterns` name.

    Raises MineganError for patterns other than the default that no source answers to.
    """
    plain = [source for source in sources if not scaling(source, patterns)]
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
    own = scaling(source, patterns)
    if own:
        styles = {place.module for place in own}
        between = {place.module for place in convolutions(source)}  # not those that write images
        names = [place.full_name for place in own]
        shifts = _biases(source, lambda each: each in between and not styles.isdisjoint(each.children()))
        return list(dict.fromkeys(names + shifts))
    scaled = _biases(source, lambda each: any(isinstance(child, RowScale) for child in each.modules()))
    return [*names_within(source, RowScale), *scaled]


def _biases(source: nn.Module, wanted: Callable[[nn.Module], bool]) -> list[str]:
    """The names of the biases of some modules."""
    return [f"{path}.bias" for path, module in source.named_modules() if has_bias(module) and wanted(module)]
