"""StyleGAN2's configuration, generator and discriminator, and that of random networks. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from minegan_zoo.contracts import MineganError

from .critic import CriticConfig, ResidualCritic
from .mapping import MappingConfig
from .networks import to_json, with_tuples
from .source import Sampling, StyleSource
from .stylegan2 import Architecture, Synthesis2, SynthesisConfig


@dataclass(frozen=True)
class StyleGAN2Config:
    mapping: MappingConfig
    synthesis: SynthesisConfig
    critic: CriticConfig | None
    stored_mean: bool
    family: ClassVar[str] = "stylegan2"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            mapping=MappingConfig(**with_tuples(data["mapping"])),
            synthesis=SynthesisConfig(**with_tuples(data["synthesis"])),
            critic=CriticConfig.from_json(data["critic"]),
            stored_mean=data["stored_mean"],
        )

    def network(self, sampling: Sampling) -> StyleSource:
        return StyleSource(
            self.mapping,
            Synthesis2(self.synthesis),
            sampling=sampling,
            config=to_json(self),
            critic=ResidualCritic(self.critic) if self.critic else None,
            stored_mean=self.stored_mean,
        )

    def cropped(self, resolution: int | None, alpha: float | None) -> Self:
        """The discriminator, which sees full images only, goes."""
        if resolution is None or resolution == self.synthesis.resolution:
            return self
        return replace(self, synthesis=self.synthesis.cropped(resolution), critic=None)

    def shape(self) -> dict[str, Any]:
        return {
            "channels": self.synthesis.channels,
            "num_classes": self.mapping.num_classes,
            "z_dim": self.mapping.z_dim,
            "w_dim": self.synthesis.w_dim,
            "mapping_layers": len(self.mapping.widths),
            "mapping_lr": self.mapping.lr,
            "architecture": self.synthesis.architecture,
        }


def random_config(
    *,
    resolution: int,
    channels: int,
    num_classes: int,
    z_dim: int,
    w_dim: int,
    mapping_layers: int,
    mapping_lr: float,
    channel_base: int,
    channel_max: int,
    architecture: Architecture,
) -> StyleGAN2Config:
    """min(channel_base / size, channel_max) channels at each size, as the StyleGAN2-ADA paper sets them."""
    if resolution < 8 or resolution & (resolution - 1):
        raise MineganError(f"stylegan2 needs a resolution of 8, 16, 32, ..., not {resolution}")
    check_positive(
        "stylegan2", {"channels": channels, "z_dim": z_dim, "w_dim": w_dim, "mapping_layers": mapping_layers}
    )
    widths = pyramid(resolution, channel_base, channel_max)
    return StyleGAN2Config(
        mapping=_mapping(z_dim, w_dim, num_classes, mapping_layers, mapping_lr),
        synthesis=SynthesisConfig(channels, widths, w_dim, architecture),
        critic=critic_config(channels, widths, num_classes, mapping_layers),
        stored_mean=False,
    )


def critic_config(channels: int, widths: tuple[int, ...], num_classes: int, mapping_layers: int) -> CriticConfig:
    labels = _mapping(0, widths[0], num_classes, mapping_layers, 0.01) if num_classes else None
    return CriticConfig(channels, widths, labels=labels)


def pyramid(resolution: int, channel_base: int, channel_max: int) -> tuple[int, ...]:
    return tuple(max(1, min(channel_base // (4 << i), channel_max)) for i in range(resolution.bit_length() - 2))


def _mapping(z_dim: int, w_dim: int, num_classes: int, layers: int, lr: float) -> MappingConfig:
    return MappingConfig(z_dim, (w_dim,) * layers, num_classes, w_dim if num_classes else 0, lr)


def check_positive(family: str, sizes: Mapping[str, int]) -> None:
    for name, value in sizes.items():
        if value < 1:
            raise MineganError(f"{family} needs {name} of at least 1, not {value}")
