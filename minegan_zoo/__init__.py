"""Few images and good pretrained GANs in, a generator for your domain out.

Everything is imported on first use, so that `import minegan_zoo` and looking names up stay free of torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = [
    "MinedGAN",
    "MineganError",
    "augmentations",
    "critics",
    "evaluate",
    "generators",
    "load_source",
    "mine",
    "miners",
    "objectives",
    "pretrain",
    "regularisers",
    "selectors",
    "strategies",
]

if TYPE_CHECKING:
    from minegan_zoo.api import evaluate, load_source, mine, pretrain
    from minegan_zoo.contracts import MineganError
    from minegan_zoo.minegan import MinedGAN
    from minegan_zoo.registry import (
        augmentations,
        critics,
        generators,
        miners,
        objectives,
        regularisers,
        selectors,
        strategies,
    )

_HOMES = {
    "MinedGAN": "minegan",
    "MineganError": "contracts",
    "evaluate": "api",
    "load_source": "api",
    "mine": "api",
    "pretrain": "api",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'minegan_zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(f"minegan_zoo.{_HOMES.get(name, 'registry')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
