"""StyleGAN3's configuration, generator and discriminator, and that of random networks. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log2
from typing import Any, ClassVar, Literal, Self

from minegan_zoo.contracts import MineganError

from .critic import CriticConfig, ResidualCritic
from .mapping import MappingConfig
from .networks import to_json, with_tuples
from .resample import FilterPlan
from .source import Sampling, StyleSource
from .stylegan2_config import check_positive, critic_config, pyramid
from .stylegan3 import InputPlan, LayerPlan, Synthesis3, Synthesis3Config


@dataclass(frozen=True)
class StyleGAN3Config:
    mapping: MappingConfig
    synthesis: Synthesis3Config
    critic: CriticConfig | None
    stored_mean: bool
    family: ClassVar[str] = "stylegan3"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        synthesis = dict(data["synthesis"])
        synthesis["input"] = InputPlan(**synthesis["input"])
        synthesis["layers"] = tuple(_layer_from_json(layer) for layer in synthesis["layers"])
        return cls(
            mapping=MappingConfig(**with_tuples(data["mapping"])),
            synthesis=Synthesis3Config(**synthesis),
            critic=CriticConfig.from_json(data["critic"]),
            stored_mean=data["stored_mean"],
        )

    def network(self, sampling: Sampling) -> StyleSource:
        return StyleSource(
            self.mapping,
            Synthesis3(self.synthesis),
            sampling=sampling,
            config=to_json(self),
            critic=ResidualCritic(self.critic) if self.critic else None,
            stored_mean=self.stored_mean,
        )

    def cropped(self, resolution: int | None, alpha: float | None) -> Self:
        size = self.synthesis.resolution
        if resolution not in (None, size):
            raise MineganError(f"a StyleGAN3 has no smaller images inside: this one gives {size}x{size} only")
        return self

    def shape(self) -> dict[str, Any]:
        return {
            "variant": "r" if any(layer.radial for layer in self.synthesis.layers) else "t",
            "channels": self.synthesis.channels,
            "num_classes": self.mapping.num_classes,
            "z_dim": self.mapping.z_dim,
            "w_dim": self.synthesis.w_dim,
            "mapping_layers": len(self.mapping.widths),
            "num_layers": len(self.synthesis.layers) - 1,
        }


def _layer_from_json(data: Mapping[str, Any]) -> LayerPlan:
    filters = {name: data[name] and FilterPlan(**data[name]) for name in ("up_filter", "down_filter")}
    return LayerPlan(**with_tuples(data) | filters)


def random_config(
    *,
    resolution: int,
    variant: Literal["t", "r"],
    channels: int,
    num_classes: int,
    z_dim: int,
    w_dim: int,
    mapping_layers: int,
    num_layers: int,
    channel_base: int,
    channel_max: int,
) -> StyleGAN3Config:
    if resolution < 16 or resolution & (resolution - 1):
        raise MineganError(f"stylegan3 needs a resolution of 16, 32, 64, ..., not {resolution}")
    check_positive(
        "stylegan3", {"channels": channels, "z_dim": z_dim, "w_dim": w_dim, "mapping_layers": mapping_layers}
    )
    if num_layers < 3:
        raise MineganError(f"stylegan3 needs num_layers of at least 3, not {num_layers}")
    # the rotation-equivariant variant has 1x1 convolutions and makes up for them in width
    narrower = 2 if variant == "r" else 1
    widths = pyramid(resolution, channel_base // narrower, channel_max // narrower)
    return StyleGAN3Config(
        mapping=MappingConfig(z_dim, (w_dim,) * mapping_layers, num_classes, w_dim if num_classes else 0),
        synthesis=synthesis_config(resolution, variant, channels, w_dim, num_layers, channel_base, channel_max),
        critic=critic_config(channels, widths, num_classes, mapping_layers),
        stored_mean=False,
    )


CRITICAL = 2  # layers at the end that are critically sampled, for detail at the price of some equivariance
MARGIN = 10  # pixels beyond every edge
TAPS = 6  # per unit of resampling
CLAMP = 256.0


def synthesis_config(
    resolution: int,
    variant: Literal["t", "r"],
    channels: int,
    w_dim: int,
    num_layers: int,
    channel_base: int,
    channel_max: int,
) -> Synthesis3Config:
    """Cutoffs and stopbands in geometric progression (section 3.2, table 1 and appendix B)."""
    cutoff, stopband = resolution / 2, resolution / 2 * 2**0.3
    share = [min(i / (num_layers - CRITICAL), 1.0) for i in range(num_layers + 1)]
    cutoffs = [2 * (cutoff / 2) ** s for s in share]
    stopbands = [2**2.1 * (stopband / 2**2.1) ** s for s in share]
    rates = [2 ** ceil(log2(min(2 * band, resolution))) for band in stopbands]
    halves = [max(band, rate / 2) - cut for band, rate, cut in zip(stopbands, rates, cutoffs, strict=True)]
    sizes = [rate + 2 * MARGIN for rate in rates[:-2]] + [resolution, resolution]
    widths = [max(1, round(min(channel_base / 2 / cut, channel_max))) for cut in cutoffs[:-1]] + [channels]

    def layer(index: int) -> LayerPlan:
        before, rgb = max(index - 1, 0), index == num_layers
        rate = max(rates[before], rates[index]) * (1 if rgb else 2)  # at which the nonlinearity acts
        up, down = rate // rates[before], rate // rates[index]
        radial = variant == "r" and index < num_layers - CRITICAL
        kernel = 1 if rgb or variant == "r" else 3
        up_filter = FilterPlan(TAPS * up, cutoffs[before], 2 * halves[before], rate) if up > 1 and not rgb else None
        down_filter = (
            FilterPlan(TAPS * down, cutoffs[index], 2 * halves[index], rate, radial) if down > 1 and not rgb else None
        )
        total = (sizes[index] - 1) * down + 1 - (sizes[before] + kernel - 1) * up
        total += (up_filter.taps - 1 if up_filter else 0) + (down_filter.taps - 1 if down_filter else 0)
        start = (total + up) // 2  # keeps pixel centres where they are (appendix C.3)
        return LayerPlan(
            in_channels=widths[before],
            out_channels=widths[index],
            size=sizes[index],
            kernel=kernel,
            up=up,
            down=down,
            up_filter=up_filter,
            down_filter=down_filter,
            padding=(start, total - start),
            rgb=rgb,
            clamp=CLAMP,
        )

    plan = InputPlan(widths[0], sizes[0], rates[0], cutoffs[0])
    return Synthesis3Config(channels, resolution, w_dim, plan, tuple(map(layer, range(num_layers + 1))))
