"""`zoo-32` as data: tasks, methods, and which of their combinations each grid runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .sources import RECIPES, Recipe

REFERENCES = ("replay", "other-real", "unmined")
"""Rows without training: the images again that a run is trained on, real images that no run is trained or tested on,
and the sources as they are."""
UNTAUGHT = ("replay", "other-real", "scratch")
"""What the sources have learned does not matter to these (but for where a curve of `scratch` begins)."""


@dataclass(frozen=True)
class Task:
    """A target, and the sources that it is mined from."""

    title: str
    dataset: str
    classes: tuple[int, ...]
    sources: tuple[str, ...]
    kind: Literal["on", "off", "one", "two", "none", "own"]
    """On or off the manifold of one source; of several, how many cover the target; all that a source was trained on."""
    covered_by: tuple[str, ...] = ()
    """Of several sources, those that have seen the target."""


GARMENTS, DIGITS = ("tops", "shoes", "others"), ("round-digits", "angular-digits", "open-digits")
TASKS: Mapping[str, Task] = {
    "digits-off": Task("Digit 9, never seen by the source", "MNIST", (9,), ("digits-0-8",), "off"),
    "fashion-off": Task("Ankle boots, never seen by the source", "FashionMNIST", (9,), ("fashion-0-8",), "off"),
    "digits-on": Task("Digit 4, one of the source's nine", "MNIST", (4,), ("digits-0-8",), "on"),
    "fashion-on": Task("Bags, one of the source's nine", "FashionMNIST", (8,), ("fashion-0-8",), "on"),
    "fashion-one": Task("Sneakers, seen by one of three", "FashionMNIST", (7,), GARMENTS, "one", ("shoes",)),
    "fashion-two": Task(
        "Sneakers and bags, each seen by one of three", "FashionMNIST", (7, 8), GARMENTS, "two", ("shoes", "others")
    ),
    "fashion-none": Task("Ankle boots, seen by none of three", "FashionMNIST", (9,), GARMENTS, "none"),
    "digits-one": Task("Digit 4, seen by one of three", "MNIST", (4,), DIGITS, "one", ("angular-digits",)),
    "digits-two": Task(
        "Digits 4 and 5, each seen by one of three", "MNIST", (4, 5), DIGITS, "two", ("angular-digits", "open-digits")
    ),
    "digits-none": Task("Digit 9, seen by none of three", "MNIST", (9,), DIGITS, "none"),
    **{f"own-{name}": Task(name, recipe.dataset, recipe.classes, (name,), "own") for name, recipe in RECIPES.items()},
}
OFF, ON = ("digits-off", "fashion-off"), ("digits-on", "fashion-on")
MULTI = ("fashion-one", "fashion-two", "fashion-none", "digits-one", "digits-two", "digits-none")


@dataclass(frozen=True)
class Method:
    """A strategy with the parts that are not a run's defaults."""

    strategy: str
    parts: Mapping[str, str] = field(default_factory=dict)
    """Part of a run -> entry."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """As `mine(options=...)` takes them."""


RIVALS = ("scale-shift", "bsa", "freezed", "l2sp", "ewc", "cdc", "adam-fsig", "genda")
OWN = ("minegan", "minegan++", "minegan-noft")
BASELINES = ("scratch", "transfergan")
PAPER_MINEGAN = "minegan-paper"
"""MineGAN with the paper's miner and none of what this project's defaults add (docs/defaults.md), but that its sources'
rate goes by the number of images."""
FROZEN = ("minegan-noft", "genda")
"""Methods that leave the generator as it is: of a class that it has not seen they can make little."""
AUGMENTATIONS: Mapping[str, tuple[Mapping[str, str], Mapping[str, Any]]] = {
    "ada": ({"augmentation": "ada"}, {}),
    "diffaugment": ({"augmentation": "diffaugment"}, {}),
    "translation": ({"augmentation": "diffaugment"}, {"augmentation.policy": "translation"}),
}
METHODS: Mapping[str, Method] = {
    **{name: Method(name) for name in (*OWN, *BASELINES, *RIVALS)},
    # a miner that starts anywhere, is held by nothing and learns at one rate, a quarter of the steps for mining
    PAPER_MINEGAN: Method(
        "minegan",
        {"augmentation": "none"},
        {
            "miner.skip": False,
            "strategy.code_prior": 0.0,
            "strategy.mine_share": 0.25,
            "strategy.finetune_miner_lr": 2e-3,
            "strategy.freeze_lower": False,
            "objective.relativistic": False,
            "training.psi": 1.0,
        },
    ),
    **{
        f"{name}+{augmentation}": Method(name, *chosen)
        for name in ("minegan", "transfergan", "freezed", "scratch")
        for augmentation, chosen in AUGMENTATIONS.items()
    },
    "transfergan+relativistic": Method("transfergan", {}, {"objective.relativistic": True}),
    "transfergan+relativistic+fast-critic": Method(
        "transfergan", {}, {"objective.relativistic": True, "strategy.critic_lr": 4e-3}
    ),
    "transfergan+wide": Method("transfergan", {}, {"training.psi": 1.12}),
    **{
        f"{name}/{selector}": Method(name, {"selector": selector})
        for name in ("minegan", "minegan-noft")
        for selector in ("max", "mixture", "softmax", "candidates", "uniform")
    },
}


@dataclass(frozen=True)
class Spec:
    """One run, or one row without training."""

    task: str
    method: str
    shots: int
    seed: int
    updates: int
    """Of the critic; of the generator for a method without one."""
    source: str = ""
    """Only this one of the task's sources."""
    rates: tuple[tuple[str, float], ...] = ()
    """The strategy's learning rates, where they are not its defaults."""
    split: Literal["test", "validation"] = "test"
    trial: int = -1
    """Of the tuning that the run belongs to."""

    @property
    def row(self) -> str:
        """What it is called in a table of its task."""
        return f"{self.method}@{self.source}" if self.source else self.method

    @property
    def name(self) -> str:
        """Of its result's file."""
        name = f"{self.task}/{self.row.replace('/', '~')}-{self.shots}-s{self.seed}"
        return f"tuning/{name}-t{self.trial}" if self.trial >= 0 else name

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source,) if self.source else TASKS[self.task].sources

    @property
    def trains(self) -> bool:
        return self.method not in REFERENCES


