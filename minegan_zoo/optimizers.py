"""A stage's optimizers: Adam over the groups that its patterns free. May import contracts and sources."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import nn
from torch.optim import Adam

from minegan_zoo.contracts import MineganError, Stage
from minegan_zoo.sources import Groups, match_groups


class StageOptimizers:
    """One Adam for the critic and one for all else; either is None where the stage trains nothing of it."""

    def __init__(
        self,
        stage: Stage,
        train: Mapping[str, float],
        groups: Groups,
        scales: Mapping[str, float],
        betas: tuple[float, float],
        penalty_every: int,
        previous: StageOptimizers | None,
    ) -> None:
        """Frees exactly what the patterns of `train` name; parameters that `previous` trained keep their moments.

        `scales`: beginning of a group's name -> what its rates are multiplied with.

        A critic with a lazy penalty gets StyleGAN2's correction (appendix B): lr and betas for c = k / (k + 1).
        """
        rates: dict[nn.Parameter, float] = {}
        check_rates(stage, train)
        for pattern, rate in train.items():
            for parameters in match_groups(pattern, groups).values():
                rates |= dict.fromkeys(parameters, rate)
        for named in groups.values():
            for parameter in named.values():
                parameter.requires_grad_(parameter in rates)
        lazy = penalty_every / (penalty_every + 1) if penalty_every > 1 else 1.0
        of_critic, of_others = [], []
        for group, named in groups.items():
            scale = next((scale for start, scale in scales.items() if group.startswith(start)), 1.0)
            # parameters of one group and one rate are one group of Adam's
            for rate in dict.fromkeys(rates[p] for p in named.values() if p in rates):
                free = [parameter for parameter in named.values() if rates.get(parameter) == rate]
                if group.startswith(("critic/", "critic_regularisers/")):
                    of_critic.append({"params": free, "lr": rate * scale * lazy})
                else:
                    of_others.append({"params": free, "lr": rate * scale})
        before = (previous.critic, previous.miner) if previous else (None, None)
        self.critic: Adam | None = _adam(of_critic, (betas[0] ** lazy, betas[1] ** lazy), before[0])
        self.miner: Adam | None = _adam(of_others, betas, before[1])

    def state_dict(self) -> dict[str, Any]:
        """Both optimizers' states."""
        pairs = {"critic": self.critic, "miner": self.miner}
        return {name: optimizer.state_dict() for name, optimizer in pairs.items() if optimizer is not None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The reverse; an empty one is of optimizers that are to begin anew."""
        for name, optimizer in {"critic": self.critic, "miner": self.miner}.items():
            if optimizer is not None and state:
                optimizer.load_state_dict(state[name])


def check_rates(stage: Stage, train: Mapping[str, float]) -> None:
    """Raises MineganError for a rate that is negative or not finite."""
    for pattern, rate in train.items():
        if not 0 <= rate < math.inf:
            raise MineganError(
                f"the learning rate of {pattern!r} in stage {stage.name!r} must be at least 0, not {rate}"
            )


def of_kept(train: Mapping[str, float], dropped: Collection[int], mining: bool) -> dict[str, float]:
    """`train` without the patterns that match nothing any more.

    Those are of a dropped source or its miner, by number, and of any miner without `mining`.
    """
    gone = {f"{kind}/{index}" for index in dropped for kind in ("sources", "miners")}
    kept = {pattern: rate for pattern, rate in train.items() if "/".join(re.split("[/:]", pattern)[:2]) not in gone}
    return {pattern: rate for pattern, rate in kept.items() if mining or re.split("[/:]", pattern)[0] != "miners"}


def parameters_of(optimizer: Adam) -> list[nn.Parameter]:
    """All that an optimizer moves, in its order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _adam(settings: list[dict[str, Any]], betas: tuple[float, float], previous: Adam | None) -> Adam | None:
    if not settings:
        return None
    # beta1 = 0 to the power of c stays 0
    optimizer = Adam(settings, betas=betas)
    if previous is not None:
        for parameter in parameters_of(optimizer):
            if parameter in previous.state:
                optimizer.state[parameter] = previous.state[parameter]
    return optimizer
