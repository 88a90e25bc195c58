"""The penalty on leaving the start, plain (L2-SP) or weighted by importance (EWC). Imports contracts and torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from minegan_zoo.contracts import Batch, Regulariser, Run


class Anchor(Regulariser):
    """weight * sum of importance (theta - theta_S)^2 over `parameters`, which were theta_S at the start."""

    def __init__(
        self,
        weight: float,
        parameters: Callable[[Run], list[nn.Parameter]],
        importance: Callable[[], Sequence[Tensor]] | None = None,
    ) -> None:
        """`importance` gives one tensor a parameter; without it all weigh alike."""
        self.weight, self.parameters, self.importance = weight, parameters, importance
        self.held: list[tuple[nn.Parameter, Tensor]] = []

    def prepare(self, run: Run) -> None:
        self.held = [(parameter, parameter.detach().clone()) for parameter in self.parameters(run)]

    def __call__(self, batch: Batch) -> Tensor:
        distances = [(parameter - start).square() for parameter, start in self.held]
        if self.importance is not None:
            distances = [each * of_it for each, of_it in zip(distances, self.importance(), strict=True)]
        total = batch.images.new_zeros(())
        for distance in distances:
            total = total + distance.sum()
        return self.weight * total


def of_sources(run: Run) -> list[nn.Parameter]:
    """Every parameter of every source."""
    return [parameter for source in run.sources for group in source.groups().values() for parameter in group]


def of_critic(run: Run) -> list[nn.Parameter]:
    """Every parameter of the critic."""
    return [parameter for group in run.critic.groups().values() for parameter in group]