Rates = Mapping[str, Mapping[str, float]]
"""Strategy -> its learning rates by name."""


@dataclass(frozen=True)
class Block:
    """Every combination of these."""

    tasks: Sequence[str]
    methods: Sequence[str]
    shots: Sequence[int] = (100,)
    alone: bool = False
    """Each of the task's sources for itself, those that cover the target where there are any."""


@dataclass(frozen=True)
class Protocol:
    """A grid, and how its numbers are measured."""

    blocks: Sequence[Block]
    updates: int = 400
    seeds: Sequence[int] = (0, 1, 2)
    samples: int = 1000
    """Images that every number is measured on."""
    points: int = 8
    """Measurements over the steps of a run."""
    recipes: Mapping[str, Recipe] = field(default_factory=lambda: dict(RECIPES))
    over_steps: Sequence[str] = ("fid",)
    metrics: Sequence[str] = (
        "fid", "kid", "precision", "recall", "density", "coverage", "class_accuracy", "memorisation", "authenticity",
    )  # fmt: skip
    second: str = "pixels"
    """A fixed feature space that nobody has trained: both must agree in direction. (Of a ResNet-18 with random weights,
    precision and recall were 0 or 1 whatever the images.)"""
    second_metrics: Sequence[str] = ("fid", "kid", "precision", "recall")

    def specs(self, rates: Rates) -> list[Spec]:
        """References first, then the runs; each once. `rates` are those that tuning chose."""
        trained = list(dict.fromkeys(spec for block in self.blocks for spec in self._runs(block, rates)))
        drawn = dict.fromkeys((spec.task, spec.shots, spec.seed) for spec in trained)
        replays = [Spec(task, "replay", shots, seed, 0) for task, shots, seed in drawn]
        of_sources = (f"own-{source}" for spec in trained for source in spec.sources)
        tasks = dict.fromkeys((*of_sources, *(spec.task for spec in trained)))
        # the shots and the seed mean nothing to the others: their row stands in every table of the task
        fixed = [Spec(task, method, 0, 0, 0) for task in tasks for method in ("other-real", "unmined")]
        return [*replays, *fixed, *trained]

    def _runs(self, block: Block, rates: Rates) -> Iterator[Spec]:
        for task in block.tasks:
            alone = (TASKS[task].covered_by or TASKS[task].sources) if block.alone else ("",)
            for shots in block.shots:
                for method in block.methods:
                    for source in alone:
                        for seed in self.seeds:
                            chosen = tuple(sorted(rates.get(METHODS[method].strategy, {}).items()))
                            yield Spec(task, method, shots, seed, self.updates, source, chosen)


GARMENT_MULTI = MULTI[:3]
CORE = (
    Block(OFF, ("minegan", "transfergan", "scratch"), (100, 10, 1000)),
    # with ten images minegan shifts what its critic sees: so does this
    Block(OFF, ("transfergan+translation",), (10,)),
    # so does this what `minegan` does by itself with a ProGAN: it scores fakes against real images
    Block(("digits-off", "digits-on"), ("transfergan+relativistic",)),
    # and this, where mining is undone: its critic learns twice as fast
    Block(("digits-off",), ("transfergan+relativistic+fast-critic",)),
    # and this, of a BigGAN: samples are drawn from wider noise
    Block(("fashion-off",), ("transfergan+wide",)),
    Block(GARMENT_MULTI, ("minegan", "minegan-noft")),
    Block(GARMENT_MULTI, ("minegan", "minegan-noft"), alone=True),
    Block(("fashion-two",), ("minegan/max", "minegan-noft/max")),
    Block(("digits-on",), FROZEN),
    Block(OFF, RIVALS),
    Block(("digits-off",), OWN),
)
FULL = (
    *CORE,
    Block(OFF, tuple(name for name in METHODS if "/" not in name), (10, 100, 1000)),
    Block(ON, (*OWN, *BASELINES, *RIVALS, "transfergan+relativistic", "transfergan+wide"), (10, 100, 1000)),
    Block(MULTI, ("minegan", "minegan-noft", *(name for name in METHODS if "/" in name)), (10, 100, 1000)),
    Block(MULTI, ("minegan", "minegan-noft", "transfergan"), (10, 100, 1000), alone=True),
)


def _small(recipe: Recipe) -> Recipe:
    return dataclasses.replace(recipe, steps=20)


PROTOCOLS: Mapping[str, Protocol] = {
    "core": Protocol(CORE),
    "full": Protocol(FULL),
    # whether all of it works, in ten minutes; its numbers mean nothing
    "smoke": Protocol(
        (
            Block(("digits-off",), ("minegan", "transfergan", "scratch", "minegan-noft", "minegan++", *RIVALS)),
            Block(("fashion-off",), ("minegan",), (10,)),
            Block(("digits-on",), ("minegan-noft",)),
            Block(("fashion-two",), ("minegan",)),
        ),
        updates=8,
        seeds=(0,),
        samples=200,
        points=2,
        recipes={name: _small(recipe) for name, recipe in RECIPES.items()},
    ),
}
