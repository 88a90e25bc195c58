"""Where a run stands, and whether a stage's rule has ended it. Imports contracts only."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from minegan_zoo.contracts import Plateau


@dataclass
class Position:
    """Counts since the run began, and what concerns the stage under way."""

    stage: int = 0
    stage_step: int = 0
    step: int = 0
    critic_updates: int = 0
    miner_updates: int = 0
    images: int = 0
    best: float | None = None
    """The least distance to held-out images in a stage that a rule may end."""
    stale: int = 0
    """How many measurements ago that was."""
    ended: bool = False
    """The rule has ended the stage."""
    dropped: dict[int, int] = field(default_factory=dict)
    """Source -> the stage in which it was dropped."""
    undone: bool = False
    """Mining has been undone."""

    def stepped(self, images: int) -> None:
        """One more step, of so many generated images."""
        self.stage_step += 1
        self.step += 1
        self.images += images

    def updates(self) -> dict[str, int]:
        """For a record."""
        return {"critic_updates": self.critic_updates, "miner_updates": self.miner_updates}

    def measured(self, distance: float, rule: Plateau) -> None:
        """One more distance to held-out images; ends the stage when the least is `rule.patience` measurements old."""
        if self.best is None or distance < self.best:
            self.best, self.stale = distance, 0
        else:
            self.stale += 1
        self.ended = self.stale >= rule.patience

    def next_stage(self) -> None:
        """The stage is over."""
        self.stage += 1
        self.stage_step, self.best, self.stale, self.ended = 0, None, 0, False

    def as_dict(self) -> dict[str, Any]:
        """For a saved state."""
        return dataclasses.asdict(self)
