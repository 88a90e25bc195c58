"""Low-pass filtering, up- and downsampling by two, as depthwise convolutions. Imports torch only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Fir(nn.Module):
    """The separable filter `taps` x `taps`, normalised to sum 1, applied to every channel.

    Paddings place the filter as the reference does, also where the number of taps is odd. Runs in the dtype of its
    input, whatever autocast says.
    """

    kernel: Tensor

    def __init__(self, taps: Sequence[float]) -> None:
        super().__init__()
        line = torch.tensor(taps, dtype=torch.float64)
        line = line / line.sum()
        # torch correlates; filters convolve
        self.register_buffer("kernel", torch.outer(line, line).flip(0, 1).float()[None, None], persistent=False)
        self.size = len(taps)

    def _depthwise(self, x: Tensor) -> Tensor:
        return self.kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)

    def blur(self, x: Tensor, before: int, after: int, gain: float = 1.0) -> Tensor:
        """Pads (negative: crops) both axes by `before` and `after`, then filters: size + before + after - taps + 1."""
        padding = before if before == after and before >= 0 else 0
        if before != padding or after != padding:
            x = F.pad(x, (before, after, before, after))
        kernel = self._depthwise(x) if gain == 1.0 else self._depthwise(x) * gain
        with torch.autocast(x.device.type, enabled=False):
            return F.conv2d(x, kernel, padding=padding, groups=x.shape[1])

    def down(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h / 2, w / 2); only the kept pixels are computed."""
        before, after = (self.size - 1) // 2, (self.size - 2) // 2
        padding = before if before == after else 0
        if not padding:
            x = F.pad(x, (before, after, before, after))
        with torch.autocast(x.device.type, enabled=False):
            return F.conv2d(x, self._depthwise(x), stride=2, padding=padding, groups=x.shape[1])

    def up(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, 2 h, 2 w), without inserting zeros."""
        kernel = self._depthwise(x).flip(2, 3) * 4  # a transposed convolution convolves
        start = self.size - 1 - (self.size + 1) // 2
        even = self.size == 2 * start + 2
        with torch.autocast(x.device.type, enabled=False):
            x = F.conv_transpose2d(x, kernel, stride=2, padding=start if even else 0, groups=x.shape[1])
        return x if even else F.pad(x, (-start, start + 2 - self.size) * 2)
