"""Mining that brought a source's samples no nearer to the target is undone. May import contracts, minegan and modes.

A source that has seen nothing like the target has no code that a miner could find: all that it finds in a few steps is
a distorted prior, which finetuning then pays for (docs/defaults.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import torch
from torch import Generator, Tensor, nn

from minegan_zoo.contracts import Stage
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.modes import evaluating

CODES = 8
"""How many are compared to tell whether a miner makes its source's own."""

Start = Mapping[str, Tensor]
"""The miner's and the critic's tensors when the stage began."""


def start_of(stage: Stage, model: MinedGAN, critic: nn.Module) -> Start | None:
    """Where to put them back: None where the stage does not ask, or the miner makes other codes than the source.

    A miner that begins anywhere else has nothing to be put back to, that of a model with classes is all that tells
    them apart, and of several sources none stands alone.
    """
    if stage.undo_above is None or len(model.miners) != 1 or model.class_names or not _makes_own_codes(model):
        return None
    return {name: tensor.detach().clone() for name, tensor in _tensors(model, critic).items()}


@torch.no_grad()
def undo(stage: Stage, gained: tuple[float, float] | None, model: MinedGAN, critic: nn.Module, start: Start) -> bool:
    """Put miner and critic back where too much is left of the distance before, and say whether that was done.

    Not where it was not measured, or there was none. The critic has learned of samples that are no more.
    """
    if gained is None or stage.undo_above is None or not 0 < stage.undo_above * gained[0] < gained[1]:
        return False
    for name, tensor in _tensors(model, critic).items():
        tensor.copy_(start[name])
    return True


def _tensors(model: MinedGAN, critic: nn.Module) -> dict[str, Tensor]:
    parts = nn.ModuleDict({"miner": model.miner_modules[0], "critic": critic})
    return dict(chain(parts.named_parameters(), parts.named_buffers()))


def _makes_own_codes(model: MinedGAN) -> bool:
    with evaluating(model.miner_modules[0]):
        drawn = model.draw(CODES, Generator().manual_seed(0))
        unmined = model.draw(CODES, Generator().manual_seed(0), u=drawn.u, mined=False).extras[0]
        mined = model.mine(drawn)[0]
    return all(name in unmined and torch.allclose(code, unmined[name], atol=1e-5) for name, code in mined.items())
