"""The built-in plugin: what the core registers, through anyone's hooks. Implementations load in builders."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from minegan_zoo import contracts
from minegan_zoo.contracts import (
    Augmentation,
    AugmentationEntry,
    Critic,
    CriticEntry,
    ImageSpec,
    LatentSpace,
    Miner,
    MinerEntry,
    Objective,
    ObjectiveEntry,
    RegulariserEntry,
    Selector,
    SelectorEntry,
    StrategyEntry,
    hookimpl,
)
from minegan_zoo.strategy_catalog import (
    code_prior,
    l2sp,
    minegan,
    minegan_noft,
    minegan_plus_plus,
    mode_seeking,
    scratch,
    stages_,
    transfergan,
)

MINEGAN_ZOO_API = contracts.API


def mlp(
    latents: Mapping[str, LatentSpace],
    noise_dim: int,
    *,
    width: int = 128,
    depth: int = 3,
    skip: bool = True,
    num_classes: int = 0,
) -> Miner:
    """The paper's miner: fully connected layers with a head per latent space.

    `skip`: u is added to what they make, so that mining begins with the source's own samples (in W+ with codes of their
    mean and covariance; class embeddings begin anywhere); False in the paper.
    """
    from minegan_zoo.builtin.miners import MLP

    return MLP(latents, noise_dim, width, depth, num_classes, skip=skip)


def conv(image: ImageSpec, num_classes: int, *, width: int = 64, max_width: int = 512) -> Critic:
    """A residual convolutional critic with spectral norm, from random weights."""
    from minegan_zoo.builtin.critics import ConvCritic

    return ConvCritic(image, num_classes, width, max_width)


def source(image: ImageSpec, num_classes: int, *, source: str = "") -> Critic:
    """A source's pretrained discriminator: that of this name or number, else the one nearest to the target."""
    from minegan_zoo.adoption import adopt_critic
    from minegan_zoo.sources import load_source

    return adopt_critic(load_source(source) if source else None, image, num_classes)


def max_(num_sources: int, *, draws: int = 1000, drop_below: float = 0.0, patience: int = 40) -> Selector:
    """The paper's rule: critic and miners see the source with the best score for each u."""
    from minegan_zoo.builtin.selectors import Max

    return Max(num_sources, draws, drop_below, patience)


def softmax(
    num_sources: int,
    *,
    draws: int = 1000,
    width: int = 64,
    rate: float = 3e-3,
    drop_below: float = 0.0,
    patience: int = 40,
) -> Selector:
    """The paper's rule, with a small network that learns to predict the best source from u."""
    from minegan_zoo.builtin.selectors import Softmax

    return Softmax(num_sources, draws, width, rate, drop_below, patience)


def partition(
    num_sources: int,
    *,
    draws: int = 1000,
    width: int = 64,
    rate: float = 3e-3,
    sharpness: float = 3.0,
    drop_below: float = 0.0,
    patience: int = 40,
    keep_above: float = 0.25,
) -> Selector:
    """The paper's rule with the base noise divided among the sources, as the target is.

    `sharpness`: power to which a small network's prediction of the best source is taken (1: as `softmax` draws).
    `keep_above`: what makes less of the target than this part of an equal share, when selection ends, is dropped (of
    three sources, 0.25 drops what is nearest to less than 0.083 of the target images; 0 drops nothing). The strategy
    says when that is: `select_steps` and `mine_share` of `minegan`. Until then p counts the wins of the last `draws`
    base noises.
    """
    from minegan_zoo.builtin.selectors import Partition

    return Partition(num_sources, draws, width, rate, sharpness, drop_below, patience, keep_above)


def uniform(num_sources: int) -> Selector:
    """Draws one source per u, all alike."""
    from minegan_zoo.builtin.selectors import Fixed

    return Fixed(num_sources, ())


def fixed(num_sources: int, *, probabilities: tuple[float, ...] = ()) -> Selector:
    """Draws one source per u by given probabilities, in the order of the sources (all alike unless given)."""
    from minegan_zoo.builtin.selectors import Fixed

    return Fixed(num_sources, probabilities)


def mixture(
    num_sources: int,
    *,
    rate: float = 0.2,
    entropy: float = 0.02,
    floor: float = 0.1,
    warmup: int = 10,
    memory: float = 0.9,
    sharpness: float = 2.0,
    drop_below: float = 0.3,
    patience: int = 40,
    pool: int = 3,
) -> Selector:
    """A learned mixture: draws one source per u, so a step costs no more with more sources."""
    from minegan_zoo.builtin.selectors import Mixture

    return Mixture(num_sources, rate, entropy, floor, warmup, memory, sharpness, drop_below, patience, pool)


