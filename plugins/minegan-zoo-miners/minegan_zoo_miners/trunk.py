"""The layers that miners share: fully connected ones, conditioned on classes where there are any."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Layer = TypeVar("Layer", bound=nn.Module)


def zeroed(layer: Layer) -> Layer:
    """The layer with all its weights zero: what it is added to stays as it was at first."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class ByClass(nn.Module):
    """A learned vector a class, or one for all where there are no classes; zero at first."""

    def __init__(self, num_classes: int, size: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(max(1, num_classes), size))

    def forward(self, labels: Tensor | None) -> Tensor:
        """(n,) -> (n, size); without classes (1, size)."""
        return self.values if labels is None else self.values[labels]


class RowLinear(nn.Module):
    """`rows` independent linear layers: (n, rows, inputs) -> (n, rows, outputs)."""

    def __init__(self, rows: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)  # as nn.Linear's own
        self.weight = nn.Parameter(torch.empty(rows, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(rows, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nri,rio->nro", x, self.weight) + self.bias


class Trunk(nn.Module):
    """`depth` hidden layers of `width` units with ReLU: (n, inputs) -> (n, width), or (n, rows, width) for rows of own.

    Classes scale and shift every unit (FiLM, Perez et al., 2018, arXiv 1709.07871); at first not at all.
    """

    def __init__(self, inputs: int, width: int, depth: int, num_classes: int, rows: int = 0) -> None:
        super().__init__()
        sizes = [inputs] + [width] * depth
        pairs = pairwise(sizes)
        self.layers = nn.ModuleList(RowLinear(rows, i, o) if rows else nn.Linear(i, o) for i, o in pairs)
        films = depth if num_classes else 0
        self.films = nn.ModuleList(ByClass(num_classes, 2 * width * max(1, rows)) for _ in range(films))
        self.rows = rows

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        hidden = x[:, None].expand(-1, self.rows, -1) if self.rows else x
        for index, layer in enumerate(self.layers):
            hidden = layer(hidden)
            if self.films:
                scale, shift = self.films[index](labels).chunk(2, 1)
                hidden = hidden * (1 + scale.reshape_as(hidden)) + shift.reshape_as(hidden)
            hidden = F.relu(hidden)
        return hidden
