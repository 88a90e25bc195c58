"""The paper's miner. May import contracts only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from minegan_zoo.contracts import Code, LatentSpace, MineganError, Miner

RIDGE = 1e-6
"""Of the mean variance, added to every one: directions without any have a factor, too."""


class MLP(nn.Module, Miner):
    """Fully connected layers with a linear head per latent space (MineGAN, section 3.1 and appendix A).

    u (n, noise_dim) -> {name: (n, *shape)}, conditioned on `num_classes` classes where that is not 0. Use it as the
    first choice: it can move mass anywhere in the latent space.
    With `skip`, u is added to what the layers make, which is 0 at first, wherever a space follows a normal prior and is
    no larger than u: mining then begins with the source's own samples and keeps more of their diversity. In a space
    behind a network (StyleGAN's W+) it begins with the normal distribution that has the moments of the source's own
    codes. The paper's miner has none.
    A sphere prior is met by scaling every row to the sphere; the others are left free, as in the paper.
    """

    def __init__(
        self,
        latents: Mapping[str, LatentSpace],
        noise_dim: int,
        width: int,
        depth: int,
        num_classes: int,
        *,
        skip: bool = True,
    ) -> None:
        super().__init__()
        if depth < 2 or width < 1:
            raise MineganError(f"the miner 'mlp' needs depth >= 2 and width >= 1, not {depth} and {width}")
        self.noise_dim, self.num_classes = noise_dim, num_classes
        self.latents = dict(latents)
        # the same as a one-hot class beside u
        self.classes = nn.Embedding(num_classes, width) if num_classes else None
        sizes = [noise_dim] + [width] * (depth - 1)
        self.trunk = nn.Sequential(*(module for i, o in pairwise(sizes) for module in (nn.Linear(i, o), nn.ReLU())))
        # names of latent spaces hold dots ("noise.0"), which module names may not
        self.skips = {name for name, space in latents.items() if skip and _has_start(space, noise_dim)}
        self.starts, self.heads = nn.ModuleList(), nn.ModuleList()
        for name, space in latents.items():
            head = nn.Linear(sizes[-1], math.prod(space.shape))
            mapped = skip and space.prior == "mapped"
            self.starts.append(GaussianStart(space, noise_dim) if mapped else nn.Identity())
            if name in self.skips or mapped:
                nn.init.zeros_(head.weight)
                nn.init.zeros_(head.bias)
            self.heads.append(head)

    def forward(self, u: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        hidden = self.trunk[0](u)
        if self.classes is not None:
            if labels is None:
                raise MineganError(f"this miner is conditioned on {self.num_classes} classes: give labels (n,)")
            hidden = hidden + self.classes(labels)
        hidden = self.trunk[1:](hidden)
        code = {}
        for head, start, (name, space) in zip(self.heads, self.starts, self.latents.items(), strict=True):
            flat = head(hidden)
            if name in self.skips:
                flat = flat + _start(u, space)
            elif isinstance(start, GaussianStart):
                flat = flat + start(u)
            if space.prior == "sphere":
                flat = flat * torch.rsqrt(flat.square().mean(1, keepdim=True) + 1e-8)
            code[name] = flat.reshape(-1, *space.shape)
        return code

    def start_from(self, draws: Code) -> None:
        for start, name in zip(self.starts, self.latents, strict=True):
            if isinstance(start, GaussianStart):
                start.start_from(draws[name])


class GaussianStart(nn.Module):
    """u -> N(m, C) with the moments of a space behind a network: m + L u, with C = L L^T (Cholesky).

    In W that is the Gaussianised latent space of Wulff and Torralba (2020, arXiv 2009.06529). In a space of rows (W+)
    all have L u in common, and each its mean and its scale, for truncation moves and shrinks them. Until `start_from`
    has seen draws, m is 0 and L the identity. A u of fewer dimensions than the space lacks the last columns of L, and
    what variance they add.
    """

    mean: Tensor  # (rows, dim)
    factor: Tensor  # (dim, dimensions of u)
    gain: Tensor  # (rows, 1)

    def __init__(self, space: LatentSpace, noise_dim: int) -> None:
        super().__init__()
        rows, dim = math.prod(space.shape[:-1]), space.shape[-1]
        self.register_buffer("mean", torch.zeros(rows, dim))
        self.register_buffer("factor", torch.eye(dim, min(dim, noise_dim)))
        self.register_buffer("gain", torch.ones(rows, 1))

    def forward(self, u: Tensor) -> Tensor:
        """(n, noise_dim) -> (n, rows * dim)."""
        common = u[:, : self.factor.shape[1]] @ self.factor.T
        return (self.mean + self.gain * common[:, None]).flatten(1)

    @torch.no_grad()
    def start_from(self, draws: Tensor) -> None:
        """Draws (m, *shape); where they do not differ, every u begins at their mean."""
        rows = draws.cpu().reshape(len(draws), *self.mean.shape).unbind(1)
        means = [row.mean(0, dtype=torch.double) for row in rows]
        spread = torch.stack([(row - mean).square().mean().sqrt() for row, mean in zip(rows, means, strict=True)])
        widest = int(spread.argmax())
        centred = rows[widest] - means[widest]
        covariance = centred.T @ centred / len(draws)
        covariance.diagonal().add_(RIDGE * covariance.diagonal().mean())
        self.mean.copy_(torch.stack(means))
        if spread[widest] > 0:
            self.gain.copy_((spread / spread[widest])[:, None])
            self.factor.copy_(torch.linalg.cholesky(covariance)[:, : self.factor.shape[1]])
        else:
            self.gain.zero_()


def _has_start(space: LatentSpace, noise_dim: int) -> bool:
    """Whether draws of a space can be had from u alone."""
    return space.prior in ("normal", "truncated", "sphere") and len(space.shape) == 1 and space.shape[0] <= noise_dim


def _start(u: Tensor, space: LatentSpace) -> Tensor:
    """The unmined code of u, (n, size); a truncated normal's tails lie at its bounds."""
    own = u[:, : space.shape[0]]
    return own.clamp(-2, 2) * space.scale if space.prior == "truncated" else own