def candidates(
    num_sources: int,
    *,
    count: int = 2,
    pool: int = 3,
    explore: float = 0.1,
    draws: int = 1000,
    drop_below: float = 0.1,
    patience: int = 100,
) -> Selector:
    """The paper's rule among a few sources per u, chosen by what has won: a step costs no more with more sources."""
    from minegan_zoo.builtin.selectors import Candidates

    return Candidates(num_sources, count, pool, explore, draws, drop_below, patience)


def wgan_gp(*, weight: float = 10.0, critic_steps: int = 5) -> Objective:
    """Wasserstein critic with gradient penalty, the paper's."""
    from minegan_zoo.builtin.objectives import WGANGP

    return WGANGP(weight, critic_steps)


def logistic(*, gamma: float = 1.0, penalty_every: int = 16, relativistic: bool | None = None) -> Objective:
    """Non-saturating logistic loss with lazy R1, StyleGAN2's.

    `relativistic`: fakes are scored against real images, as in R3GAN, as long as the critic is trained; left open, the
    strategy says whether they are.
    """
    from minegan_zoo.builtin.objectives import Logistic

    return Logistic(gamma, penalty_every, bool(relativistic))


def hinge() -> Objective:
    """Hinge loss, BigGAN's, for critics with spectral norm."""
    from minegan_zoo.builtin.objectives import Hinge

    return Hinge()


def diffaugment(*, policy: str = "color,translation,cutout") -> Augmentation:
    """Differentiable colour, translation and cutout (Zhao et al., 2020)."""
    from minegan_zoo.builtin.augmentations import DiffAugment

    return DiffAugment(policy)


def translation() -> Augmentation:
    """Shifts by up to an eighth of the size; the default of `minegan` and `minegan++` with fewer than 20 images."""
    from minegan_zoo.builtin.augmentations import DiffAugment

    return DiffAugment("translation")


def none() -> Augmentation:
    """Images as they are, whatever the strategy would take."""
    from minegan_zoo.builtin.augmentations import Unchanged

    return Unchanged()


def ada(
    *,
    target: float = 0.6,
    images: int = 20_000,
    every: int = 4,
    start: float = 0.0,
    most: float = 0.8,
    policy: str = "blit,geometric,colour",
) -> Augmentation:
    """Adaptive augmentation: its strength follows how sure the critic is of real images (Karras et al., 2020).

    `images`: how many real images p takes from 0 to 1, the paper's 500,000 cut down to runs of some ten thousand;
    `most`: where p stops, as the paper finds augmentations to leak into the samples above 0.8.
    """
    from minegan_zoo.builtin.ada import ADA

    return ADA(policy, target, images, every, start, most)


@hookimpl
def register_miners(register: Callable[[MinerEntry], None]) -> None:
    register(MinerEntry("mlp", mlp, per_layer=True))


@hookimpl
def register_critics(register: Callable[[CriticEntry], None]) -> None:
    register(CriticEntry("conv", conv))
    register(CriticEntry("source", source))


@hookimpl
def register_selectors(register: Callable[[SelectorEntry], None]) -> None:
    register(SelectorEntry("max", max_))
    register(SelectorEntry("partition", partition))
    register(SelectorEntry("softmax", softmax))
    register(SelectorEntry("uniform", uniform))
    register(SelectorEntry("fixed", fixed))
    register(SelectorEntry("mixture", mixture))
    register(SelectorEntry("candidates", candidates))


@hookimpl
def register_objectives(register: Callable[[ObjectiveEntry], None]) -> None:
    register(ObjectiveEntry("wgan-gp", wgan_gp))
    register(ObjectiveEntry("logistic", logistic))
    register(ObjectiveEntry("hinge", hinge))


@hookimpl
def register_augmentations(register: Callable[[AugmentationEntry], None]) -> None:
    register(AugmentationEntry("diffaugment", diffaugment))
    register(AugmentationEntry("ada", ada))
    register(AugmentationEntry("translation", translation))
    register(AugmentationEntry("none", none))


@hookimpl
def register_strategies(register: Callable[[StrategyEntry], None]) -> None:
    register(StrategyEntry("minegan", minegan))
    register(StrategyEntry("minegan++", minegan_plus_plus))
    register(StrategyEntry("minegan-noft", minegan_noft))
    register(StrategyEntry("transfergan", transfergan))
    register(StrategyEntry("scratch", scratch))
    register(StrategyEntry("stages", stages_))


@hookimpl
def register_regularisers(register: Callable[[RegulariserEntry], None]) -> None:
    register(RegulariserEntry("l2sp", l2sp))
    register(RegulariserEntry("mode-seeking", mode_seeking))
    register(RegulariserEntry("code-prior", code_prior))
