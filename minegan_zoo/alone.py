"""Where none of several sources covers the target, one of them goes on alone. May import contracts and minegan.

What they make together is then far from the target after mining as well, and not much nearer than one alone; to
finetune all would share the steps among sources that each have all the way to go (docs/defaults.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from minegan_zoo.contracts import Selector, Stage
from minegan_zoo.minegan import MinedGAN

Gained = Callable[[MinedGAN, int | None], tuple[float, float] | None]
"""The distance (KID) to the training images, of one source or of all, without and with miners; None: not measured."""


TOGETHER = 0.5
"""Sources that together are nearer to the target than this share of the distance of one alone complete each other."""
SHORTENED = 0.9
"""Where more than this is left of every source's own distance, mining tells nothing of who can be steered."""


@dataclass(frozen=True)
class Alone:
    """The source that goes on."""

    source: int
    left: float
    """Of the distance of what all sources make."""
    own_left: float
    """Of its own."""

    def keep(self, selector: Selector) -> None:
        """Give it all of the target; a selector that drops what makes nothing of it drops the others."""
        shares = torch.zeros_like(selector.probabilities())
        shares[self.source] = 1
        selector.share(shares)


def who_goes_on(stage: Stage, model: MinedGAN, gained: Gained) -> Alone | None:
    """The source that goes on alone, of those that the selector has kept; None: all do."""
    selector = model.selector
    kept = (~selector.dropped()).nonzero()[:, 0].tolist()
    if stage.alone_above is None or len(kept) < 2 or not selector.share_samples or model.class_names:
        return None
    together = gained(model, None)
    if together is None or _left(together) <= stage.alone_above:
        return None
    own = {source: found for source in kept if (found := gained(model, source)) is not None}
    left = {source: _left(found) for source, found in own.items()}
    best = min(left, key=left.__getitem__)
    if left[best] > SHORTENED:
        best = min(own, key=lambda source: own[source][1])
    if together[1] < TOGETHER * own[best][1]:
        return None
    return Alone(best, _left(together), left[best])


def _left(gained: tuple[float, float]) -> float:
    """The share of the distance that mining left; none where there was none."""
    before, after = gained
    return after / before if before > 0 else 0.0
