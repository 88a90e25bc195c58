"""Builds StyleGAN2 sources: random ones and those of source folders. Imports torch and `minegan_zoo.weights`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import is_source_folder, load_strict, read_source

from .critic import CriticConfig, ResidualCritic
from .mapping import MappingConfig
from .source import Sampling, StyleSource
from .stylegan2 import Architecture, Synthesis2, SynthesisConfig


@dataclass(frozen=True)
class StyleGAN2Config:
    """Everything but the tensors."""

    mapping: MappingConfig
    synthesis: SynthesisConfig
    critic: CriticConfig | None
    stored_mean: bool

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StyleGAN2Config:
        critic = data["critic"]
        if critic is not None:
            labels = critic["labels"]
            critic = CriticConfig(**_tuples(critic) | {"labels": labels and MappingConfig(**_tuples(labels))})
        mapping = MappingConfig(**_tuples(data["mapping"]))
        return cls(mapping, SynthesisConfig(**_tuples(data["synthesis"])), critic, data["stored_mean"])

    @property
    def shape(self) -> dict[str, Any]:
        """What options may name."""
        synthesis = self.synthesis
        return {
            "channels": synthesis.channels,
            "num_classes": self.mapping.num_classes,
            "z_dim": self.mapping.z_dim,
            "w_dim": synthesis.w_dim,
            "mapping_layers": len(self.mapping.widths),
            "architecture": synthesis.architecture,
        }

    def cropped(self, resolution: int | None) -> StyleGAN2Config:
        """Ends at `resolution`; the discriminator, which sees full images only, goes."""
        if resolution is None or resolution == self.synthesis.resolution:
            return self
        return replace(self, synthesis=self.synthesis.cropped(resolution), critic=None)


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}


def random_config(
    *,
    resolution: int,
    channels: int,
    num_classes: int,
    z_dim: int,
    w_dim: int,
    mapping_layers: int,
    channel_base: int,
    channel_max: int,
    architecture: Architecture,
) -> StyleGAN2Config:
    """The configuration of the StyleGAN2-ADA paper: min(channel_base / size, channel_max) channels at each size."""
    if resolution < 8 or resolution & (resolution - 1):
        raise MineganError(f"stylegan2 needs a resolution of 8, 16, 32, ..., not {resolution}")
    for name, value in {"channels": channels, "z_dim": z_dim, "w_dim": w_dim, "mapping_layers": mapping_layers}.items():
        if value < 1:
            raise MineganError(f"stylegan2 needs {name} of at least 1, not {value}")
    widths = tuple(max(1, min(channel_base // (4 << i), channel_max)) for i in range(resolution.bit_length() - 2))

    def mapping(z: int, w: int) -> MappingConfig:
        return MappingConfig(z, (w,) * mapping_layers, num_classes, w if num_classes else 0)

    labels = mapping(0, widths[0]) if num_classes else None
    return StyleGAN2Config(
        mapping=mapping(z_dim, w_dim),
        synthesis=SynthesisConfig(channels, widths, w_dim, architecture),
        critic=CriticConfig(channels, widths, labels=labels),
        stored_mean=False,
    )


def network(config: StyleGAN2Config, sampling: Sampling) -> StyleSource:
    """Networks whose parameters are not yet set."""
    critic = ResidualCritic(config.critic) if config.critic else None
    return StyleSource(
        config.mapping,
        Synthesis2(config.synthesis),
        sampling=sampling,
        config=config.to_json(),
        critic=critic,
        stored_mean=config.stored_mean,
    )


def random_source(config: StyleGAN2Config, sampling: Sampling) -> StyleSource:
    source = network(config, sampling)
    source.reset_parameters()
    critic = source.own_critic()
    if critic is not None:
        critic.reset_parameters()
    return source.eval()


def load_source(path: Path, sampling: Sampling, *, resolution: int | None, shape: Mapping[str, Any]) -> StyleSource:
    """A source folder; `shape` holds what the caller says about it, to be checked."""
    if not is_source_folder(path):
        raise MineganError(f"{path} is no source folder")
    saved = read_source(path)
    if saved.family != "stylegan2" or saved.config is None:
        raise MineganError(f"{path} holds a {saved.family}, not a stylegan2: load it as {saved.family}")
    try:
        whole = StyleGAN2Config.from_json(saved.config)
    except (KeyError, TypeError) as error:
        raise MineganError(f"{path}: source.json describes no stylegan2 of this version ({error})") from error
    config = whole.cropped(resolution)
    _check_shape(path, config, shape)
    source = network(config, sampling)
    load_strict(source, _kept(saved.generator, whole, config), f"{path} (generator)")
    critic = source.own_critic()
    if isinstance(critic, ResidualCritic):
        if saved.discriminator is None:
            raise MineganError(f"{path} lacks discriminator.safetensors, which source.json describes")
        load_strict(critic, saved.discriminator, f"{path} (discriminator)")
    source.finish_loading()
    return source.eval()


def _kept(tensors: Mapping[str, Any], whole: StyleGAN2Config, config: StyleGAN2Config) -> dict[str, Any]:
    """Without the blocks that cropping cuts off; the first of those left to end the network has its RGB output."""
    cut = range(len(config.synthesis.widths), len(whole.synthesis.widths))
    prefixes = tuple(f"synthesis.blocks.{i}." for i in cut)
    return {key: value for key, value in tensors.items() if not prefixes or not key.startswith(prefixes)}


def _check_shape(path: Path, config: StyleGAN2Config, shape: Mapping[str, Any]) -> None:
    """Options that only random networks need may repeat what the file says, not contradict it."""
    for name, value in shape.items():
        if value is not None and value != config.shape.get(name, value):
            raise MineganError(f"{path} has {name}={config.shape[name]}, not {value}: leave the option out")
