"""Finds, in any network, its convolutions and what scales and shifts its features. Imports torch only."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

COLOURS = 3
"""A convolution that reads or writes no more channels than this reads or writes images."""


@dataclass(frozen=True)
class Place:
    """A parameter where it is kept."""

    path: str
    """Of its module, within the network."""
    module: nn.Module
    name: str

    @property
    def parameter(self) -> nn.Parameter:
        return self.module.get_parameter(self.name)

    @property
    def full_name(self) -> str:
        return f"{self.path}.{self.name}" if self.path else self.name


def as_module(part: object) -> nn.Module:
    """A source, critic or miner seen as the module that it is."""
    return cast(nn.Module, part)


def places(part: nn.Module) -> list[Place]:
    """Every parameter of a network."""
    return [
        Place(path, module, name)
        for path, module in part.named_modules()
        for name, _ in module.named_parameters(recurse=False)
    ]


def convolutions(part: nn.Module) -> list[Place]:
    """The weights (outputs, inputs, height, width) of all convolutions between feature maps."""
    return [place for place in _kernels(part) if min(place.parameter.shape[:2]) > COLOURS]


def image_layers(part: nn.Module) -> list[Place]:
    """The weights of the convolutions that read or write images."""
    return [place for place in _kernels(part) if min(place.parameter.shape[:2]) <= COLOURS]


def _kernels(part: nn.Module) -> list[Place]:
    return [place for place in places(part) if place.parameter.ndim == 4]


def has_bias(module: nn.Module) -> bool:
    """Whether it has a parameter of that name itself."""
    return "bias" in dict(module.named_parameters(recurse=False))


def matching(part: nn.Module, patterns: str) -> list[Place]:
    """The parameters whose names match one of the comma-separated shell-style patterns."""
    wanted = [pattern.strip() for pattern in patterns.split(",") if pattern.strip()]
    return [place for place in places(part) if any(fnmatch.fnmatchcase(place.full_name, each) for each in wanted)]


def convolving(part: nn.Module) -> list[nn.Module]:
    """The modules that convolve, in the order of the network: those with a `weight` of four dimensions."""
    return [m for m in part.modules() if hasattr(m, "weight") and isinstance(m.weight, Tensor) and m.weight.ndim == 4]


@contextmanager
def feature_maps(modules: list[nn.Module]) -> Iterator[dict[nn.Module, Tensor]]:
    """Within, what the modules last gave: (n, c, h, w), in the order in which they ran."""
    maps: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, _: object, output: Tensor) -> None:
        maps.pop(module, None)
        maps[module] = output

    handles: list[RemovableHandle] = [module.register_forward_hook(keep) for module in modules]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()
