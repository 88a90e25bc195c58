"""The mapping network z (and class) -> w of all three families. Imports torch only."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minegan_zoo.contracts import MineganError

from .activation import Activation
from .linear import EqualLinear, normalise


@dataclass(frozen=True)
class MappingConfig:
    """`widths` are the layers' outputs, the last one w's; `embed` is the class embedding's width."""

    z_dim: int
    widths: tuple[int, ...]
    num_classes: int = 0
    embed: int = 0
    lr: float = 0.01
    activation: str = "lrelu"
    bias_gain: bool = True
    """Whether the activation's gain scales the bias too (StyleGAN2, 3) or only the weight (StyleGAN)."""


class Mapping(nn.Module):
    """z (n, z_dim), class embedding (n, embed) -> w; z and the embedding are normalised one by one.

    StyleGAN2-ADA (arXiv 2006.06676) conditions this way; a discriminator's label mapping has z_dim 0.
    """

    def __init__(self, config: MappingConfig) -> None:
        super().__init__()
        self.num_classes = config.num_classes
        self.embed = EqualLinear(config.num_classes, config.embed) if config.num_classes else None
        activation = Activation(config.activation)
        gain = 1.0
        if not config.bias_gain:
            gain = activation.before * activation.after
            activation = Activation(config.activation, gain=1 / gain)
        inputs = (config.z_dim + (config.embed if config.num_classes else 0), *config.widths)
        self.layers = nn.ModuleList(
            EqualLinear(i, o, lr=config.lr, gain=gain, activation=activation)
            for i, o in zip(inputs, config.widths, strict=False)
        )

    def reset_parameters(self) -> None:
        for layer in (self.embed, *self.layers):
            if isinstance(layer, EqualLinear):
                layer.reset_parameters()

    def class_codes(self, labels: Tensor) -> Tensor:
        """(n,) int64 -> (n, embed), before normalisation."""
        if self.embed is None:
            raise MineganError("this network is unconditional: it has no class codes")
        if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < self.num_classes:
            raise MineganError(f"labels must lie in 0 ... {self.num_classes - 1}, got {sorted(set(labels.tolist()))}")
        codes: Tensor = self.embed(F.one_hot(labels.to(self.embed.weight.device), self.num_classes))
        return codes

    def class_table(self) -> Tensor:
        """(num_classes, embed): the codes of all classes."""
        if self.embed is None:
            raise MineganError("this network is unconditional: it has no class codes")
        codes: Tensor = self.embed(torch.eye(self.num_classes, device=self.embed.weight.device))
        return codes

    def forward(self, z: Tensor | None, embedding: Tensor | None = None) -> Tensor:
        x = torch.cat([normalise(part.float()) for part in (z, embedding) if part is not None], dim=1)
        for layer in self.layers:
            x = layer(x)
        return x
