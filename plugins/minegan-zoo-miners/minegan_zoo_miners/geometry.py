"""Latent spaces in coordinates in which their priors are N(0, I), so that miners need to know of no prior.

Miners work in these free coordinates (n, size); a geometry takes them to its space and stays within it. May import
contracts only.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from minegan_zoo.contracts import LatentSpace

TRUNCATED_AT = 2.0  # standard deviations, where the truncated normal of BigGAN ends
LAST = 0.5 - 1e-16  # a code at the bound itself is taken for one about 8 standard deviations out
FLOOR = 1e-4  # of the mean variance: directions without any stay open to learning
NODES = 257  # of the integral over radii; it begins between exp(-LEFT) and exp(RIGHT) times the prior's radius
LEFT, RIGHT = 3.0, 4.0
NEGLIGIBLE = 40.0  # nats below the largest term


def geometry_of(space: LatentSpace, noise_dim: int) -> Geometry:
    """The geometry of a space's prior."""
    kinds = {"sphere": Sphere, "truncated": Truncated, "class-embedding": Embedded, "mapped": Mapped}
    return kinds.get(space.prior, Geometry)(space, noise_dim)


class Geometry(nn.Module):
    """A normal prior: the coordinates are the code.

    `start(u)` are the coordinates of the unmined code of u: its first dimensions; for a space larger than u the others
    are drawn once, from a fixed seed.
    """

    rest: Tensor

    def __init__(self, space: LatentSpace, noise_dim: int) -> None:
        super().__init__()
        self.shape, self.scale = space.shape, space.scale
        self.size = math.prod(space.shape)
        self.register_buffer("rest", self._beyond(max(0, self.size - noise_dim)))

    def _beyond(self, count: int) -> Tensor:
        return torch.randn(count, generator=torch.Generator().manual_seed(0))

    def start(self, u: Tensor) -> Tensor:
        """(n, noise_dim) -> (n, size)."""
        own = u[:, : self.size]
        return torch.cat([own, self.rest.to(u).expand(len(u), -1)], 1) if len(self.rest) else own

    def start_from(self, draws: Tensor) -> None:
        """Draws (m, *shape) of a prior that the space's spec does not tell; the others need none."""

    def forward(self, free: Tensor) -> Tensor:
        """(n, size) -> (n, *shape)."""
        return free.reshape(-1, *self.shape)

    def inverse(self, code: Tensor) -> Tensor:
        """(n, *shape) -> coordinates (n, size) that it comes from."""
        return code.flatten(1)

    def log_density(self, code: Tensor, log_free: Callable[[Tensor], Tensor]) -> Tensor:
        """(n,) nats per unit of volume, where the coordinates have the log-density `log_free`: (n, size) -> (n,)."""
        return log_free(self.inverse(code))


class Sphere(Geometry):
    """The sphere of radius sqrt(size): coordinates count by their direction."""

    def forward(self, free: Tensor) -> Tensor:
        return (free * torch.rsqrt(free.square().mean(1, keepdim=True) + 1e-8)).reshape(-1, *self.shape)

    def log_density(self, code: Tensor, log_free: Callable[[Tensor], Tensor]) -> Tensor:
        """Per unit of the sphere's area: the integral of the density along the ray, over log t, by the trapezoid rule.

        With y on the sphere of radius r0 and x = t y, volume is r0 t^(d-1) dt times area, so that
        p(y) = integral of p_free(t y) r0 t^d dlog t. A coarse pass finds where that counts, a fine one sums it.
        """
        y, n = self.inverse(code), len(code)
        # t^d takes the integrand to nothing on the left, any normal distribution does on the right
        log_t = torch.linspace(-max(LEFT, NEGLIGIBLE / self.size), RIGHT, NODES).to(y)[:, None].expand(-1, n)
        for _ in range(2):
            terms = torch.stack([log_free(y * t.exp()[:, None]) + self.size * t for t in log_t])  # (nodes, n)
            step = log_t[1] - log_t[0]
            total = torch.logsumexp(terms, 0) + step.log()
            counts = terms > terms.max(0).values - NEGLIGIBLE
            low = log_t.masked_fill(~counts, torch.inf).min(0).values - step
            high = log_t.masked_fill(~counts, -torch.inf).max(0).values + step
            log_t = low + torch.linspace(0, 1, NODES).to(y)[:, None] * (high - low)
        return total + math.log(self.size) / 2


