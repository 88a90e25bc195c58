"""The miner of GenDA and BSA: an affine map of z, a learnt constant for the class. Imports contracts and torch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import Code, LatentSpace, MineganError, Miner

TRUNCATED_AT = 2.0  # standard deviations, where the truncated normal of BigGAN ends


class Adaptor(nn.Module, Miner):
    """z' = a * z + b, elementwise (GenDA, arXiv 2111.09876, eq. 3), with a = 1 and b = 0 at the start.

    z is read from the first dimensions of u: as they are, or, where the prior is truncated, by its quantile; where it
    is a sphere, the result is brought to it. The other spaces, class embeddings above all, are b alone, around the
    prior's mean: one class, the target. An affine map may leave a truncated prior's bounds.
    """

    def __init__(self, latents: Mapping[str, LatentSpace], noise_dim: int) -> None:
        super().__init__()
        self.noise_dim = noise_dim
        self.latents = dict(latents)
        self.drawn = [name for name, space in latents.items() if space.prior in ("normal", "truncated", "sphere")]
        for name in self.drawn:
            if (size := math.prod(latents[name].shape)) > noise_dim:
                raise MineganError(
                    f"the miner 'adaptor' reads {name!r} from the base noise: set noise_dim to {size} or more"
                )
        self.scales = nn.ParameterList(torch.ones(latents[name].shape) for name in self.drawn)
        self.shifts = nn.ParameterList(torch.zeros(space.shape) for space in latents.values())
        for index, space in enumerate(latents.values()):
            self.register_buffer(f"centre_{index}", torch.zeros(space.shape))

    @torch.no_grad()
    def start_from(self, draws: Code) -> None:
        for index, name in enumerate(self.latents):
            if name in draws and name not in self.drawn:
                self.get_buffer(f"centre_{index}").copy_(draws[name].mean(0))

    def forward(self, u: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        code = {}
        for index, (name, space) in enumerate(self.latents.items()):
            value = (self.get_buffer(f"centre_{index}") + self.shifts[index]).expand(len(u), *space.shape)
            if name in self.drawn:
                start = u[:, : math.prod(space.shape)].reshape(-1, *space.shape)
                if space.prior == "truncated":
                    start = _cut(start) * space.scale
                value = self.scales[self.drawn.index(name)] * start + value
                if space.prior == "sphere":
                    value = F.normalize(value.flatten(1)).view_as(value) * math.sqrt(value[0].numel())
            code[name] = value
        return code

    def constants(self) -> list[nn.Parameter]:
        """The shifts of the spaces that do not depend on u."""
        return [self.shifts[index] for index, name in enumerate(self.latents) if name not in self.drawn]


def _cut(z: Tensor) -> Tensor:
    """The quantile transform from N(0, 1) to its part within the bounds, in every coordinate."""
    inside = math.erf(TRUNCATED_AT / math.sqrt(2))
    return torch.special.ndtri(0.5 + (torch.special.ndtr(z.double()) - 0.5) * inside).to(z.dtype)
