"""The whole extension surface: each hook is called once with `register`, to be called as `register(Entry(...))`."""

from __future__ import annotations

from collections.abc import Callable

import pluggy

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

API = 1
"""What a plugin's `MINEGAN_ZOO_API` must equal. Adding is compatible; removing or a new meaning bumps it."""

ENTRY_POINT_GROUP = "minegan_zoo"
hookspec = pluggy.HookspecMarker(ENTRY_POINT_GROUP)
hookimpl = pluggy.HookimplMarker(ENTRY_POINT_GROUP)


@hookspec
def register_generators(register: Callable[[GeneratorEntry], None]) -> None:
    """Register generator families and their pretrained weights."""


@hookspec
def register_miners(register: Callable[[MinerEntry], None]) -> None:
    """Register miners."""


@hookspec
def register_critics(register: Callable[[CriticEntry], None]) -> None:
    """Register critics."""


@hookspec
def register_selectors(register: Callable[[SelectorEntry], None]) -> None:
    """Register selectors."""


@hookspec
def register_objectives(register: Callable[[ObjectiveEntry], None]) -> None:
    """Register objectives."""


@hookspec
def register_augmentations(register: Callable[[AugmentationEntry], None]) -> None:
    """Register augmentations."""


@hookspec
def register_strategies(register: Callable[[StrategyEntry], None]) -> None:
    """Register strategies."""


@hookspec
def register_regularisers(register: Callable[[RegulariserEntry], None]) -> None:
    """Register regularisers, which strategies written as data name."""
