"""Layers whose weight is divided by its largest singular value (Miyato et al., 2018). Imports torch only.

sigma comes from one power step from the stored u, in `eval()` too, where u then stays as it was; the gradient flows
through sigma with u and v held fixed. With a stored v (torch's own `spectral_norm`) evaluation takes both as stored.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F


def full_precision(tensor: Tensor) -> torch.autocast:
    """Keeps what is numerically fragile out of autocast."""
    return torch.autocast(tensor.device.type, enabled=False)


FEW_PIXELS = 256
"""In a batch. Below, enlarging the input costs less than the wider kernel."""


class SpectralNorm(nn.Module):
    """A weight (rows, ...) and a bias; `spectral` is "power", "stored" or "none"."""

    u0: Tensor
    v0: Tensor

    def __init__(self, shape: tuple[int, ...], bias: bool, spectral: str, eps: float) -> None:
        super().__init__()
        self.spectral, self.eps = spectral, eps
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(shape[0])) if bias else None
        if spectral != "none":
            self.register_buffer("u0", torch.empty(1, shape[0]))
        if spectral == "stored":
            self.register_buffer("v0", torch.empty(1, self.weight[0].numel()))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Orthogonal weight, zero bias, new u and v."""
        nn.init.orthogonal_(self.weight)
        if self.bias is not None:
            self.bias.zero_()
        for vector in self.buffers():
            vector.copy_(F.normalize(torch.randn_like(vector), eps=self.eps))

    def normalised(self) -> Tensor:
        """The weight over sigma, float32."""
        sigma = self.sigma()
        return self.weight if sigma is None else self.weight / sigma

    def divided(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(x, weight), the smaller of the two divided by sigma: a layer is linear in both."""
        sigma = self.sigma()
        if sigma is None:
            return x, self.weight
        return (x / sigma, self.weight) if x.numel() < self.weight.numel() else (x, self.weight / sigma)

    def sigma(self) -> Tensor | None:
        """The largest singular value, (); None without spectral norm."""
        if self.spectral == "none":
            return None
        with full_precision(self.weight):
            matrix = self.weight.flatten(1)
            if self.spectral == "stored" and not self.training:
                sigma = F.linear(self.v0, matrix) @ self.u0.t()
            else:
                with torch.no_grad():
                    v = F.normalize(self.u0 @ matrix, eps=self.eps)
                stretched = F.linear(v, matrix)  # (1, rows)
                u = F.normalize(stretched.detach(), eps=self.eps)
                sigma = stretched @ u.t()
                if self.training:
                    self._store(u, v)
            return sigma.reshape(())

    @torch.no_grad()
    def _store(self, u: Tensor, v: Tensor) -> None:
        self.u0.copy_(u)
        if self.spectral == "stored":
            self.v0.copy_(v)


class Conv2d(SpectralNorm):
    """A convolution that keeps the image's size, doubles it first ("up", nearest) or halves it after ("down", mean).

    Both resamplings of a 3x3 kernel are one 4x4 kernel of stride 2, with 4/9 of the multiplications.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, spectral: str, eps: float, bias: bool = True, resample: str = ""
    ) -> None:
        super().__init__((outputs, inputs, size, size), bias, spectral, eps)
        self.padding, self.resample = size // 2, resample

    def forward(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            kernel = rearrange(self._spread(False) / 4, "i (h w) o -> o i h w", h=4)
            return F.conv2d(x, kernel, self.bias, stride=2, padding=1)
        if self.resample == "up":
            if x.shape[0] * x.shape[2] * x.shape[3] >= FEW_PIXELS:
                kernel = rearrange(self._spread(True), "i (h w) o -> i o h w", h=4)
                return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        x, weight = self.divided(x)
        return F.conv2d(x, weight, self.bias, padding=self.padding)

    def _spread(self, flipped: bool) -> Tensor:
        """The sum of the normalised 3x3 kernel's copies at the four corners of a 4x4 one, (in, 16, out).

        It is linear in the kernel's 9 numbers: one matrix product does it all.
        """
        sigma = self.sigma()
        with full_precision(self.weight):
            wide = F.pad(torch.eye(9, device=self.weight.device).reshape(9, 3, 3), (1, 1, 1, 1))
            sums = wide[:, 1:, 1:] + wide[:, 1:, :-1] + wide[:, :-1, 1:] + wide[:, :-1, :-1]  # (9, 4, 4)
            matrix = rearrange(sums.flip(0) if flipped else sums, "k h w -> (h w) k").to(self.weight.dtype)
            matrix = matrix if sigma is None else matrix / sigma
            return matrix @ rearrange(self.weight, "o i h w -> i (h w) o")


class ImageConv2d(Conv2d):
    """A 3x3 convolution of which only the first `channels` outputs are wanted; sigma is that of all rows."""

    def __init__(self, inputs: int, rows: int, channels: int, spectral: str, eps: float) -> None:
        super().__init__(inputs, rows, 3, spectral, eps)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        assert self.bias is not None
        x, weight = self.divided(x)
        return F.conv2d(x, weight[: self.channels], self.bias[: self.channels], padding=1)


class Linear(SpectralNorm):
    def __init__(self, inputs: int, outputs: int, spectral: str, eps: float, bias: bool = True) -> None:
        super().__init__((outputs, inputs), bias, spectral, eps)

    def forward(self, x: Tensor) -> Tensor:
        x, weight = self.divided(x)
        return F.linear(x, weight, self.bias)


class Table(SpectralNorm):
    """Rows by soft one-hot vectors (n, rows) or by labels (n,)."""

    def __init__(self, rows: int, width: int, spectral: str, eps: float) -> None:
        super().__init__((rows, width), False, spectral, eps)

    def forward(self, rows: Tensor) -> Tensor:
        if not rows.is_floating_point():
            return F.embedding(rows, self.normalised())
        rows, weight = self.divided(rows)
        return rows @ weight