class Truncated(Geometry):
    """`scale` times N(0, 1) cut at +-2, by its quantile: every coordinate stays in bounds, whatever a miner adds."""

    def forward(self, free: Tensor) -> Tensor:
        return (quantile(free) * self.scale).reshape(-1, *self.shape)

    def inverse(self, code: Tensor) -> Tensor:
        inside = (torch.special.ndtr(code.flatten(1).double() / self.scale) - 0.5) / _share_inside()
        return torch.special.ndtri(0.5 + inside.clamp(-LAST, LAST)).to(code.dtype)

    def log_density(self, code: Tensor, log_free: Callable[[Tensor], Tensor]) -> Tensor:
        inside = (code.flatten(1).abs() <= TRUNCATED_AT * self.scale * (1 + 1e-6)).all(1)
        free = self.inverse(code)
        # dq/dz = phi(z) inside / phi(q), with phi the normal density
        drop = (quantile(free).square() - free.square()) / 2 + math.log(_share_inside()) + math.log(self.scale)
        return (log_free(free) - drop.sum(1)).where(inside, -torch.inf)


def _share_inside() -> float:
    return math.erf(TRUNCATED_AT / math.sqrt(2))


def quantile(free: Tensor) -> Tensor:
    """The quantile transform from N(0, 1) to its part within the bounds, in every coordinate."""
    return torch.special.ndtri(0.5 + (torch.special.ndtr(free.double()) - 0.5) * _share_inside()).to(free.dtype)


class Mapped(Geometry):
    """A space behind a network, seen as the normal distribution with its mean and covariance.

    In W that is the Gaussianised latent space of Wulff and Torralba (2020, arXiv 2009.06529). Coordinates are principal
    components, the largest first, each in its own standard deviation. Spaces of several rows (w+) share the components;
    a row has its own mean and scale, and all start from the same dimensions of u. Until `start_from` has seen
    draws, mean 0 and covariance I stand in.
    """

    mean: Tensor  # (rows, dim)
    basis: Tensor  # (dim, dim)
    gain: Tensor  # (rows, 1)

    def __init__(self, space: LatentSpace, noise_dim: int) -> None:
        super().__init__(LatentSpace(space.shape[-1:], space.prior), noise_dim)
        self.shape, dim = space.shape, space.shape[-1]
        self.size = math.prod(space.shape)
        self.rows = self.size // dim
        self.register_buffer("mean", torch.zeros(self.rows, dim))
        self.register_buffer("basis", torch.eye(dim))
        self.register_buffer("gain", torch.ones(self.rows, 1))

    def _beyond(self, count: int) -> Tensor:
        return torch.zeros(count)  # the least of the principal components stay at their mean

    def start(self, u: Tensor) -> Tensor:
        own = u[:, : self.shape[-1]]
        row = torch.cat([own, self.rest.to(u).expand(len(u), -1)], 1)
        return row.repeat(1, self.rows)

    @torch.no_grad()
    def start_from(self, draws: Tensor) -> None:
        rows = draws.cpu().reshape(len(draws), self.rows, -1)
        mean = rows.mean(0, dtype=torch.double)
        self.mean.copy_(mean)
        spread = torch.stack([(rows[:, row] - mean[row]).square().mean().sqrt() for row in range(self.rows)])
        widest = int(spread.argmax())
        if float(spread[widest]) == 0:  # a truncation of 0: the mean is all there is
            return
        self.gain.copy_((spread / spread[widest]).clamp(min=math.sqrt(FLOOR))[:, None])
        centred = rows[:, widest] - mean[widest]
        variances, vectors = torch.linalg.eigh(centred.T @ centred / len(draws))
        variances, vectors = variances.flip(0), vectors.flip(1)
        # the sign of a component is arbitrary: the same on every machine
        vectors *= vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
        self.basis.copy_(vectors * variances.clamp(min=FLOOR * float(variances.mean())).sqrt())

    def forward(self, free: Tensor) -> Tensor:
        rows = free.reshape(len(free), self.rows, -1)
        return (self.mean + self.gain * (rows @ self.basis.T)).reshape(-1, *self.shape)


class Embedded(Mapped):
    """A class embedding: continuous, scaled like the classes' own; every u starts at the prior's mean."""

    def start(self, u: Tensor) -> Tensor:
        return u.new_zeros(len(u), self.size)
