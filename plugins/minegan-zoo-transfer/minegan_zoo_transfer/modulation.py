"""Kernel modulation (AdAM): a kernel times one plus a rank-one matrix. Imports this package's adapters and layers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor, nn

from .adapters import Adapter, attach
from .layers import Place


class KernelModulation(Adapter):
    """W * (1 + v u^T): a kernel is a row of W, an output channel (arXiv 2210.16559, section 4.2).

    Modulated rows of W get no gradient, others no modulation. v = 0 and u ~ N(0, I) at the start, when all are
    modulated: the identity. (The released code draws both of size 1e-7. Equal entries of u would only scale a row,
    which demodulation undoes.) What is not `ranked` is always modulated, whatever matters.
    """

    modulated: Tensor  # bool (rows,): not averaged, copied

    def __init__(self, weight: Tensor, rng: Generator, *, ranked: bool = True) -> None:
        super().__init__()
        self.convolution, self.ranked = weight.ndim == 4, ranked
        rows, columns = weight.flatten(1).shape
        self.v = nn.Parameter(torch.zeros(rows))
        self.u = nn.Parameter(torch.randn(columns, generator=rng))
        self.register_buffer("modulated", torch.ones(rows, dtype=torch.bool))

    def forward(self, weight: Tensor) -> Tensor:
        kernels = weight.flatten(1)
        kernels = torch.where(self.modulated[:, None], kernels.detach(), kernels)
        v = torch.where(self.modulated, self.v, torch.zeros_like(self.v))
        return (kernels * (1 + torch.outer(v, self.u))).view_as(weight)

    def restart(self, modulated: Tensor, rng: Generator) -> None:
        """Back to no modulation, from now on of these rows only."""
        self.modulated.copy_(modulated)
        # new parameters: the optimizer forgets what it knew of the old
        self.v = nn.Parameter(torch.zeros_like(self.v))
        self.u = nn.Parameter(torch.randn(len(self.u), generator=rng).to(self.v))


def modulate(places: list[Place], rng: Generator, *, ranked: bool = True) -> None:
    """Give every weight a modulation."""
    for place in places:
        attach(place.module, place.name, KernelModulation(place.parameter, rng, ranked=ranked))


def modulations(part: nn.Module) -> dict[str, KernelModulation]:
    """By their names, in the order of the network."""
    return {name: module for name, module in part.named_modules() if isinstance(module, KernelModulation)}


def importance_of_rows(of_v: Tensor, of_u: Tensor) -> Tensor:
    """(rows,): the Fisher information of a row's modulation: its own factor's, and the mean of the shared ones."""
    return of_v + of_u.mean()


def most_important(importance: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Which rows of all these weights are among the `share` that matter most; bool (rows,) each."""
    if not importance:
        return {}
    cut = torch.quantile(torch.cat(list(importance.values())), 1 - share)
    return {name: values > cut for name, values in importance.items()}
