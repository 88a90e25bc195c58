"""A normalising flow as a miner: every code has a density. May import contracts and this package's own."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from minegan_zoo.contracts import Code, LatentSpace, MineganError
from minegan_zoo_miners.miner import Part, PartwiseMiner, labels_for
from minegan_zoo_miners.trunk import Trunk, zeroed

LIMIT = 2.0  # of a layer's log-scale, so that no step of training overflows
LOG_ROOT_TAU = 0.5 * math.log(2 * math.pi)


class Coupling(nn.Module):
    """One affine coupling layer (RealNVP, Dinh et al., 2017, arXiv 1605.08803, eq. 4 and 5), the identity at first."""

    kept: Tensor
    moved: Tensor

    def __init__(self, moves: Tensor, width: int, num_classes: int) -> None:
        """`moves`: bool (size,), the coordinates that are scaled and shifted as the others say."""
        super().__init__()
        self.register_buffer("kept", (~moves).nonzero()[:, 0], persistent=False)
        self.register_buffer("moved", moves.nonzero()[:, 0], persistent=False)
        self.trunk = Trunk(len(self.kept), width, 1, num_classes)
        self.head = zeroed(nn.Linear(width, 2 * len(self.moved)))

    def _terms(self, x: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        raw, shift = self.head(self.trunk(x[:, self.kept], labels)).chunk(2, 1)
        return LIMIT * torch.tanh(raw / LIMIT), shift

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        log_scale, shift = self._terms(x, labels)
        return x.index_copy(1, self.moved, x[:, self.moved] * log_scale.exp() + shift)

    def inverse(self, y: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """x, and log|dx/dy| (n,)."""
        log_scale, shift = self._terms(y, labels)
        return y.index_copy(1, self.moved, (y[:, self.moved] - shift) * (-log_scale).exp()), -log_scale.sum(1)


class FlowPart(Part):
    """geometry(f_depth(... f_1(start(u)))), with couplings f that move odd, even, second and first half by turns."""

    def __init__(self, space: LatentSpace, noise_dim: int, width: int, depth: int, num_classes: int) -> None:
        super().__init__(space, noise_dim)
        size = self.geometry.size
        if space.prior in ("mapped", "class-embedding"):
            raise MineganError(
                f"the miner 'flow' needs a z that is drawn: normal, sphere or truncated, not {space.prior}"
            )
        if not 2 <= size <= noise_dim:
            raise MineganError(
                f"the miner 'flow' is invertible: base noise of {noise_dim} dimensions cannot fill a space of {size}; "
                f"set noise_dim to {max(2, size)} or more"
                if size > noise_dim
                else "the miner 'flow' needs a space of at least 2 dimensions: use the miner 'affine'"
            )
        place = torch.arange(size)
        moves = [place % 2 == 1, place % 2 == 0, place >= size // 2, place < size // 2]
        self.couplings = nn.ModuleList(Coupling(moves[layer % 4], width, num_classes) for layer in range(depth))

    def forward(self, u: Tensor, labels: Tensor | None) -> Tensor:
        x = self.geometry.start(u)
        for coupling in self.couplings:
            x = coupling(x, labels)
        return self.geometry(x)

    def _inverse(self, free: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Free coordinates -> start(u) and log|du/dfree| (n,)."""
        total = free.new_zeros(len(free))
        for coupling in reversed(self.couplings):
            free, log_volume = coupling.inverse(free, labels)  # type: ignore[operator]
            total = total + log_volume
        return free, total

    def inverse(self, code: Tensor, labels: Tensor | None) -> Tensor:
        return self._inverse(self.geometry.inverse(code), labels)[0]

    def log_density(self, code: Tensor, labels: Tensor | None) -> Tensor:
        def log_free(free: Tensor) -> Tensor:
            x, log_volume = self._inverse(free, labels)
            return log_volume - (x.square() / 2 + LOG_ROOT_TAU).sum(1)

        return self.geometry.log_density(code, log_free)


class Flow(PartwiseMiner):
    """A flow in "z"; other spaces by parts of their own, which the density leaves out."""

    def __init__(self, flow: FlowPart, others: Mapping[str, Part], noise_dim: int, num_classes: int) -> None:
        super().__init__({"z": flow, **others}, noise_dim, num_classes)

    @property
    def flow(self) -> FlowPart:
        return self.part("z")  # type: ignore[return-value]

    def log_density(self, code: Code, labels: Tensor | None = None) -> Tensor:
        """The log-density (n,) of code["z"], in nats, -inf outside a truncated prior's bounds.

        By the change of variables (Dinh et al., eq. 3); per unit of volume, on a sphere per unit of area (of the sphere
        of radius sqrt(d), by numerical integration over the radius that the projection forgets).
        """
        return self.flow.log_density(code["z"], labels_for(self.num_classes, labels))

    def inverse(self, code: Code, labels: Tensor | None = None) -> Tensor:
        """A u (n, noise_dim) that the miner turns into code["z"]; dimensions beyond z's are 0.

        The only one, but on a sphere, where many do and this one's free coordinates lie on the sphere.
        """
        own = self.flow.inverse(code["z"], labels_for(self.num_classes, labels))
        return torch.cat([own, own.new_zeros(len(own), self.noise_dim - own.shape[1])], 1)
