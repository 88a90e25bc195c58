"""What trains a model: the parts of the method besides the model itself. May import contracts only."""

from __future__ import annotations

from dataclasses import dataclass

from minegan_zoo.contracts import Augmentation, Critic, Objective, Strategy


@dataclass(frozen=True)
class Method:
    """The parts of the method besides the model."""

    strategy: Strategy
    critic: Critic
    objective: Objective
    augmentation: Augmentation | None
