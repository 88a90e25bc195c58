"""MineGAN++: finetuning a sparse sub-network of each source. May import contracts and its siblings only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from minegan_zoo.builtin.strategies.minegan import MineGAN
from minegan_zoo.builtin.strategies.neurons import hold, layers_of
from minegan_zoo.contracts import MineganError, Run, Stage

BATCH = 4  # images that a probing gradient is taken of: few, so that opposite ones do not cancel


@dataclass
class MineGANPlusPlus(MineGAN):
    """MineGAN whose finetuning frees only the neurons that matter for the target; the rest stays, bit for bit.

    The idea is MineGAN++'s (Wang et al., arXiv 2104.13742: sparse subnetwork selection); how it is measured is this
    project's choice. A neuron's importance is the first-order Taylor estimate of what the critic's score s of mined
    images would lose without its weights w, E[sum_w (w ds/dw)^2] (Molchanov et al., CVPR 2019, arXiv 1906.10771), taken
    when mining has ended. It does not depend on how a layer is scaled, so one ranking holds for all layers of a source,
    and the `share` on top is free. The squares are taken before the sum: where outputs are normalised, as in StyleGAN2,
    a filter's sum of w ds/dw is zero.
    """

    share: float
    probes: int
    """Mined images to look at, a source."""
    free: dict[str, dict[str, Tensor]] = field(default_factory=dict, init=False)
    """Number of a source -> layer -> bool (neurons,)."""
    handles: list[RemovableHandle] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise MineganError(f"share must lie above 0 and be at most 1, not {self.share}: so many neurons are free")
        if self.probes < 1:
            raise MineganError(f"probes must be at least 1, not {self.probes}: so many images tell what matters")

    def prepare(self, stage: Stage, run: Run) -> None:
        if stage.name != "finetune" or self.handles:
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
        return {"free": self.free}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.free = state["free"]

    def summary(self) -> Mapping[str, Any]:
        """The sources' rate, and under "free": "sources/I/LAYER" -> the share of its neurons that is free."""
        free = {
            f"sources/{index}/{name}": round(float(neurons.float().mean()), 4)
            for index, layers in self.free.items()
            for name, neurons in layers.items()
        }
        return {**super().summary(), "free": free}

    def finish(self, run: Run) -> None:
        for handle in self.handles:
            handle.remove()


def importances(sources: Sequence[nn.Module], run: Run, probes: int) -> list[dict[str, Tensor]]:
    """Of each source: layer -> (neurons,), on the CPU; zero in a source that was never drawn."""
    layers = {(index, name): layer for index, source in enumerate(sources) for name, layer in layers_of(source).items()}
    parameters = {
        (index, name): parameter
        for index, source in enumerate(sources)
        for name, parameter in source.named_parameters()
    }
    critic = cast(nn.Module, run.critic)
    modes = {module: module.training for module in critic.modules()}
    critic.eval()  # looking at it must not move the power iterations of spectral norm
    total = torch.zeros(sum(layer.neurons for layer in layers.values()), device=next(iter(parameters.values())).device)
    drawable = int((run.selector.probabilities() > 0).sum())
    for _ in range(-(-probes // BATCH) * drawable):
        images, _ = run.sample(BATCH, run.rng)
        score = critic(images).float().mean()
        gradients = torch.autograd.grad(score, list(parameters.values()), materialize_grads=True)
        with torch.no_grad():
            lost = {
                key: (parameter * gradient).float().square()
                for (key, parameter), gradient in zip(parameters.items(), gradients, strict=True)
            }
            sums = [
                layer.sums({name: lost[index, name] for name in layer.parameters})
                for (index, _), layer in layers.items()
            ]
            total += torch.cat(sums)
    for module, training in modes.items():
        module.training = training
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
