"""What a neuron of a network is, and how to hold neurons while others are trained. Imports torch only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from einops import reduce
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Layer:
    """The parameters of one module, each cut into the same number of neurons: filters, channels, rows of a table."""

    neurons: int
    parameters: Mapping[str, tuple[nn.Parameter, int]]
    """Name within the source -> parameter, and the axis of which every neuron has a run of equal length."""

    def sums(self, entries: Mapping[str, Tensor]) -> Tensor:
        """(neurons,): every neuron's sum of `entries`, which are shaped like the parameters."""
        return sum(
            (
                reduce(entries[name].movedim(axis, 0).flatten(), "(neuron rest) -> neuron", "sum", neuron=self.neurons)
                for name, (_, axis) in self.parameters.items()
            ),
            start=torch.zeros([]),
        )

    def masks(self, neurons: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Bool (neurons,) -> for each parameter, what broadcasts over it."""
        for name, (parameter, axis) in self.parameters.items():
            entries = neurons.repeat_interleave(parameter.shape[axis] // self.neurons)
            yield name, entries.reshape([-1 if each == axis else 1 for each in range(parameter.ndim)])


def layers_of(source: nn.Module) -> dict[str, Layer]:
    """Name of a module -> its neurons.

    A neuron is what makes one output: a slice along axis 0, or axis 1 of a transposed convolution. The shortest such
    axis in a module counts its neurons, so that a bias belongs to its filter, or to the neighbours that share it.
    Scalars belong to no neuron and are left out.
    """
    owned: dict[str, dict[str, tuple[nn.Parameter, int]]] = {}
    for name, parameter in source.named_parameters():
        owner = name.rpartition(".")[0].partition(".parametrizations.")[0]
        module = source.get_submodule(owner)
        transposed = isinstance(module, TRANSPOSED) and module.groups == 1
        if parameter.ndim:
            owned.setdefault(owner, {})[name] = (parameter, int(transposed and parameter.ndim > 1))
    layers: dict[str, Layer] = {}
    for owner, parameters in owned.items():
        lengths = {name: parameter.shape[axis] for name, (parameter, axis) in parameters.items()}
        neurons = min(lengths.values())
        if any(length % neurons for length in lengths.values()):  # no common neurons: each parameter has its own
            layers |= {name: Layer(lengths[name], {name: each}) for name, each in parameters.items()}
        else:
            layers[owner] = Layer(neurons, parameters)
    return layers


def hold(source: nn.Module, free: Mapping[str, Tensor]) -> list[RemovableHandle]:
    """Zero the gradients of what is not free: Adam without weight decay then never moves it."""
    nothing = torch.zeros([], dtype=torch.bool)
    masks = {name: mask for owner, layer in layers_of(source).items() for name, mask in layer.masks(free[owner])}
    return [_hold(parameter, masks.get(name, nothing)) for name, parameter in source.named_parameters()]


def _hold(parameter: nn.Parameter, free: Tensor) -> RemovableHandle:
    held = ~free.to(parameter.device)
    return parameter.register_hook(lambda gradient: gradient.masked_fill(held, 0))
