"""What the readers of public formats share. Imports `contracts` and `architecture`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minegan_zoo.contracts import MineganError
from minegan_zoo_biggan.architecture import DiscriminatorPlan, GeneratorPlan

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """Plans and state dicts of what a file or folder holds."""

    generator: GeneratorPlan
    tensors: dict[str, Tensor]
    discriminator: DiscriminatorPlan | None = None
    discriminator_tensors: dict[str, Tensor] | None = None


@dataclass(frozen=True)
class Hints:
    """Options that say what a file cannot; None = what lies beside the file says, else the reference's default."""

    ema: bool = True
    resolution: int | None = None
    activation: str | None = None
    bn_eps: float | None = None
    sn_eps: float | None = None
    standing: bool | None = None


class Tensors:
    """A flat state dict from a file, asked with errors that name the file."""

    def __init__(self, tree: Any, whose: str) -> None:
        if not is_state_dict(tree):
            raise MineganError(f"{whose} is not a flat dict of tensors")
        self.all: dict[str, Tensor] = {}
        for name, value in tree.items():
            if not value.is_floating_point() and not name.endswith("num_batches_tracked"):
                raise MineganError(f"{whose}: {name} holds {value.dtype}, not floating-point numbers")
            self.all[name] = value.float()
        self.whose = whose

    def shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        """The shape of a tensor that must be there."""
        if name not in self.all:
            raise MineganError(f"{self.whose} lacks {name}")
        shape = tuple(self.all[name].shape)
        if len(shape) != dimensions or 0 in shape:
            raise MineganError(f"{self.whose}: {name} has shape {shape}, which no BigGAN has")
        return shape

    def count(self, prefix: str) -> int:
        """How many numbered parts `prefix`0, `prefix`1 ... there are; they must be gapless."""
        pattern = re.compile(re.escape(prefix) + r"(\d{1,4})\.")
        found = {int(match[1]) for name in self.all if (match := pattern.match(name))}
        if found != set(range(len(found))) or not found:
            raise MineganError(f"{self.whose} lacks some of {prefix}0 ... {prefix}{max(found, default=0)}")
        return len(found)


def is_state_dict(tree: Any) -> bool:
    """Whether `tree` is a dict of names to tensors."""
    from torch import Tensor

    return (
        isinstance(tree, Mapping)
        and bool(tree)
        and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in tree.items())
    )
