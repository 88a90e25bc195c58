"""Builders of the built-in strategies and regularisers; `catalog` registers them. Implementations load in builders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minegan_zoo.contracts import Regulariser, Strategy


def minegan(
    *,
    mine_share: float = 0.03,
    select_steps: int = 100,
    miner_lr: float = 2e-3,
    finetune_miner_lr: float = 5e-4,
    source_lr: float = 2e-3,
    critic_lr: float = 2e-3,
    code_prior: float = 1.0,
    freeze_lower: bool = True,
    per_layer: bool | None = None,
    plateau: bool = False,
) -> Strategy:
    """Mine with frozen sources, then finetune sources and miners together.

    Mining that leaves more than nine tenths of the distance (KID) from a lone source's own samples to the training
    images is undone: miner and critic are put back, the miner stays, the source learns up to twice as fast, and of 20
    training images or more so does the critic (the strategy 'stages' has no such rule unless it is asked for). What a
    miner found stays where it makes classes, too, or began anywhere else, and with fewer than 5 or more than 5000
    training images. With fewer than 20 training images the critic sees all images shifted (augmentation `translation`),
    unless the run names an augmentation, or `none`. With 20 or more and one ProGAN without classes, fakes are scored
    against real images, unless the objective's option `relativistic` is said (R3GAN, arXiv 2501.05441).
    `mine_share`: of the steps, for mining, where miners learn at `miner_lr`, and from then on at `finetune_miner_lr`;
    `source_lr`: of sources while they are finetuned on 60 images; of n images it is multiplied by n / 60, by a third at
    least and by 2 at most (of a folder of 100, 90 are trained on: by 1.5);
    `critic_lr`: of the critic, twice as much where mining was undone, as above;
    `select_steps`: of several sources, mine for so many steps at least, or for a quarter of all, until it is clear
    which of them fit (0: for `mine_share`, as with one). Where so many steps leave more than two fifths of the distance
    (KID) from what they make together, at half of one's alone or more, none of them covers the target: the one whose
    own distance was shortened the most, as a share, goes on alone (with the selector `partition`, without classes, with
    5 to 5000 training images); `code_prior`: the weight of the regulariser of that name;
    `freeze_lower`: while one source is finetuned without classes, its critic's lower layers stay as they are where its
    family says so (ProGAN; FreezeD, arXiv 2002.10964). A lone source of 20 training images or more whose family says so
    (BigGAN) learns 5/3 as fast as that, and samples are drawn from base noise 1.12 times as wide as what it trains on,
    unless `training.psi` is said;
    `per_layer`: mine a code for every layer, as `minegan-noft` does (not unless it is said; never undone);
    `plateau`: end a stage (finetuning, mostly: mining is short) early when held-out images are no longer approached.
    """
    from minegan_zoo.builtin.strategies import MineGAN

    return MineGAN(
        mine_share=mine_share,
        select_steps=select_steps,
        miner_lr=miner_lr,
        finetune_miner_lr=finetune_miner_lr,
        source_lr=source_lr,
        critic_lr=critic_lr,
        freeze_lower=freeze_lower,
        plateau=plateau,
        regularisers=_code_priors(code_prior),
        codes_per_layer=per_layer,
    )


def minegan_plus_plus(
    *,
    share: float = 0.5,
    probes: int = 128,
    mine_share: float = 0.03,
    select_steps: int = 100,
    miner_lr: float = 2e-3,
    finetune_miner_lr: float = 5e-4,
    source_lr: float = 2e-3,
    critic_lr: float = 2e-3,
    code_prior: float = 1.0,
    freeze_lower: bool = True,
    per_layer: bool | None = None,
    plateau: bool = False,
) -> Strategy:
    """Mine, then finetune only the share of each source's neurons that matters for the target.

    `probes`: mined images a source that tell what matters; all else as in `minegan`.
    """
    from minegan_zoo.builtin.strategies import MineGANPlusPlus

    return MineGANPlusPlus(
        mine_share=mine_share,
        select_steps=select_steps,
        miner_lr=miner_lr,
        finetune_miner_lr=finetune_miner_lr,
        source_lr=source_lr,
        critic_lr=critic_lr,
        freeze_lower=freeze_lower,
        plateau=plateau,
        regularisers=_code_priors(code_prior),
        codes_per_layer=per_layer,
        share=share,
        probes=probes,
    )


def minegan_noft(
    *,
    miner_lr: float = 2e-3,
    critic_lr: float = 2e-3,
    code_prior: float = 1.0,
    per_layer: bool | None = None,
    plateau: bool = False,
) -> Strategy:
    """Mine only: the sources stay as they are.

    `code_prior`: the weight of the regulariser of that name, here without class embeddings, for a source that stays as
    it is must be steered to the target's classes; `per_layer`: mine a code for every layer where the source takes such
    and the miner is `mlp`: a w for each of a StyleGAN's, a class embedding for each block of a BigGAN (left open, with
    20 training images or more, a folder of 25); `plateau`, and how fakes are scored, as in `minegan`.
    """
    from minegan_zoo.builtin.strategies import Mining

    return Mining(miner_lr, critic_lr, plateau, _code_priors(code_prior, classes=False), per_layer)


def transfergan(*, source_lr: float = 4e-3, critic_lr: float = 2e-3, plateau: bool = False) -> Strategy:
    """Plain finetuning of generator and discriminator, without miners."""
    from minegan_zoo.builtin.strategies import TransferGAN

    return TransferGAN(source_lr, critic_lr, plateau)


def scratch(*, source_lr: float = 4e-3, critic_lr: float = 2e-3) -> Strategy:
    """Train the sources' architectures from random weights."""
    from minegan_zoo.builtin.strategies import Scratch

    return Scratch(source_lr, critic_lr)


