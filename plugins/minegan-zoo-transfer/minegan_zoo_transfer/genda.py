"""GenDA: an affine adaptor before a frozen generator, a light classifier after a frozen critic.

Imports contracts and this package's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Generator, Tensor

from minegan_zoo.contracts import GeneratorSource, MineganError, Run, Stage, Strategy

from .adapters import names_of
from .adaptor import Adaptor
from .critic_head import head_of, redraw
from .layers import as_module


class GenDA(Strategy):
    """Yang et al., ICCV 2023 (arXiv 2111.09876), section 3.2.

    The attribute adaptor A (eq. 3) is the miner; the attribute classifier (eq. 4) is the critic's head, drawn anew,
    over its frozen features; in training u is shrunk to `strength` u (eq. 5, whose mean code is 0 here). The adaptor
    works on z, which every source has, also where there is a w. Of a conditional source it learns one class.

    Where z is normalised, on a sphere or by StyleGAN's mapping, codes have no such mean: shrinking z does nothing
    while b = 0 and magnifies b after, in training only. With such a source u stays as it is.
    """

    miner = "adaptor"
    freezes_critic = True

    def __init__(self, strength: float, miner_lr: float, critic_lr: float) -> None:
        if not 0 < strength <= 1:
            raise MineganError(f"genda: strength is above 0 and at most 1 (no constraint), not {strength}")
        self.strength, self.miner_lr, self.critic_lr = strength, miner_lr, critic_lr
        self.shrinks = True

    def stages(self, steps: int) -> tuple[Stage, ...]:
        return (Stage("adapt", steps, {"critic": self.critic_lr, "miners": self.miner_lr}),)

    def prepare(self, stage: Stage, run: Run) -> None:
        check_miners(run, "genda")
        self.shrinks = not any(_normalises(source) for source in run.sources)
        redraw(head_of(run), run.rng)

    def trainable(self, stage: Stage, run: Run) -> Mapping[str, float]:
        names = names_of(as_module(run.critic), head_of(run))
        return {"miners": self.miner_lr} | {f"critic:{name}": self.critic_lr for name in names}

    def noise(self, stage: Stage, step: int, u: Tensor, rng: Generator) -> Tensor:
        return self.strength * u if self.shrinks else u


def _normalises(source: GeneratorSource) -> bool:
    """Whether only the direction of its z counts."""
    return "w" in source.latents or any(space.prior == "sphere" for space in source.latents.values())


def check_miners(run: Run, strategy: str) -> None:
    """MineganError where the run's miners are no adaptors."""
    if not all(isinstance(miner, Adaptor) for miner in run.miners):
        raise MineganError(f"the strategy {strategy!r} is defined with the miner 'adaptor': choose miner='adaptor'")
