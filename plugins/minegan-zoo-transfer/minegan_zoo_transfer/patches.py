"""A patch critic within a critic: one convolution on one of its feature maps.

Imports contracts and this package's own.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import MineganError, Run

from .critic_head import evaluating
from .layers import as_module, convolving, feature_maps

MOST = 32
"""The widest map that is read where nobody says."""
HEAD = "patch_head"
"""What the added convolution is called in the module whose map it reads: it is of that module's group."""


class PatchHead:
    """Reads scores of patches from the first feature map of a critic that is at most `side` wide.

    At 256 pixels that is the map of 32 x 32 that CDC's released code reads, where a score sees a quarter of the width;
    deeper maps of smaller images would see all of it.
    """

    def __init__(self, run: Run, side: int) -> None:
        """Adds the convolution; `side` 0 is half of the widest map's, at most 32. Raises MineganError without a map."""
        critic, image = as_module(run.critic), run.critic.image
        self.critic = critic
        device = next(critic.parameters()).device
        blank = torch.zeros(1, image.channels, image.resolution, image.resolution, device=device)
        with torch.no_grad(), evaluating(critic), feature_maps(convolving(critic)) as maps:
            critic(blank)
        widest = max((values.shape[-1] for values in maps.values()), default=0)  # a critic may see smaller images
        self.side = side or min(MOST, widest // 2)
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
        self.tapped.add_module(HEAD, PatchScore(values.shape[1], run.rng).to(device))

    def scores(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """(n, patches): a score for each place of the map."""
        with feature_maps([self.tapped]) as maps:  # of the critic itself: compiled code calls no hooks
            self.critic(images, labels)
        patches: Tensor = self.tapped.get_submodule(HEAD)(maps[self.tapped])
        return patches.flatten(1)


class PatchScore(nn.Module):
    """(n, c, h, w) -> (n, 1, h, w): a convolution of 3 x 3 with an equalized learning rate (Karras et al., 2018)."""

    def __init__(self, channels: int, rng: Generator) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(1, channels, 3, 3, generator=rng))
        self.bias = nn.Parameter(torch.zeros(1))
        self.gain = 1 / (3 * math.sqrt(channels))

    def forward(self, features: Tensor) -> Tensor:
        return F.conv2d(features, self.kernel * self.gain, self.bias, padding=1)


def remove_patch_heads(critic: nn.Module) -> None:
    """Take the added convolution away again."""
    for module in critic.modules():
        if HEAD in dict(module.named_children()):
            delattr(module, HEAD)
            return
