"""MineGAN, and what it is compared with. May import contracts only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from minegan_zoo.contracts import Critic, GeneratorSource, MineganError, Plateau, Regulariser, Run, Stage, Strategy

Regularisers = Callable[[], tuple[Regulariser, ...]]
"""New ones for a stage."""
SELECTING = 0.25
"""The largest share of a run that `select_steps` may take."""
IMAGES_AS_GIVEN = 60
"""Training images for which sources learn at `source_lr`."""
LEAST_TIMES, MOST_TIMES = 1 / 3, 2.0
"""Between which multiples of it they learn on others: those of 20 and of 120 images."""
UNDONE_TIMES = 2.0
"""How much faster a source learns whose mining was undone, for it has all the way to go, never above `MOST_TIMES`.
So does its critic, of `FEW_IMAGES` or more."""
FEW_IMAGES = 20
"""With fewer training images than this, what the critic sees is shifted, it learns no faster where mining was undone,
fakes are scored by themselves, and a code is mined for all layers at once."""
WIDER_TIMES = 5 / 3
"""How much faster, above that too, a source learns whose samples are drawn from wider noise than it trains on: these
give back the diversity that a fast source loses."""
UNDO_ABOVE = 0.9
"""What mining must leave at most of a lone source's distance to the target, else it is undone."""
ALONE_ABOVE = 0.4
"""What it must leave at most of the distance of what several make together, else one of them goes on."""


@dataclass
class MineGAN(Strategy):
    """MineGAN (section 3): mine with frozen sources, then finetune them together with their miners.

    What mining selected stays selected: sources that lost would learn to imitate the target while they are finetuned.
    So a short run of several sources mines for longer than `mine_share`, until it is clear which of them fit.
    This project's own: the sources' rate grows with the number of training images, for with ten a source that moves
    fast loses its diversity, and with a thousand a slow one is not done; mining that brings one source's own samples
    no nearer to the target is undone, and source and critic learn faster then; of several sources of which none covers
    the target one is finetuned, for all would share the steps; the critic of one source keeps its
    `lower_groups` while that is finetuned (FreezeD, arXiv 2002.10964), and scores fakes against real images where its
    family asks for that (R3GAN, arXiv 2501.05441); and a critic that has fewer than `FEW_IMAGES` to know by heart sees
    them shifted (DiffAugment's translation, arXiv 2006.10738); a lone source whose family says that it had better be
    drawn from wider noise once it is finetuned (BigGAN) is, and learns faster (docs/defaults.md).
    """

    mine_share: float
    select_steps: int
    """Of several sources mining takes at least so many steps, or a quarter of all; 0: `mine_share` rules."""
    miner_lr: float
    """While mining."""
    finetune_miner_lr: float
    """From then on; lower, as miners that stayed as fast would chase sources that move too."""
    source_lr: float
    """For `IMAGES_AS_GIVEN`."""
    critic_lr: float
    freeze_lower: bool
    """Whether one source's critic keeps its `lower_groups` while that is finetuned."""
    plateau: bool
    regularisers: Regularisers
    codes_per_layer: bool | None
    """Whether miners make a code for every layer; None: as `per_layer` has it."""
    several: bool = field(default=False, init=False)
    rate: float | None = field(default=None, init=False)
    """Of the sources in this run; None before they are finetuned."""
    critic_rate: float | None = field(default=None, init=False)
    """Of the critic then."""
    frozen: tuple[str, ...] = field(default=(), init=False)
    """Groups of the critic that are."""
    undone: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not 0 < self.mine_share < 1:
            raise MineganError(f"mine_share must lie between 0 and 1, not {self.mine_share} (minegan-noft only mines)")
        if self.select_steps < 0:
            raise MineganError(f"select_steps must be at least 0, not {self.select_steps}")

    def for_sources(self, count: int) -> None:
        self.several = count > 1

    def notes(self, steps: int) -> tuple[str, ...]:
        mining, share = self._mining(steps), max(self.mine_share, SELECTING)
        if not self.several or mining >= self.select_steps:
            return ()
        return (
            f"mining takes {mining} of {steps} steps, too few for a selector to learn which of the sources fit the "
            f"target: {math.ceil(self.select_steps / share)} steps in all leave it {self.select_steps}",
        )

    def augmentation(self, images: int) -> str:
        return "translation" if images < FEW_IMAGES else ""

    def per_layer(self, images: int) -> bool:
        return bool(self.codes_per_layer)

    def relativistic(self, critic: Critic, images: int) -> bool:
        return _suits_relativistic(critic, images, self.several)

    def psi(self, sources: Sequence[GeneratorSource], images: int) -> float:
        return sources[0].finetuned_psi if not self.several and images >= FEW_IMAGES else 1.0

    def _mining(self, steps: int) -> int:
        mining = max(1, round(steps * self.mine_share))
        return max(mining, min(self.select_steps, round(steps * SELECTING))) if self.several else mining

    def stages(self, steps: int) -> tuple[Stage, ...]:
        mining = self._mining(steps)
        until = Plateau() if self.plateau else None
        mine = {"critic": self.critic_lr, "miners": self.miner_lr}
        judged = self.several and 0 < self.select_steps <= mining  # before that, much is left of what any could do
        undo_above, alone_above = None if self.several else UNDO_ABOVE, ALONE_ABOVE if judged else None
        finetune = {"critic": self.critic_lr, "miners": self.finetune_miner_lr, "sources": self.source_lr}
        return (
            Stage("mine", mining, mine, until, self.regularisers(), undo_above=undo_above, alone_above=alone_above),
            Stage("finetune", steps - mining, finetune, until, self.regularisers(), select=False),
        )

    def trainable(self, stage: Stage, run: Run) -> Mapping[str, float]:
        if "sources" not in stage.train:
            return stage.train
        self.undone = run.undone
        times = max(LEAST_TIMES, len(run.target) / IMAGES_AS_GIVEN) * (UNDONE_TIMES if self.undone else 1)
        wider = not self.several and min(run.psi, run.sources[0].finetuned_psi) > 1
        self.rate = self.source_lr * min(MOST_TIMES, times) * (WIDER_TIMES if wider else 1)
        faster = self.undone and len(run.target) >= FEW_IMAGES  # fewer are soon known by heart
        self.critic_rate = self.critic_lr * (UNDONE_TIMES if faster else 1)
        rates = {**stage.train, "sources": self.rate, "critic": self.critic_rate}
        if self.freeze_lower and not self.several:  # of several, one's critic judges images of other families too
            self.frozen = tuple(run.critic.lower_groups)
        if self.frozen:
            del rates["critic"]
            rates |= {f"critic/{name}": self.critic_rate for name in run.critic.groups() if name not in self.frozen}
        return rates

    def summary(self) -> Mapping[str, Any]:
        """Rates before `lr_scale`: the sources', and the critic's where mining was undone; which of its groups stay."""
        undone = {"mining": "undone", "critic_lr": self.critic_rate} if self.undone else {}
        frozen = {"critic_frozen": ", ".join(self.frozen)} if self.frozen else {}
        return {} if self.rate is None else {"source_lr": self.rate, **undone, **frozen}


