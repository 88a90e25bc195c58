"""The minibatch standard deviation that discriminators append (arXiv 1710.10196, section 3). Imports torch only."""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from torch import Tensor


def group_size(n: int, wanted: int) -> int:
    """The largest divisor of n up to `wanted`."""
    return next(size for size in range(min(n, wanted), 0, -1) if n % size == 0)


def append_deviation(x: Tensor, wanted: int, planes: int = 1) -> Tensor:
    """(n, c, h, w) -> (n, c + planes, h, w); sample i belongs to group i mod (n / group size). Computed in float32."""
    n, _, height, width = x.shape
    groups = rearrange(x.float(), "(g m) (f c) h w -> g m f c h w", g=group_size(n, wanted), f=planes)
    variance = (groups - groups.mean(dim=0)).square().mean(dim=0)  # faster than torch.var over the leading axis
    deviation = (variance + 1e-8).sqrt().mean(dim=(2, 3, 4))  # (m, f)
    deviation = repeat(deviation, "m f -> (g m) f h w", g=groups.shape[0], h=height, w=width)
    return torch.cat([x, deviation.to(x.dtype)], dim=1)
