"""Finetuning a sparse sub-network of each source: which neurons are free, and how the others are held.

May import contracts only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from einops import reduce
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from minegan_zoo.contracts import MineganError, Run, Stage, Strategy

BATCH = 4  # images that a probing gradient is taken of: few, so that opposite ones do not cancel
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
ELSEWHERE = ("miners", "critic", "regularisers")  # what patterns over other groups begin with


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


class SparseFinetuning(Strategy):
    """Another strategy, in which only the neurons that matter for the target are free; the rest stays, bit for bit.

    The idea is MineGAN++'s (Wang et al., arXiv 2104.13742: sparse subnetwork selection); how it is measured is this
    project's choice. A neuron's importance is the squared first-order Taylor estimate of what the critic's score s of
    mined images would lose without its weights w, E[(sum_w w ds/dw)^2] (Molchanov et al., CVPR 2019, arXiv 1906.10771),
    taken before the first stage that trains sources. It does not depend on how a layer is scaled, so one ranking holds
    for all layers of a source, and the `share` on top is free.
    """

    def __init__(self, strategy: Strategy, share: float, probes: int) -> None:
        """`probes` is the number of mined images to look at, a source."""
        if not 0 < share <= 1:
            raise MineganError(f"share must lie above 0 and be at most 1, not {share}: so many neurons are free")
        if probes < 1:
            raise MineganError(f"probes must be at least 1, not {probes}: so many images tell what matters")
        self.strategy, self.share, self.probes = strategy, share, probes
        self.mines, self.default_steps = strategy.mines, strategy.default_steps
        self.free: dict[str, dict[str, Tensor]] = {}  # number of a source -> layer -> bool (neurons,)
        self.handles: list[RemovableHandle] = []

    def stages(self, steps: int) -> tuple[Stage, ...]:
        return self.strategy.stages(steps)

    def prepare(self, stage: Stage, run: Run) -> None:
        self.strategy.prepare(stage, run)
        if self.handles or all(pattern.startswith(ELSEWHERE) for pattern in stage.train):
            return
        sources = cast(Sequence[nn.Module], run.sources)
        for source in sources:
            source.requires_grad_(True)  # what follows needs it; the stage frees what it trains
        if not self.free:
            found = importances(sources, run, self.probes)
            self.free = {str(index): most_important(found[index], self.share) for index in range(len(sources))}
        for index, source in enumerate(sources):
            self.handles += hold(source, self.free[str(index)])

    def state(self) -> Mapping[str, Any]:
        return {"free": self.free, "strategy": self.strategy.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.free = state["free"]
        self.strategy.restore(state["strategy"])

    def summary(self) -> Mapping[str, Any]:
        """Under "free": "sources/I/LAYER" -> the share of its neurons that is free."""
        shares = {
            f"sources/{index}/{name}": round(float(neurons.float().mean()), 4)
            for index, layers in self.free.items()
            for name, neurons in layers.items()
        }
        return {**self.strategy.summary(), "free": shares}

    def finish(self, run: Run) -> None:
        for handle in self.handles:
            handle.remove()
        self.strategy.finish(run)


def importances(sources: Sequence[nn.Module], run: Run, probes: int) -> list[dict[str, Tensor]]:
    """Of each source: layer -> (neurons,), on the CPU; zero in a source that was never drawn."""
    layers = {(index, name): layer for index, source in enumerate(sources) for name, layer in layers_of(source).items()}
    parameters = {
        (index, name): parameter
        for index, source in enumerate(sources)
        for name, parameter in source.named_parameters()
    }
    total = torch.zeros(sum(layer.neurons for layer in layers.values()), device=next(iter(parameters.values())).device)
    drawable = int((run.selector.probabilities() > 0).sum())
    for _ in range(-(-probes // BATCH) * drawable):
        images, _ = run.sample(BATCH, run.rng)
        score = run.critic.forward(images).float().mean()
        gradients = torch.autograd.grad(score, list(parameters.values()), materialize_grads=True)
        with torch.no_grad():
            losses = {
                key: (parameter * gradient).float()
                for (key, parameter), gradient in zip(parameters.items(), gradients, strict=True)
            }
            sums = [
                layer.sums({name: losses[index, name] for name in layer.parameters})
                for (index, _), layer in layers.items()
            ]
            total += torch.cat(sums).square()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.broadcast(total, 0)  # kernels that add in any order must not make ranks disagree
    found: list[dict[str, Tensor]] = [{} for _ in sources]
    for (index, name), part in zip(
        layers, total.cpu().split([layer.neurons for layer in layers.values()]), strict=True
    ):
        found[index][name] = part
    return found


def most_important(importance: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Layer -> bool (neurons,): the top share of all neurons, ranked together; none of a source without importance."""
    if not importance:  # a source that was dropped has no layers
        return {}
    ranked = torch.cat(list(importance.values()))
    free = torch.zeros_like(ranked, dtype=torch.bool)
    if bool(ranked.any()):
        free[ranked.sort(descending=True, stable=True).indices[: round(share * len(ranked))]] = True
    return dict(zip(importance, free.split([len(each) for each in importance.values()]), strict=True))


def hold(source: nn.Module, free: Mapping[str, Tensor]) -> list[RemovableHandle]:
    """Zero the gradients of what is not free: Adam without weight decay then never moves it."""
    nothing = torch.zeros([], dtype=torch.bool)
    masks = {name: mask for owner, layer in layers_of(source).items() for name, mask in layer.masks(free[owner])}
    return [_hold(parameter, masks.get(name, nothing)) for name, parameter in source.named_parameters()]


def _hold(parameter: nn.Parameter, free: Tensor) -> RemovableHandle:
    held = ~free.to(parameter.device)
    return parameter.register_hook(lambda gradient: gradient.masked_fill(held, 0))
