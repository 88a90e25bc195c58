"""Low-pass filtering, up- and downsampling by two, as depthwise convolutions. Imports torch only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .depthwise import depthwise, depthwise_transposed


class Fir(nn.Module):
    """The separable filter `taps` x `taps`, normalised to sum 1, applied to every channel.

    Paddings place the filter as the reference does, also where the number of taps is odd. Runs in the dtype of its
    input, whatever autocast says.
    """

    kernel: Tensor

    def __init__(self, taps: Sequence[float]) -> None:
        super().__init__()
        # backwards, because torch correlates and filters convolve
        line = [tap / sum(taps) for tap in reversed(taps)]
        device = "cpu" if torch.get_default_device().type == "meta" else None  # no file will fill it in
        kernel = torch.tensor([[a * b for b in line] for a in line], device=device)
        self.register_buffer("kernel", kernel, persistent=False)
        self.size = len(taps)

    def blur(self, x: Tensor, before: int, after: int, gain: float = 1.0) -> Tensor:
        """Pads (negative: crops) both axes by `before` and `after`, then filters: size + before + after - taps + 1."""
        kernel = self.kernel if gain == 1.0 else self.kernel * gain
        padding = min(before, self.size - 1) if before == after >= 0 else 0
        rest = (before - padding, after - padding)
        return depthwise(F.pad(x, rest * 2) if any(rest) else x, kernel, padding=(padding, padding))

    def down(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h / 2, w / 2); only the kept pixels are computed."""
        before, after = (self.size - 1) // 2, (self.size - 2) // 2
        if before == after:
            return depthwise(x, self.kernel, (2, 2), (before, before))
        return depthwise(F.pad(x, (before, after) * 2), self.kernel, (2, 2))

    def up(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, 2 h, 2 w), without inserting zeros."""
        kernel = self.kernel.flip(0, 1) * 4  # a transposed convolution convolves
        start = self.size - 1 - (self.size + 1) // 2
        size = 2 * x.shape[-1]
        full = size - 2 + self.size
        if full == size + 2 * start:
            return depthwise_transposed(x, kernel, (2, 2), (start, start), (size, size))
        x = depthwise_transposed(x, kernel, (2, 2), (0, 0), (full, full))
        return F.pad(x, (-start, start + 2 - self.size) * 2)
