"""Data that describes networks without building them, and the one error that a user can mend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

Prior = Literal["normal", "truncated", "sphere", "class-embedding", "mapped"]
Code = Mapping[str, "Tensor"]
"""Name of a latent space -> (n, *shape)."""


class MineganError(Exception):
    """A mistake that its user can mend; the message says what, whose, and what to do."""


@dataclass(frozen=True)
class ImageSpec:
    """Square images (n, channels, resolution, resolution), float32, nominally in [-1, 1]."""

    channels: int
    resolution: int

    def __str__(self) -> str:
        return f"{self.resolution}x{self.resolution} {'grey' if self.channels == 1 else 'RGB'}"


@dataclass(frozen=True)
class LatentSpace:
    """One latent space of a source: tensors (n, *shape) that follow `prior` before any mining."""

    shape: tuple[int, ...]
    prior: Prior
    scale: float = 1.0
    """Of a truncated prior: what a normal cut at two standard deviations is multiplied with."""


@dataclass(frozen=True)
class Card:
    """Where pretrained weights come from and what one may do with them."""

    summary: str
    weights: str = ""
    """`package:MODULE/FOLDER`, a URL, `hf-hub:owner/name[/file]` or a path; empty where nothing is to be fetched."""
    origin: str = ""
    licence: str = ""
    training_data: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """File name -> hex digest; checked whenever the file is fetched or opened."""
    citation: str = ""
    command: str = ""
    """What to run to make these weights again, where this project made them."""
    notes: str = ""


@dataclass(frozen=True)
class LoadedFrom:
    """The registry call that made a source; set by `load_source` and `create`."""

    name: str
    weights: str | None
    options: Mapping[str, Any]
