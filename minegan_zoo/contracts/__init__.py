"""All that a plugin is written from: specs, base classes, entries, hook markers, errors and the API number.

Nothing here imports torch at run time, so that listing plugins stays cheap: the base classes are plain ABCs to mix into
modules, as in ``class BigGAN(nn.Module, GeneratorSource)``. Imports nothing of ours.
"""

from minegan_zoo.contracts.entries import (
    AugmentationEntry,
    CriticEntry,
    GeneratorEntry,
    MinerEntry,
    ObjectiveEntry,
    RegulariserEntry,
    SelectorEntry,
    StrategyEntry,
)
from minegan_zoo.contracts.hooks import (
    API,
    ENTRY_POINT_GROUP,
    hookimpl,
    hookspec,
    register_augmentations,
    register_critics,
    register_generators,
    register_miners,
    register_objectives,
    register_regularisers,
    register_selectors,
    register_strategies,
)
from minegan_zoo.contracts.methods import Batch, Plateau, Regulariser, Run, Stage, Strategy
from minegan_zoo.contracts.parts import (
    Augmentation,
    Critic,
    GeneratorSource,
    Miner,
    Objective,
    Selector,
    Shared,
)
from minegan_zoo.contracts.specs import (
    Card,
    Code,
    ImageSpec,
    LatentSpace,
    LoadedFrom,
    MineganError,
    Prior,
)

__all__ = [
    "API",
    "ENTRY_POINT_GROUP",
    "Augmentation",
    "AugmentationEntry",
    "Batch",
    "Card",
    "Code",
    "Critic",
    "CriticEntry",
    "GeneratorEntry",
    "GeneratorSource",
    "ImageSpec",
    "LatentSpace",
    "LoadedFrom",
    "MineganError",
    "Miner",
    "MinerEntry",
    "Objective",
    "ObjectiveEntry",
    "Plateau",
    "Prior",
    "Regulariser",
    "RegulariserEntry",
    "Run",
    "Selector",
    "SelectorEntry",
    "Shared",
    "Stage",
    "Strategy",
    "StrategyEntry",
    "hookimpl",
    "hookspec",
    "register_augmentations",
    "register_critics",
    "register_generators",
    "register_miners",
    "register_objectives",
    "register_regularisers",
    "register_selectors",
    "register_strategies",
]
