"""What the strategy takes where the run does not say: its miner, codes, augmentation, relativistic scores, psi.

May import contracts, registry, settings and config.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from minegan_zoo import registry
from minegan_zoo.config import Choice, RunConfig
from minegan_zoo.contracts import Critic, GeneratorSource, MineganError, Stage, Strategy
from minegan_zoo.settings import PER_LAYER, RELATIVISTIC

FEW_IMAGES = 20
"""With fewer to train on, a critic soon knows them by heart."""


def choose_strategy(config: RunConfig, notes: list[str]) -> tuple[RunConfig, Strategy]:
    """The strategy, and the configuration with the miner that it is defined with."""
    strategy: Strategy = registry.strategies.create(config.strategy.name, **config.strategy.options)
    if strategy.miner and strategy.miner != config.miner.name:
        if config.miner.name != RunConfig.miner.name:
            notes.append(f"{config.strategy.name} has a miner of its own, {strategy.miner}, not {config.miner.name}")
        config = replace(config, miner=Choice(strategy.miner)).checked()
    if strategy.freezes_critic and config.critic.name != "source":
        notes.append(
            f"{config.strategy.name} keeps layers of the critic as they are, and those of {config.critic.name!r} are "
            "random: the critic 'source' has learned to see"
        )
    return config, strategy


def choose_per_layer(
    config: RunConfig, images: int, strategy: Strategy, sources: Sequence[GeneratorSource], notes: list[str]
) -> tuple[RunConfig, bool]:
    """Whether a code is mined for every layer of some source, as the strategy has it where miner and source can.

    The configuration comes with it, where its strategy has the option.
    """
    options = config.strategy.options
    entry = registry.miners.entry(config.miner.name)
    able = entry.per_layer and not entry.spaces
    wanted = strategy.mines and strategy.per_layer(images)
    spaces = sorted({", ".join(sorted(source.per_layer_keys)) for source in sources if source.per_layer_keys})
    taken = wanted and able and bool(spaces)
    if taken:
        notes.append(
            f"{config.strategy.name} mines a code for every layer where a source takes one: {' or '.join(spaces)} "
            f"(--set strategy.{PER_LAYER}=false: one for all layers)"
        )
    if PER_LAYER not in [option.name for option in registry.strategies.info(config.strategy.name).options]:
        return config, taken
    if options.get(PER_LAYER) and not taken:
        why = "no source takes a code for every layer" if able else f"the miner {config.miner.name!r} does not go by it"
        notes.append(f"strategy.{PER_LAYER} changes nothing: {why if wanted else 'nothing is mined'}")
    return replace(config, strategy=Choice(config.strategy.name, {**options, PER_LAYER: taken})).checked(), taken


def choose_psi(
    config: RunConfig,
    images: int,
    strategy: Strategy,
    sources: Sequence[GeneratorSource],
    notes: list[str],
) -> RunConfig:
    """With what samples' base noise is multiplied with, as the strategy has it where the run leaves that open."""
    if config.training.psi is not None:
        return config
    psi = float(strategy.psi(sources, images))
    if psi != 1:
        notes.append(
            f"{config.strategy.name} draws samples from base noise {psi:g} times as wide as what it trains on "
            "(--set training.psi=1: from the same)"
        )
    return replace(config, training=replace(config.training, psi=psi))


def choose_augmentation(
    config: RunConfig, images: int, strategy: Strategy, stages: Sequence[Stage], notes: list[str]
) -> RunConfig:
    """With the strategy's own augmentation for so many training images, where the run names none."""
    if config.augmentation is not None or not any(stage.adversarial for stage in stages):
        return config
    if name := strategy.augmentation(images):
        notes.append(
            f"with {images} images to train on {config.strategy.name} augments what the critic sees ({name}; "
            "--augmentation none leaves it as it is)"
        )
        try:
            return replace(config, augmentation=Choice(name)).checked()
        except MineganError as error:
            raise MineganError(f"the augmentation that {config.strategy.name} takes by itself: {error}") from error
    if images < FEW_IMAGES:
        notes.append(
            f"with {images} images to train on a critic soon knows them by heart: shifting what it sees may help "
            "(--augmentation translation)"
        )
    return config


def choose_relativistic(
    config: RunConfig, images: int, strategy: Strategy, critic: Critic, notes: list[str]
) -> RunConfig:
    """With fakes scored against so many real images or not, as the strategy has it, where the run leaves that open."""
    name, options = config.objective.name, config.objective.options
    left_open = [option.name for option in registry.objectives.info(name).options if option.default is None]
    if RELATIVISTIC not in left_open or RELATIVISTIC in options:
        return config
    taken = strategy.relativistic(critic, images)
    if taken:
        notes.append(
            f"{config.strategy.name} scores fakes against real images (--set objective.{RELATIVISTIC}=false: by "
            "themselves)"
        )
    return replace(config, objective=Choice(name, {**options, RELATIVISTIC: taken})).checked()
