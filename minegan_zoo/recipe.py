"""What rebuilds a `MinedGAN` and says how it is sampled. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Choose = Literal["probability", "winner"]
"""How a sample chooses its source: by the selector's probabilities, or the one that the critic scores best."""


@dataclass(frozen=True)
class Recipe:
    """The registry calls that rebuild a model's parts, and what the model was made for."""

    miner: str
    miner_options: Mapping[str, Any]
    selector: str
    selector_options: Mapping[str, Any]
    critic: str
    critic_options: Mapping[str, Any]
    adopted: int | None
    """The source whose discriminator the critic is; None for a critic of its own."""
    strategy: str = ""
    target: str = ""
    choose: Choose = "probability"
    """How samples choose their source unless they are told."""
    per_layer: bool = False
    """Whether the miners make a code for every layer, where miner and source allow that."""
    psi: float = 1.0
    """What the base noise of samples is multiplied with unless they are told."""
