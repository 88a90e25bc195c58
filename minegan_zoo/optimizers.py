"""A stage's optimizers: Adam over the groups that its patterns free. May import contracts and sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import Adam

from minegan_zoo.contracts import MineganError, Stage
from minegan_zoo.sources import match_groups


class StageOptimizers:
    """One Adam for the critic and one for all else; either is None where the stage trains nothing of it."""

    def __init__(
        self,
        stage: Stage,
        groups: Mapping[str, list[nn.Parameter]],
        betas: tuple[float, float],
        penalty_every: int,
        previous: StageOptimizers | None,
    ) -> None:
        """Frees exactly the stage's groups; parameters that `previous` trained keep their moments.

        A critic with a lazy penalty gets StyleGAN2's correction (appendix B): lr and betas for c = k / (k + 1).
        """
        rates: dict[str, float] = {}
        for pattern, rate in stage.train.items():
            if rate < 0:
                raise MineganError(f"the learning rate of {pattern!r} in stage {stage.name!r} is negative: {rate}")
            rates |= dict.fromkeys(match_groups(pattern, groups), rate)
        for name, parameters in groups.items():
            for parameter in parameters:
                parameter.requires_grad_(name in rates)
        lazy = penalty_every / (penalty_every + 1) if penalty_every > 1 else 1.0
        of_critic = {name: rate * lazy for name, rate in rates.items() if name.startswith("critic/")}
        of_others = {name: rate for name, rate in rates.items() if not name.startswith("critic/")}
        before = (previous.critic, previous.miner) if previous else (None, None)
        self.critic: Adam | None = _adam(of_critic, groups, (betas[0] ** lazy, betas[1] ** lazy), before[0])
        self.miner: Adam | None = _adam(of_others, groups, betas, before[1])

    def step_critic(self) -> None:
        """Apply the critic's gradients."""
        if self.critic is not None:
            self.critic.step()

    def step_miner(self) -> None:
        """Apply the gradients of miners and sources."""
        if self.miner is not None:
            self.miner.step()

    def state_dict(self) -> dict[str, Any]:
        """Both optimizers' states."""
        pairs = {"critic": self.critic, "miner": self.miner}
        return {name: optimizer.state_dict() for name, optimizer in pairs.items() if optimizer is not None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The reverse."""
        for name, optimizer in {"critic": self.critic, "miner": self.miner}.items():
            if optimizer is not None:
                optimizer.load_state_dict(state[name])


def _adam(
    rates: Mapping[str, float],
    groups: Mapping[str, list[nn.Parameter]],
    betas: tuple[float, float],
    previous: Adam | None,
) -> Adam | None:
    settings = [{"params": groups[name], "lr": rate} for name, rate in rates.items() if groups[name]]
    if not settings:
        return None
    # beta1 = 0 to the power of c stays 0
    optimizer = Adam(settings, betas=betas)
    if previous is not None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter in previous.state:
                    optimizer.state[parameter] = previous.state[parameter]
    return optimizer
