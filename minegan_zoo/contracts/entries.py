"""Entries: what a plugin registers. Options are the builder's keyword-only parameters with defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from minegan_zoo.contracts.methods import Regulariser, Strategy
from minegan_zoo.contracts.parts import (
    Augmentation,
    Critic,
    GeneratorSource,
    Miner,
    Objective,
    Selector,
)
from minegan_zoo.contracts.specs import Card, ImageSpec, LatentSpace


@dataclass(frozen=True)
class GeneratorEntry:
    """`build(weights, *, ...) -> GeneratorSource`; weights is a local file or folder, or None for random weights.

    Options whose default is None are inferred from the weights where there are any (and from a source's `config`).

    `image` and `latents` are None for a family entry, which infers them from the checkpoint.
    """

    name: str
    build: Callable[..., GeneratorSource]
    image: ImageSpec | None = None
    latents: Mapping[str, LatentSpace] | None = None
    card: Card | None = None


@dataclass(frozen=True)
class MinerEntry:
    """`build(latents, noise_dim, *, ...) -> Miner`, for exactly the latent spaces that it is given.

    `spaces` are shell-style patterns over latent spaces, such as ("z", "noise.*"): the miner is used on the first key
    set of a source that has a match for each, and is given the matches. Empty: all of the source's default key set, or
    with `per_layer` its `per_layer_keys`, where it has such and the strategy asks for them.

    An option `num_classes: int = 0` is filled in by a run with labels: the miner is then conditioned on them.
    """

    name: str
    build: Callable[..., Miner]
    spaces: tuple[str, ...] = ()
    per_layer: bool = False


@dataclass(frozen=True)
class CriticEntry:
    """`build(image, num_classes, *, ...) -> Critic`."""

    name: str
    build: Callable[..., Critic]


@dataclass(frozen=True)
class SelectorEntry:
    """`build(num_sources, *, ...) -> Selector`."""

    name: str
    build: Callable[..., Selector]


@dataclass(frozen=True)
class ObjectiveEntry:
    """`build(*, ...) -> Objective`."""

    name: str
    build: Callable[..., Objective]


@dataclass(frozen=True)
class AugmentationEntry:
    """`build(*, ...) -> Augmentation`."""

    name: str
    build: Callable[..., Augmentation]


@dataclass(frozen=True)
class StrategyEntry:
    """`build(*, ...) -> Strategy`."""

    name: str
    build: Callable[..., Strategy]


@dataclass(frozen=True)
class RegulariserEntry:
    """`build(*, ...) -> Regulariser`; by custom the option `weight` scales it."""

    name: str
    build: Callable[..., Regulariser]
