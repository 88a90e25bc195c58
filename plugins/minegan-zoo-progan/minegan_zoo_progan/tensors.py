"""The tensors of a checkpoint's networks, and their strict translation to our names.

Imports contracts and this package's architecture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from minegan_zoo.contracts import MineganError

from .architecture import ProGANPlan

SHOWN = 12


@dataclass(frozen=True)
class Checkpoint:
    """Plan and state dicts of both networks, under our names; `critic` is None exactly where the plan's is."""

    plan: ProGANPlan
    generator: dict[str, Tensor]
    critic: dict[str, Tensor] | None


class FileTensors:
    """A state dict as its file names it. `whose` (file and part) begins every error message."""

    def __init__(self, tree: Any, whose: str) -> None:
        if not isinstance(tree, Mapping) or not all(isinstance(key, str) for key in tree):
            raise MineganError(f"{whose} is not a state dict; give the file as its project distributes it")
        strange = [key for key, value in tree.items() if not isinstance(value, Tensor)]
        if strange:
            raise MineganError(f"{whose} holds values that are not tensors: {_listed(strange)}")
        self.whose = whose
        self.tensors: dict[str, Tensor] = dict(tree)

    def without(self, part: str) -> FileTensors:
        """The same tensors with every `part` cut out of their names: wrappers such as "module."."""
        names = {key: key.replace(part, "") for key in self.tensors}
        if len(set(names.values())) < len(names):
            raise MineganError(f"{self.whose} holds tensors both with and without {part!r} in their names")
        return FileTensors({names[key]: value for key, value in self.tensors.items()}, self.whose)

    def shape(self, name: str, ndim: int) -> tuple[int, ...]:
        """Raises MineganError where the tensor is missing or has another number of dimensions or an empty one."""
        if name not in self.tensors:
            raise MineganError(f"{self.whose} lacks {name}; it holds {_listed(list(self.tensors))}")
        shape = tuple(self.tensors[name].shape)
        if len(shape) != ndim or 0 in shape:
            raise MineganError(f"{self.whose}: {name} has shape {shape}, {ndim} dimensions were expected")
        return shape

    def count(self, name: str) -> int:
        """How many of `name` (with a {} for its number) there are, from 0 without a gap."""
        number = 0
        while name.format(number) in self.tensors:
            number += 1
        return number

    def renamed(self, names: Mapping[str, str]) -> dict[str, Tensor]:
        """Float32 tensors under our names, given the file's names -> ours; raises where any is missing or left over."""
        missing = [name for name in names if name not in self.tensors]
        unused = [name for name in self.tensors if name not in names]
        integer = [name for name, tensor in self.tensors.items() if not tensor.is_floating_point()]
        problems = {"missing": missing, "unexpected": unused, "not floating-point": integer}
        if any(problems.values()):
            listed = "; ".join(f"{what}: {_listed(keys)}" for what, keys in problems.items() if keys)
            raise MineganError(f"{self.whose} is no complete ProGAN network: {listed}")
        return {ours: self.tensors[name].float() for name, ours in names.items()}


def layer(theirs: str, ours: str, weight: str = "weight") -> dict[str, str]:
    """The names of a layer's weight and bias in the file -> ours."""
    return {f"{theirs}.{weight}": f"{ours}.weight", f"{theirs}.bias": f"{ours}.bias"}


def _listed(keys: list[Any]) -> str:
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return ", ".join(map(str, keys[:SHOWN])) + more