def stages_(*, stages: tuple[dict[str, Any], ...] = (), mines: bool = True, per_layer: bool | None = None) -> Strategy:
    """Stages as data: tables [[strategy.options.stages]] in a run's TOML.

    A table has `name`, `steps` or `share` (of what the stages with `steps` leave) and `train` (pattern over groups ->
    learning rate); it may have `until` (`every`, `patience`), `regularisers` and `critic_regularisers` (tables of
    a `name` and its options), `adversarial`, `select`, `batch_stats`, `undo_above` (of the distance to the target,
    what a lone source's mining may leave: else miner and critic are put back, and the miner stays there) and
    `alone_above` (what the mining of several may leave: else one goes on, as in `minegan`). `per_layer` as in
    `minegan`.
    """
    from minegan_zoo import registry
    from minegan_zoo.builtin.strategies import Schedule

    return Schedule(stages, mines, bool(per_layer), lambda name, options: registry.regularisers.create(name, **options))


def _code_priors(weight: float, classes: bool = True) -> Callable[[], tuple[Regulariser, ...]]:
    """Builds what keeps a stage's codes near their prior; nothing for a weight of 0."""
    from minegan_zoo.builtin.regularisers import CodePrior

    return lambda: (CodePrior(weight, classes),) if weight else ()


def l2sp(*, weight: float = 1e-3) -> Regulariser:
    """Keeps the sources' free parameters near their start (Li et al., 2018)."""
    from minegan_zoo.builtin.regularisers import L2SP

    return L2SP(weight)


def mode_seeking(*, weight: float = 1.0) -> Regulariser:
    """Different base noises are to give different images (Mao et al., 2019)."""
    from minegan_zoo.builtin.regularisers import ModeSeeking

    return ModeSeeking(weight)


def code_prior(*, weight: float = 1.0, classes: bool = True) -> Regulariser:
    """Keeps mean and deviation of the mined codes near their prior's; `classes`: those of class embeddings, too."""
    from minegan_zoo.builtin.regularisers import CodePrior

    return CodePrior(weight, classes)