def _suits_relativistic(critic: Critic, images: int, several: bool) -> bool:
    """Where it was tried and helps: one source, of a family that says so, and no few images."""
    return critic.relativistic and not several and images >= FEW_IMAGES


@dataclass
class Mining(Strategy):
    """MineGAN without finetuning ("w/o FT" in the paper): the sources stay as they are.

    This project's own: with `FEW_IMAGES` or more a code is mined for every layer of a source that takes such, for
    several make what it has not seen, where one cannot (W+: Abdal et al., 2019, arXiv 1904.03189; docs/defaults.md);
    and as in `MineGAN`, one source's critic may score fakes against real images.
    """

    miner_lr: float
    critic_lr: float
    plateau: bool
    regularisers: Regularisers
    codes_per_layer: bool | None
    """Whether miners make a code for every layer; None: as `per_layer` has it."""
    several: bool = field(default=False, init=False)

    def for_sources(self, count: int) -> None:
        self.several = count > 1

    def per_layer(self, images: int) -> bool:
        """Not of few images: samples come nearer to them, and recall falls where the source has the target."""
        return images >= FEW_IMAGES if self.codes_per_layer is None else self.codes_per_layer

    def relativistic(self, critic: Critic, images: int) -> bool:
        return _suits_relativistic(critic, images, self.several)

    def stages(self, steps: int) -> tuple[Stage, ...]:
        rates = {"critic": self.critic_lr, "miners": self.miner_lr}
        return (Stage("mine", steps, rates, Plateau() if self.plateau else None, self.regularisers()),)


@dataclass
class TransferGAN(Strategy):
    """Plain finetuning of generator and discriminator, without miners (Wang et al., ECCV 2018)."""

    source_lr: float
    critic_lr: float
    plateau: bool
    mines = False

    def stages(self, steps: int) -> tuple[Stage, ...]:
        rates = {"critic": self.critic_lr, "sources": self.source_lr}
        return (Stage("finetune", steps, rates, Plateau() if self.plateau else None),)


@dataclass
class Scratch(Strategy):
    """The sources' architectures from random weights, with batch statistics: the baseline without transfer."""

    source_lr: float
    critic_lr: float
    mines = False

    def stages(self, steps: int) -> tuple[Stage, ...]:
        return (Stage("train", steps, {"critic": self.critic_lr, "sources": self.source_lr}, batch_stats=True),)

    def prepare(self, stage: Stage, run: Run) -> None:
        for source in run.sources:
            source.reset_parameters()
        run.critic.reset_parameters()
