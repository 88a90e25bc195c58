"""A patch critic within a critic: one convolution on one of its feature maps.

Imports contracts and this package's own.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn

from minegan_zoo.contracts import MineganError, Run

from .critic_head import evaluating
from .layers import as_module, convolving, feature_maps

HEAD = "patch_head"
"""What the added convolution is called in the module whose map it reads: it is of that module's group."""


class PatchHead:
    """Reads scores of patches from the first feature map of a critic that is at most `side` wide.

    At 256 pixels that is the map of 32 x 32 that CDC's released code reads. Scores are averaged over an image before
    the loss, not after: every objective takes one score an image.
    """

    def __init__(self, run: Run, side: int) -> None:
        """Adds the convolution; `side` 0 is an eighth of the image's, at least 8. Raises MineganError without a map."""
        critic, image = as_module(run.critic), run.critic.image
        self.critic = critic
        self.side = side or max(8, image.resolution // 8)
        device = next(critic.parameters()).device
        blank = torch.zeros(1, image.channels, image.resolution, image.resolution, device=device)
        with torch.no_grad(), evaluating(critic), feature_maps(convolving(critic)) as maps:
            critic(blank)
        wide_enough = [module for module, values in maps.items() if 1 < values.shape[-1] <= self.side]
        if not wide_enough:
            sides = sorted({values.shape[-1] for values in maps.values()} - {1})
            raise MineganError(
                f"cdc: the critic has no feature map of at most {self.side}x{self.side}: "
                + (
                    f"set strategy.patch_map to {sides[0]} or more"
                    if sides
                    else "choose a critic that has one, such as 'conv'"
                )
            )
        self.tapped = wide_enough[0]
        values = maps[self.tapped]
        self.side = values.shape[-1]
        self.tapped.add_module(HEAD, _convolution(values.shape[1], run.rng).to(device))

    def scores(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """(n,): the mean score over an image's patches."""
        with feature_maps([self.tapped]) as maps:  # of the critic itself: compiled code calls no hooks
            self.critic(images, labels)
        patches: Tensor = self.tapped.get_submodule(HEAD)(maps[self.tapped])
        return patches.mean((1, 2, 3))


def _convolution(channels: int, rng: Generator) -> nn.Conv2d:
    convolution = nn.Conv2d(channels, 1, 3, padding=1)
    with torch.no_grad():
        convolution.weight.copy_(torch.randn(convolution.weight.shape, generator=rng) / (3 * math.sqrt(channels)))
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution


def remove_patch_heads(critic: nn.Module) -> None:
    """Take the added convolution away again."""
    for module in critic.modules():
        if HEAD in dict(module.named_children()):
            delattr(module, HEAD)
            return
