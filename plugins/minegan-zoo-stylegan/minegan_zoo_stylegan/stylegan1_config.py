"""StyleGAN's configuration, generator and discriminator, and that of random networks. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from minegan_zoo.contracts import MineganError

from .critic1 import Critic1Config, ProgressiveCritic
from .mapping import MappingConfig
from .networks import to_json, with_tuples
from .source import Sampling, StyleSource
from .stylegan1 import Synthesis1, Synthesis1Config
from .stylegan2_config import check_positive, pyramid


@dataclass(frozen=True)
class StyleGAN1Config:
    mapping: MappingConfig
    synthesis: Synthesis1Config
    critic: Critic1Config | None
    family: ClassVar[str] = "stylegan"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            mapping=MappingConfig(**with_tuples(data["mapping"])),
            synthesis=Synthesis1Config(**with_tuples(data["synthesis"])),
            critic=data["critic"] and Critic1Config(**with_tuples(data["critic"])),
        )

    def network(self, sampling: Sampling) -> StyleSource:
        return StyleSource(
            self.mapping,
            Synthesis1(self.synthesis),
            sampling=sampling,
            config=to_json(self),
            critic=ProgressiveCritic(self.critic) if self.critic else None,
        )

    def cropped(self, resolution: int | None, alpha: float | None) -> Self:
        """Only the RGB layers that `resolution` and `alpha` use stay, of the discriminator too."""
        whole = self.synthesis
        size = whole.resolution if resolution is None else resolution
        count = size.bit_length() - 2
        lowest = 4 << (len(whole.widths) - whole.rgb_layers)
        if 2 << count != size or not lowest <= size <= whole.resolution:
            raise MineganError(
                f"this StyleGAN has RGB layers from {lowest} to {whole.resolution} pixels, not at {size}"
            )
        share = alpha if alpha is not None else whole.alpha if size == whole.resolution else 1.0
        if not 0.0 <= share <= 1.0:
            raise MineganError(f"alpha, the share of the new resolution, lies in [0, 1], not {share}")
        rgb_layers = 2 if share < 1.0 and count > 1 else 1
        if rgb_layers > 1 and size == lowest:
            raise MineganError(f"this StyleGAN cannot fade at {size} pixels: it has no RGB layer at {size // 2}")
        critic = self.critic
        if critic is not None:
            critic = replace(critic, widths=critic.widths[:count], rgb_layers=rgb_layers, alpha=share)
        widths, fused = whole.widths[:count], whole.fused[:count]
        return replace(
            self,
            synthesis=replace(whole, widths=widths, fused=fused, rgb_layers=rgb_layers, alpha=share),
            critic=critic,
        )

    def shape(self) -> dict[str, Any]:
        return {
            "channels": self.synthesis.channels,
            "z_dim": self.mapping.z_dim,
            "mapping_layers": len(self.mapping.widths),
        }


def random_config(
    *,
    resolution: int,
    channels: int,
    z_dim: int,
    mapping_layers: int,
    channel_base: int,
    channel_max: int,
    alpha: float,
) -> StyleGAN1Config:
    """min(channel_base / size, channel_max) channels at each size."""
    if resolution < 8 or resolution & (resolution - 1):
        raise MineganError(f"stylegan needs a resolution of 8, 16, 32, ..., not {resolution}")
    check_positive("stylegan", {"channels": channels, "z_dim": z_dim, "mapping_layers": mapping_layers})
    widths = pyramid(resolution, channel_base, channel_max)
    whole = StyleGAN1Config(
        mapping=mapping_config(z_dim, (z_dim,) * mapping_layers),
        synthesis=Synthesis1Config(channels, widths, z_dim, (False,) * len(widths), rgb_layers=len(widths)),
        critic=Critic1Config(channels, widths, widths[0], rgb_layers=len(widths)),
    )
    return whole.cropped(resolution, alpha)


def mapping_config(z_dim: int, widths: tuple[int, ...]) -> MappingConfig:
    """No learning rate multiplier, and gain on the weights alone."""
    return MappingConfig(z_dim, widths, lr=1.0, bias_gain=False)
