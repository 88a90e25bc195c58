"""A strategy that is data: stages as the tables of a run's TOML. May import contracts only."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from minegan_zoo.contracts import MineganError, Plateau, Regulariser, Stage, Strategy

Build = Callable[[str, Mapping[str, Any]], Regulariser]
"""Name and options of a regulariser -> itself; MineganError where there is none."""


@dataclass(frozen=True)
class Planned:
    """A stage of fixed steps, or, where `share` is not 0, of a share of what they leave."""

    stage: Stage
    share: float


class Schedule(Strategy):
    """Stages from tables: with `steps`, or with a `share` of the run's steps that those with `steps` leave."""

    def __init__(self, tables: Sequence[Mapping[str, Any]], mines: bool, codes_per_layer: bool, build: Build) -> None:
        """Raises MineganError, naming stage and key, for whatever is wrong with a table."""
        self.mines, self.codes_per_layer = mines, codes_per_layer
        if not tables:
            raise MineganError("the strategy 'stages' has no stages: write each as a table [[strategy.options.stages]]")
        self.planned = [_Table(f"stage {number}", table).planned(build) for number, table in enumerate(tables, 1)]
        names = [planned.stage.name for planned in self.planned]
        for name in names:
            if names.count(name) > 1:
                raise MineganError(f"two stages of the strategy 'stages' have the name {name!r}: change one")
        shares = {planned.stage.name: planned.share for planned in self.planned if planned.share}
        if shares and not math.isclose(sum(shares.values()), 1, abs_tol=1e-6):
            raise MineganError(
                f"share: the stages' shares must sum to 1, not {sum(shares.values()):g}: {_told(shares)}"
            )
        selecting = [planned.stage for planned in self.planned if planned.stage.select and planned.stage.adversarial]
        for stage in (planned.stage for planned in self.planned if planned.stage.alone_above is not None):
            if not mines or stage not in selecting[-1:]:
                raise MineganError(f"alone_above: {stage.name!r} is not the last stage that selects, or nothing mines")
        self.fixed = {planned.stage.name: planned.stage.steps for planned in self.planned if not planned.share}
        if not shares:
            self.default_steps = sum(self.fixed.values())

    def per_layer(self, images: int) -> bool:
        return self.codes_per_layer

    def stages(self, steps: int) -> tuple[Stage, ...]:
        """Raises MineganError where `steps` is not what the stages' own steps ask for."""
        left = steps - sum(self.fixed.values())
        if left < 0 or (left and len(self.fixed) == len(self.planned)):
            raise MineganError(
                f"steps: the run has {steps}, the stages have {sum(self.fixed.values())} of their own: "
                f"{_told(self.fixed)}. Change one of the two, or give a stage a share instead"
            )
        stages, share, shared = [], 0.0, 0
        for planned in self.planned:
            stage = planned.stage
            if planned.share:
                # by running totals, so that roundings do not add up
                share += planned.share
                stage = dataclasses.replace(stage, steps=round(share * left) - shared)
                shared += stage.steps
            stages.append(stage)
        return tuple(stages)


@dataclass(frozen=True)
class _Table:
    """A table that is read key by key; what is wrong with it is said by its name and the key's."""

    where: str
    values: Mapping[str, Any]

    def planned(self, build: Build) -> Planned:
        name = self.values.get("name")
        if not isinstance(name, str) or not name:
            self.fail("name", "every stage needs one, a text")
        table = _Table(f"{self.where} ({name!r})", self.values)
        table.only(
            "name", "share", "steps", "until", "train", "regularisers", "critic_regularisers", "adversarial", "select",
            "batch_stats", "undo_above", "alone_above",
        )  # fmt: skip
        if ("share" in self.values) == ("steps" in self.values):
            table.fail("share", "a stage has either a share of the run's steps or steps")
        undo_above, alone_above = table.left("undo_above"), table.left("alone_above")
        regularisers = table.regularisers("regularisers", build)
        adversarial = table.flag("adversarial", True)
        if not adversarial and not regularisers:
            table.fail(
                "adversarial", "without the adversarial term there must be regularisers, which are the whole loss"
            )
        stage = Stage(
            name=name,
            steps=table.whole("steps", 0),
            train=table.rates(),
            until=table.until(),
            regularisers=regularisers,
            critic_regularisers=table.regularisers("critic_regularisers", build),
            adversarial=adversarial,
            select=table.flag("select", True),
            batch_stats=table.flag("batch_stats", False),
            undo_above=undo_above,
            alone_above=alone_above,
        )
        share = table.number("share", 0.0)
        if "share" in self.values and not 0 < share <= 1:
            table.fail("share", f"it must lie above 0 and be at most 1, not {share:g}")
        return Planned(stage, share)

    def rates(self) -> dict[str, float]:
        train = self.values.get("train")
        if not isinstance(train, Mapping) or not train:
            self.fail("train", "a table of patterns over parameter groups and their learning rates, {miners = 5e-4}")
        table = _Table(f"{self.where}, train", train)
        rates = {pattern: table.number(pattern, 0.0) for pattern in train}
        for pattern, rate in rates.items():
            if not 0 <= rate < math.inf:
                table.fail(pattern, f"a learning rate must not be negative, it is {rate:g}")
        return rates

    def until(self) -> Plateau | None:
        if "until" not in self.values:
            return None
        if not isinstance(self.values["until"], Mapping):
            self.fail("until", f"a table, as {{every = 50, patience = 4}}, not {self.values['until']!r}")
        table = _Table(f"{self.where}, until", self.values["until"])
        table.only("every", "patience")
        return Plateau(table.whole("every", Plateau.every), table.whole("patience", Plateau.patience))

    def regularisers(self, key: str, build: Build) -> tuple[Regulariser, ...]:
        tables = self.values.get(key, ())
        if not isinstance(tables, list | tuple) or not all(isinstance(table, Mapping) for table in tables):
            self.fail(key, f"a list of tables, as [{{name = 'l2sp', weight = 0.1}}], not {tables!r}")
        built = []
        for table in tables:
            name = table.get("name")
            if not isinstance(name, str):
                self.fail(key, f"{dict(table)} lacks a name (see: minegan-zoo list regularisers)")
            try:
                built.append(build(name, {option: value for option, value in table.items() if option != "name"}))
            except MineganError as error:
                self.fail(key, str(error))
        return tuple(built)

    def number(self, key: str, default: float) -> float:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(key, f"it must be a number, not {value!r}")
        return float(value)

    def left(self, key: str) -> float | None:
        if key not in self.values:
            return None
        if not (share := self.number(key, 1.0)) > 0:
            self.fail(key, f"the share of the distance that mining may leave, above 0, not {share:g}")
        if any(not pattern.startswith(("miners", "critic")) for pattern in self.rates()):
            self.fail(key, "only a stage that trains miners and critic and nothing else is judged by what it left")
        return share

    def whole(self, key: str, default: int) -> int:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or (key in self.values and value < 1):
            self.fail(key, f"it must be a whole number of at least 1, not {value!r}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            self.fail(key, f"it must be true or false, not {value!r}")
        return value

    def only(self, *keys: str) -> None:
        for key in self.values:
            if key not in keys:
                self.fail(key, f"unknown; the keys are {', '.join(keys)}")

    def fail(self, key: str, reason: str) -> NoReturn:
        raise MineganError(f"{self.where} of the strategy 'stages', {key}: {reason}")


def _told(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {number:g}" for name, number in numbers.items())
