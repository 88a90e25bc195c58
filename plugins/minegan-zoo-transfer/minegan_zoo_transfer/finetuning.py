"""Finetuning of some parameters only, or near the start: scale-shift, FreezeD, L2-SP, EWC.

Imports contracts and this package's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from minegan_zoo.contracts import MineganError, Run, Stage, Strategy

from .adapters import fold
from .anchor import Anchor, of_critic, of_sources
from .critic_head import evaluating, used_groups
from .fisher import check_samples, fisher_diagonal, surprise
from .layers import as_module
from .scales import add_scales, scale_names

TINY = 1e-30


class Finetuning(Strategy):
    """TransferGAN (Wang et al., ECCV 2018): sources and critic are trained; what follows restricts it."""

    mines = False

    def __init__(self, source_lr: float, critic_lr: float) -> None:
        self.source_lr, self.critic_lr = source_lr, critic_lr

    def stages(self, steps: int) -> tuple[Stage, ...]:
        return (Stage("finetune", steps, {"critic": self.critic_lr, "sources": self.source_lr}),)


class ScaleShift(Finetuning):
    """Only scale and shift of the sources' features are free, with the adversarial loss.

    The parametrisation of Noguchi and Harada (ICCV 2019, arXiv 1904.01774, section 3.1) under adversarial training, as
    the rivals compare it: Mo et al. (2020, arXiv 2002.10964), section 2. The critic is free.
    """

    def __init__(self, scales: str, source_lr: float, critic_lr: float) -> None:
        super().__init__(source_lr, critic_lr)
        self.scales = scales

    def prepare(self, stage: Stage, run: Run) -> None:
        add_scales([as_module(source) for source in run.sources], self.scales)

    def trainable(self, stage: Stage, run: Run) -> Mapping[str, float]:
        return {"critic": self.critic_lr} | free_scales(run, self.scales, self.source_lr)

    def finish(self, run: Run) -> None:
        for source in run.sources:
            fold(as_module(source))


class FreezeD(Finetuning):
    """The critic's lower layers are frozen (Mo et al., 2020, arXiv 2002.10964, section 3).

    Critics differ in depth, so layers are counted as a share of the critic's groups, without those that no score of
    this run depends on (what reads classes, where there are none); one at least stays free.
    """

    freezes_critic = True

    def __init__(self, frozen: float, source_lr: float, critic_lr: float) -> None:
        super().__init__(source_lr, critic_lr)
        if not 0 <= frozen < 1:
            raise MineganError(f"freezed: frozen is the share of the critic's groups, from 0 to below 1, not {frozen}")
        self.frozen = frozen

    def trainable(self, stage: Stage, run: Run) -> Mapping[str, float]:
        names = used_groups(run)
        count = min(round(self.frozen * len(names)), len(names) - 1)
        if self.frozen and not count:
            raise MineganError(
                f"freezed: {self.frozen} of the critic's groups ({', '.join(names)}) freezes none: raise "
                "strategy.frozen, or choose a critic of more groups, such as 'conv'"
            )
        return {"sources": self.source_lr} | {f"critic/{name}": self.critic_lr for name in names[count:]}


class L2SP(Finetuning):
    """weight / 2 * |w - w_S|^2 joins the loss of each side (Li et al., ICML 2018, arXiv 1802.01483, section 3.2).

    The second term of L2-SP is for layers that the source does not have: there are none.
    """

    def __init__(self, weight: float, critic_weight: float, source_lr: float, critic_lr: float) -> None:
        super().__init__(source_lr, critic_lr)
        self.regularisers = (Anchor(weight / 2, of_sources),)
        self.critic_regularisers = (Anchor(critic_weight / 2, of_critic),) if critic_weight else ()

    def stages(self, steps: int) -> tuple[Stage, ...]:
        (stage,) = super().stages(steps)
        return (replace(stage, regularisers=self.regularisers, critic_regularisers=self.critic_regularisers),)


class EWC(Finetuning):
    """lambda * sum F (w - w_S)^2 joins the sources' loss (Li et al., NeurIPS 2020, arXiv 2012.02780, section 3.3).

    F is the Fisher information of each weight under the source model: the mean squared gradient of log sigmoid(D(G(z)))
    over single samples, with the critic that the run starts from. Its size differs by orders of magnitude between
    networks, so lambda is `weight` / mean(F).
    """

    def __init__(self, weight: float, samples: int, source_lr: float, critic_lr: float) -> None:
        super().__init__(source_lr, critic_lr)
        check_samples("ewc", samples)
        self.samples = samples
        self.fisher: list[Tensor] = []
        self._relative: list[Tensor] = []  # to its mean
        self.weight = weight
        self.regularisers = (Anchor(weight, of_sources, lambda: self._relative),)

    def stages(self, steps: int) -> tuple[Stage, ...]:
        (stage,) = super().stages(steps)
        return (replace(stage, regularisers=self.regularisers),)

    def prepare(self, stage: Stage, run: Run) -> None:
        parameters = of_sources(run)
        if not self.fisher:
            with evaluating(as_module(run.critic)):
                self.fisher = fisher_diagonal(lambda: surprise(run), parameters, self.samples)
        self.fisher = [each.to(parameter) for each, parameter in zip(self.fisher, parameters, strict=True)]
        mean = self._mean()
        self._relative = [each / mean for each in self.fisher]

    def state(self) -> Mapping[str, Any]:
        return {str(index): each for index, each in enumerate(self.fisher)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.fisher = [state[str(index)] for index in range(len(state))]

    def summary(self) -> Mapping[str, Any]:
        return {"fisher_samples": self.samples, "lambda": float(self.weight / self._mean())}

    def _mean(self) -> Tensor:
        return torch.cat([each.flatten() for each in self.fisher]).mean().clamp(min=TINY)


def free_scales(run: Run, scales: str, rate: float) -> dict[str, float]:
    """The scales and shifts of prepared sources as patterns."""
    return {
        f"sources/{index}:{name}": rate
        for index, source in enumerate(run.sources)
        for name in scale_names(as_module(source), scales)
    }
