"""What a metric finds. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Score:
    value: float
    std: float | None = None
    """Over the metric's own subsets, where it has some; says nothing about training again."""
    settings: Mapping[str, float] = field(default_factory=dict)
    """Subset sizes, neighbours, kernel widths, and what the value is to be compared with."""
