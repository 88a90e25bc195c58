"""Training and eval mode of modules. Imports torch only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(part: nn.Module) -> Iterator[None]:
    """Within, `part` is in eval mode and no graph is built; then every module in it is in the mode that it was in."""
    modes = {module: module.training for module in part.modules()}
    part.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def train_what_is_free(part: nn.Module) -> None:
    """Training mode, but for modules all of whose own parameters are frozen: their power iteration would go on."""
    part.train()
    for module in part.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()
