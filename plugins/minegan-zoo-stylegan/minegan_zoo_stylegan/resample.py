"""StyleGAN3's filters: their design and the filtered activation (arXiv 2106.12423, appendix C). Imports torch only."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

from .depthwise import depthwise, depthwise_transposed


@dataclass(frozen=True)
class FilterPlan:
    """A Kaiser low-pass filter; cutoff, transition `width` and sampling `rate` in cycles per image width."""

    taps: int
    cutoff: float
    width: float
    rate: float
    radial: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.taps, self.taps) if self.radial else (self.taps,)

    def design(self) -> Tensor:
        """(taps,), or (taps, taps) where radial; sums to 1."""
        attenuation = 2.285 * (self.taps - 1) * pi * self.width / (self.rate / 2) + 7.95
        window = torch.kaiser_window(
            self.taps, periodic=False, beta=_kaiser_beta(attenuation), dtype=torch.float64, device="cpu"
        )
        place = (torch.arange(self.taps, dtype=torch.float64, device="cpu") - (self.taps - 1) / 2) / self.rate
        if self.radial:  # the ideal circular filter's response is a jinc
            radius = torch.hypot(place[:, None], place)
            response = torch.special.bessel_j1(2 * pi * self.cutoff * radius) / (pi * radius)
            response = response * torch.outer(window, window)
        else:
            response = torch.sinc(2 * self.cutoff * place) * window
        return (response / response.sum()).float()


def _kaiser_beta(attenuation: float) -> float:
    """Kaiser's empirical formula; attenuation in dB."""
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return 0.0


def upsample(x: Tensor, taps: Tensor | None, factor: int, padding: tuple[int, int], gain: float) -> Tensor:
    """Inserts factor - 1 zeros after every pixel, pads (negative: crops), convolves with `taps`; both axes.

    The result is multiplied by factor^2 gain. Zeros are not really inserted.
    """
    if taps is None:
        return F.pad(x, (*padding, *padding)) * gain if any(padding) else x * gain
    for axis in (0, 1):
        length = x.shape[2 + axis]
        start, size = len(taps) - 1 - padding[0], length * factor + sum(padding) - len(taps) + 1
        full = (length - 1) * factor + len(taps)
        crop = max(0, min(start, full - start - size))
        kernel = (taps * (factor * gain**0.5)).unsqueeze(1 - axis)
        other = x.shape[3 - axis]
        stride, pad, whole = (factor, 1), (crop, 0), (full - 2 * crop, other)
        if axis:
            stride, pad, whole = stride[::-1], pad[::-1], whole[::-1]
        x = depthwise_transposed(x, kernel, stride, pad, whole)
        rest = (crop - start, start + size - full + crop)
        if any(rest):
            x = F.pad(x, (*rest, 0, 0) if axis else (0, 0, *rest))
    return x


def downsample(x: Tensor, taps: Tensor | None, factor: int) -> Tensor:
    """Convolves without padding and keeps every factor-th pixel."""
    if taps is None:
        return x[:, :, ::factor, ::factor] if factor > 1 else x
    if taps.ndim == 2:
        return depthwise(x, taps.flip(0, 1), (factor, factor))
    taps = taps.flip(0)
    return depthwise(depthwise(x, taps[:, None], (factor, 1)), taps[None, :], (1, factor))
