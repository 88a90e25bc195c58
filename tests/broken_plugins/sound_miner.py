"""A miner that keeps every rule; the plugins beside it break one each."""

import math

import torch
from torch import nn

from minegan_zoo.contracts import MineganError, Miner


class SoundMiner(nn.Module, Miner):
    """A linear layer a space, and an offset for each class."""

    def __init__(self, latents, noise_dim, num_classes=0):
        super().__init__()
        self.latents, self.noise_dim, self.num_classes = latents, noise_dim, num_classes
        self.heads = nn.ModuleList(nn.Linear(noise_dim, math.prod(space.shape)) for space in latents.values())
        self.offsets = nn.Parameter(torch.zeros(max(1, num_classes), noise_dim))

    def forward(self, u, labels=None):
        if self.num_classes and labels is None:
            raise MineganError("labels are needed")
        u = u + (self.offsets[labels] if self.num_classes else self.offsets)
        return {name: self.head(u, place, name) for place, name in enumerate(self.latents)}

    def head(self, u, place, name):
        value, space = self.heads[place](u), self.latents[name]
        if space.prior == "sphere":
            value = value * torch.rsqrt(value.square().mean(1, keepdim=True))
        return value.view(-1, *space.shape)
