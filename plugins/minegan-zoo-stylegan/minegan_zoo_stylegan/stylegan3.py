"""StyleGAN3's synthesis network (arXiv 2106.12423), translation- and rotation-equivariant. Imports torch only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minegan_zoo.contracts import ImageSpec

from .layout import fast_layout
from .linear import EqualLinear
from .resample import FilterPlan, downsample, upsample


@dataclass(frozen=True)
class InputPlan:
    """Fourier features: `size` pixels at `rate` samples per image width, frequencies up to `bandwidth`."""

    channels: int
    size: int
    rate: float
    bandwidth: float


@dataclass(frozen=True)
class LayerPlan:
    """Convolution, upsampling, leaky ReLU, downsampling. `padding` is applied after zero insertion."""

    in_channels: int
    out_channels: int
    size: int
    kernel: int
    up: int
    down: int
    up_filter: FilterPlan | None
    down_filter: FilterPlan | None
    padding: tuple[int, int]
    rgb: bool
    clamp: float | None

    @property
    def radial(self) -> bool:
        return self.down_filter is not None and self.down_filter.radial

    def output_size(self, size: int) -> int:
        """Pixels that come out where `size` go in."""
        high = (size + self.kernel - 1) * self.up + sum(self.padding)
        high -= self.up_filter.taps - 1 if self.up_filter else 0
        return (high - (self.down_filter.taps if self.down_filter else 1)) // self.down + 1


@dataclass(frozen=True)
class Synthesis3Config:
    channels: int
    resolution: int
    w_dim: int
    input: InputPlan
    layers: tuple[LayerPlan, ...]
    output_scale: float = 0.25


class FourierInput(nn.Module):
    """w -> features of a plane that w rotates and shifts (section 3.2); in float32."""

    freqs: Tensor
    phases: Tensor
    transform: Tensor

    def __init__(self, plan: InputPlan, w_dim: int) -> None:
        super().__init__()
        self.plan = plan
        self.weight = nn.Parameter(torch.empty(plan.channels, plan.channels))
        self.affine = EqualLinear(w_dim, 4)
        self.register_buffer("freqs", torch.empty(plan.channels, 2))
        self.register_buffer("phases", torch.empty(plan.channels))
        self.register_buffer("transform", torch.empty(3, 3))  # the user's, applied last; the identity unless set

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.affine.weight)
        with torch.no_grad():
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
            self.transform.copy_(torch.eye(3))
            freqs = torch.randn_like(self.freqs)
            radii = freqs.norm(dim=1, keepdim=True)
            self.freqs.copy_(freqs / (radii * (radii.square() / 4).exp()) * self.plan.bandwidth)
            self.phases.uniform_(-0.5, 0.5)

    def forward(self, w: Tensor) -> Tensor:
        plan = self.plan
        t = self.affine(w)
        cosine, sine, x, y = (t / t[:, :2].norm(dim=1, keepdim=True)).unbind(1)
        zero, one = torch.zeros_like(x), torch.ones_like(x)
        rotation = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], dim=1).view(-1, 3, 3)
        shift = torch.stack([one, zero, -x, zero, one, -y, zero, zero, one], dim=1).view(-1, 3, 3)
        with torch.autocast(w.device.type, enabled=False):
            transform = rotation @ shift @ self.transform
            phases = self.phases + (self.freqs @ transform[:, :2, 2:]).squeeze(2)  # (n, c)
            freqs = self.freqs @ transform[:, :2, :2]  # (n, c, 2)
            # frequencies that a user's transform lifts out of the band fade out
            amplitudes = 1 - (freqs.norm(dim=2) - plan.bandwidth) / (plan.rate / 2 - plan.bandwidth)
            grid = (torch.arange(plan.size, device=w.device) + 0.5 - plan.size / 2) / plan.rate
            angle = freqs[:, :, 0, None, None] * grid + freqs[:, :, 1, None, None] * grid[:, None]
            waves = torch.sin((angle + phases[:, :, None, None]) * (2 * pi))
            waves = waves * amplitudes.clamp(0, 1)[:, :, None, None]
            return F.conv2d(waves, self.weight[:, :, None, None] / sqrt(plan.channels))


class FilteredLayer(nn.Module):
    """One layer: modulated convolution, then a leaky ReLU at a higher sampling rate (section 3.2, appendix B.1).

    As in StyleGAN2 here, styles scale activations; the reference's normalisation of styles over the batch cancels in
    the demodulation and is done by row, so that rows do not depend on each other.
    """

    magnitude_ema: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(self, plan: LayerPlan, w_dim: int) -> None:
        super().__init__()
        self.plan = plan
        self.affine = EqualLinear(w_dim, plan.in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.empty(plan.out_channels, plan.in_channels, plan.kernel, plan.kernel))
        self.bias = nn.Parameter(torch.empty(plan.out_channels))
        self.register_buffer("magnitude_ema", torch.empty(()))
        self.register_buffer("up_filter", torch.empty(plan.up_filter.shape) if plan.up_filter else None)
        self.register_buffer("down_filter", torch.empty(plan.down_filter.shape) if plan.down_filter else None)

    def reset_parameters(self) -> None:
        self.affine.reset_parameters()
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)
        nn.init.ones_(self.magnitude_ema)
        for plan, buffer in ((self.plan.up_filter, self.up_filter), (self.plan.down_filter, self.down_filter)):
            if plan is not None and buffer is not None:
                buffer.copy_(plan.design())

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        plan = self.plan
        style: Tensor = self.affine(w)
        weight: Tensor = self.weight
        with torch.autocast(x.device.type, enabled=False):
            if plan.rgb:
                scale = torch.full_like(self.bias, 1 / sqrt(plan.in_channels * plan.kernel**2))[None]
            else:
                weight = weight * weight.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()
                style = style * style.square().mean(dim=1, keepdim=True).rsqrt()
                norm = style.square() @ weight.square().sum(dim=(2, 3)).t()
                scale = (norm + 1e-8).rsqrt()  # (n, out)
            style = style * self.magnitude_ema.rsqrt()
        x = F.conv2d(x * style[:, :, None, None].to(x.dtype), weight, padding=plan.kernel - 1)
        dtype = torch.float32 if plan.rgb else x.dtype
        x = torch.addcmul(self.bias[:, None, None].to(dtype), x.to(dtype), scale[:, :, None, None].to(dtype))
        x = upsample(x, self.up_filter, plan.up, plan.padding, 1.0 if plan.rgb else sqrt(2))
        if not plan.rgb:
            x = F.leaky_relu_(x, 0.2)
        if plan.clamp is not None:
            x = x.clamp(-plan.clamp, plan.clamp)
        return downsample(x, self.down_filter, plan.down)


class Synthesis3(nn.Module):
    """ws (n, layers + 1, w_dim) -> images; the first w moves the input, the others style one layer each. No noise."""

    def __init__(self, config: Synthesis3Config) -> None:
        super().__init__()
        self.image = ImageSpec(config.channels, config.resolution)
        self.num_ws, self.w_dim = len(config.layers) + 1, config.w_dim
        self.noise_sizes: list[int] = []
        self.output_scale = config.output_scale
        self.input = FourierInput(config.input, config.w_dim)
        layers = [FilteredLayer(plan, config.w_dim) for plan in config.layers]
        self.layers = cast(Sequence[FilteredLayer], nn.ModuleList(layers))

    def noise_maps(self) -> list[Tensor]:
        return []

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Also sets every layer's input magnitude, which stays as it is: nothing here tracks it in training."""
        self.input.reset_parameters()
        w = torch.randn(1, self.w_dim, device=self.input.weight.device)
        x = self.input(w)
        for layer in self.layers:
            layer.reset_parameters()
            layer.magnitude_ema.copy_(x.square().mean())
            x = layer(x, w)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        body = {f"body.{i}": list(layer.parameters()) for i, layer in enumerate(self.layers)}
        return {"input": list(self.input.parameters())} | body

    def forward(self, ws: Tensor, noise: Sequence[Tensor | None]) -> Tensor:
        x = self.input(ws[:, 0])
        for layer, w in zip(self.layers, ws[:, 1:].unbind(1), strict=True):
            x = layer(fast_layout(x), w)
        return (x * self.output_scale).contiguous()
