"""Where none of several sources has the target, one of them goes on alone. May import contracts and minegan.

What they make together is then far from the target after mining as well, and finetuning all of them shares the steps
among sources that each have all the way to go (docs/defaults.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from minegan_zoo.contracts import Selector, Stage
from minegan_zoo.minegan import MinedGAN

Gained = Callable[[MinedGAN, int | None], tuple[float, float] | None]
"""The distance (KID) to the training images, of one source or of all, without and with miners; None: not measured."""


@dataclass(frozen=True)
class Alone:
    """The source that goes on."""

    source: int
    left: float
    """Of the distance of what all sources make."""
    own_left: float
    """Of its own."""

    def keep(self, selector: Selector) -> None:
        """Give it all of the target; the selector drops the others."""
        shares = torch.zeros_like(selector.probabilities())
        shares[self.source] = 1
        selector.share(shares)


def who_goes_on(stage: Stage, model: MinedGAN, gained: Gained) -> Alone | None:
    """The source that goes on alone, of those that the selector has kept; None: all do."""
    selector = model.selector
    kept = (~selector.dropped()).nonzero()[:, 0].tolist()
    if stage.alone_above is None or len(kept) < 2 or not selector.share_samples or model.class_names:
        return None
    left = _left(gained(model, None))
    if left is None or left <= stage.alone_above:
        return None
    own = {source: share for source in kept if (share := _left(gained(model, source))) is not None}
    best = min(own, key=own.__getitem__, default=None)
    return None if best is None else Alone(best, left, own[best])


def _left(gained: tuple[float, float] | None) -> float | None:
    """The share of the distance that mining left; None where there was none."""
    return gained[1] / gained[0] if gained is not None and gained[0] > 0 else None
