"""A mixture of K normal distributions as a miner. May import contracts and this package's own."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from minegan_zoo.contracts import Code, LatentSpace, MineganError, Miner
from minegan_zoo_miners.geometry import geometry_of
from minegan_zoo_miners.miner import PartwiseMiner, labels_for, noise_maps
from minegan_zoo_miners.trunk import ByClass

NEAR = 1e-12  # how near to 0 and 1 a quantile may be: about 7 standard deviations


class Components(nn.Module):
    """K means and scales in the free coordinates of one space.

    Together they have the prior's mean and covariance at first, on average: means of variance spread^2, scales of
    variance 1 - spread^2. Class embeddings have means alone: a component is a class of its own.
    """

    def __init__(self, space: LatentSpace, noise_dim: int, components: int, spread: float) -> None:
        super().__init__()
        self.geometry = geometry_of(space, noise_dim)
        self.means = nn.Parameter(spread * torch.randn(components, self.geometry.size))
        start = torch.full_like(self.means.detach(), 0.5 * math.log(1 - spread**2))
        self.log_scales = None if space.prior == "class-embedding" else nn.Parameter(start)

    def forward(self, noise: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """noise (n, noise_dim), chosen components (n,), weights (n, K) -> (n, *shape)."""
        every = self.means.expand(len(noise), -1, -1)  # (n, K, size)
        if self.log_scales is not None:
            every = every + self.log_scales.exp() * self.geometry.start(noise)[:, None]
        own = every[torch.arange(len(noise), device=noise.device), chosen]
        return self.geometry(own + straight_through(every.detach(), chosen, weights))


def straight_through(every: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
    """Zeros (n, size) whose gradient tells the weights where the components lead.

    ReinMax (Liu et al., 2023, arXiv 2304.08612, section 4): on average exact for any loss that is quadratic in the
    coordinates; the plain straight-through gradient is so for linear ones only.
    """
    rows = torch.arange(len(every), device=every.device)
    fixed = weights.detach()
    mean = torch.einsum("nk,nks->ns", fixed, every)
    worth = every / 2
    worth[rows, chosen] += (every[rows, chosen] - mean) / (2 * fixed[rows, chosen, None])
    return torch.einsum("nk,nks->ns", weights - fixed, worth)


class GaussianMixture(nn.Module, Miner):
    """u's first coordinate chooses the component; what it leaves, and the other coordinates, is the noise within."""

    def __init__(
        self,
        latents: Mapping[str, LatentSpace],
        noise_dim: int,
        components: int,
        spread: float,
        num_classes: int,
    ) -> None:
        super().__init__()
        if components < 1 or not 0 <= spread < 1:
            raise MineganError(
                "the miner 'gaussian-mixture' takes at least 1 component and a spread of 0 to below 1, not "
                f"{components} and {spread}"
            )
        self.noise_dim = noise_dim
        self.num_classes = num_classes
        self.logits = ByClass(num_classes, components)
        vectors = {name: space for name, space in latents.items() if len(space.shape) < 3}
        # names of latent spaces hold dots ("noise.0"), which module names may not
        self.names = tuple(vectors)
        self.spaces = nn.ModuleList(Components(each, noise_dim, components, spread) for each in vectors.values())
        self.maps = PartwiseMiner(noise_maps(latents), noise_dim, 0)

    def start_from(self, draws: Code) -> None:
        for name, space in zip(self.names, self.spaces, strict=True):
            if name in draws:
                space.geometry.start_from(draws[name])  # type: ignore[union-attr, operator]

    def weights(self, labels: Tensor | None = None) -> Tensor:
        """The components' weights (n, K), or (1, K) without classes."""
        return torch.softmax(self.logits(labels_for(self.num_classes, labels)).float(), 1)

    def components(self, u: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Which component (n,) each u belongs to, and its noise (n, noise_dim), N(0, I) within every component.

        Phi(u_0) is uniform on [0, 1]. The weights laid end to end divide that into intervals: the one that it falls in
        is the component, and where in it is uniform again, so it becomes the noise's first coordinate.
        """
        ends = self.weights(labels).detach().double().cumsum(1).expand(len(u), -1)
        place = torch.special.ndtr(u[:, :1].double())
        chosen = (place > ends[:, :-1]).sum(1, keepdim=True)
        ends = torch.cat([torch.zeros_like(place), ends], 1)
        low, high = ends.gather(1, chosen), ends.gather(1, chosen + 1)
        inside = ((place - low) / (high - low)).clamp(NEAR, 1 - NEAR)
        return chosen[:, 0], torch.cat([torch.special.ndtri(inside).to(u), u[:, 1:]], 1)

    def forward(self, u: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        chosen, noise = self.components(u, labels)
        weights = self.weights(labels).expand(len(u), -1)
        spaces = zip(self.names, self.spaces, strict=True)
        return {name: space(noise, chosen, weights) for name, space in spaces} | self.maps(u)
