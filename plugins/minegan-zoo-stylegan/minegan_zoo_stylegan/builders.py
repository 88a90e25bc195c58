"""Builders of all entries: what options there are and what they mean. Light; torch is imported when one is called."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from minegan_zoo.contracts import GeneratorSource, MineganError


def stylegan(
    weights: Path | None,
    *,
    resolution: int | None = None,
    alpha: float | None = None,
    channels: int | None = None,
    z_dim: int | None = None,
    mapping_layers: int | None = None,
    channel_base: int | None = None,
    channel_max: int | None = None,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
    noise: Literal["const", "random", "none"] = "const",
    ema: bool = True,
) -> GeneratorSource:
    """StyleGAN (arXiv 1812.04948): rosinality's style-based-gan files, source folders, or random without weights.

    `resolution` (by default the highest) crops the pyramid; `alpha` is that size's share in a fade (1.0). The options
    from `channels` to `mapping_layers` may only repeat what a file says; a random network has by default 128x128 RGB, z
    and w of 512, 8 mapping layers, min(16384 / size, 512) channels. `ema=False` takes the raw weights.
    """
    from .networks import random_source
    from .reading import read
    from .source import Sampling
    from .stylegan1_config import StyleGAN1Config, random_config

    sampling = Sampling(truncation, truncation_cutoff, noise)
    if weights is None:
        config = random_config(
            resolution=resolution or 128,
            channels=channels or 3,
            z_dim=z_dim or 512,
            mapping_layers=mapping_layers or 8,
            channel_base=channel_base or 16384,
            channel_max=channel_max or 512,
            alpha=1.0 if alpha is None else alpha,
        )
        return random_source(config, sampling)
    networks = read(weights, StyleGAN1Config, ema=ema, mapping_lr=None).cropped(resolution, alpha, str(weights))
    shape = {"channels": channels, "z_dim": z_dim, "mapping_layers": mapping_layers}
    networks.check(shape, str(weights))
    return networks.source(sampling, str(weights))


def stylegan2(
    weights: Path | None,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    num_classes: int | None = None,
    z_dim: int | None = None,
    w_dim: int | None = None,
    mapping_layers: int | None = None,
    mapping_lr: float | None = None,
    channel_base: int | None = None,
    channel_max: int | None = None,
    architecture: Literal["orig", "skip", "resnet"] | None = None,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
    noise: Literal["const", "random", "none"] = "const",
    ema: bool = True,
) -> GeneratorSource:
    """StyleGAN2 (arXiv 1912.04958): rosinality's .pt, NVIDIA's ADA .pkl, source folders, or random without weights.

    `resolution` crops a "skip" network. The options from `channels` to `architecture` may only repeat what a file says,
    but for `mapping_lr`, which rosinality's leave open (0.01); a random network has by default 256x256 RGB, no classes,
    z and w of 512, 8 mapping layers, min(32768 / size, 512) channels, "skip". `ema=False` takes the raw weights.
    """
    from .networks import random_source
    from .reading import read
    from .source import Sampling
    from .stylegan2_config import StyleGAN2Config, random_config

    sampling = Sampling(truncation, truncation_cutoff, noise)
    if weights is None:
        config = random_config(
            resolution=resolution or 256,
            channels=channels or 3,
            num_classes=num_classes or 0,
            z_dim=z_dim or 512,
            w_dim=w_dim or 512,
            mapping_layers=mapping_layers or 8,
            mapping_lr=mapping_lr or 0.01,
            channel_base=channel_base or 32768,
            channel_max=channel_max or 512,
            architecture=architecture or "skip",
        )
        return random_source(config, sampling)
    networks = read(weights, StyleGAN2Config, ema=ema, mapping_lr=mapping_lr).cropped(resolution, None, str(weights))
    shape = {
        "channels": channels,
        "num_classes": num_classes,
        "z_dim": z_dim,
        "w_dim": w_dim,
        "mapping_layers": mapping_layers,
        "mapping_lr": mapping_lr,
        "architecture": architecture,
    }
    networks.check(shape, str(weights))
    return networks.source(sampling, str(weights))


def stylegan3(
    weights: Path | None,
    *,
    resolution: int | None = None,
    variant: Literal["t", "r"] | None = None,
    channels: int | None = None,
    num_classes: int | None = None,
    z_dim: int | None = None,
    w_dim: int | None = None,
    mapping_layers: int | None = None,
    num_layers: int | None = None,
    channel_base: int | None = None,
    channel_max: int | None = None,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
    ema: bool = True,
) -> GeneratorSource:
    """StyleGAN3 (arXiv 2106.12423): NVIDIA's .pkl, t and r, source folders, or random without weights.

    The options up to `num_layers` may only repeat what a file says; a random network has by default 256x256 RGB,
    variant "t", no classes, z and w of 512, 2 mapping layers, 14 layers of up to 512 channels (r: 1024). `ema=False`
    takes the raw weights.
    """
    from .networks import random_source
    from .reading import read
    from .source import Sampling
    from .stylegan3_config import StyleGAN3Config, random_config

    sampling = Sampling(truncation, truncation_cutoff)
    if weights is None:
        wide = 2 if variant == "r" else 1
        config = random_config(
            resolution=resolution or 256,
            variant=variant or "t",
            channels=channels or 3,
            num_classes=num_classes or 0,
            z_dim=z_dim or 512,
            w_dim=w_dim or 512,
            mapping_layers=mapping_layers or 2,
            num_layers=num_layers or 14,
            channel_base=channel_base or 32768 * wide,
            channel_max=channel_max or 512 * wide,
        )
        return random_source(config, sampling)
    networks = read(weights, StyleGAN3Config, ema=ema, mapping_lr=None).cropped(resolution, None, str(weights))
    shape = {
        "variant": variant,
        "channels": channels,
        "num_classes": num_classes,
        "z_dim": z_dim,
        "w_dim": w_dim,
        "mapping_layers": mapping_layers,
        "num_layers": num_layers,
    }
    networks.check(shape, str(weights))
    return networks.source(sampling, str(weights))


def tiny(
    weights: Path | None,
    *,
    alpha: float | None = None,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
    noise: Literal["const", "random", "none"] = "const",
) -> GeneratorSource:
    """A small random StyleGAN for tests: 16x16 RGB."""
    return stylegan(
        weights,
        resolution=16,
        alpha=alpha,
        z_dim=32,
        mapping_layers=2,
        channel_base=512,
        channel_max=32,
        truncation=truncation,
        truncation_cutoff=truncation_cutoff,
        noise=noise,
    )


def tiny2(
    weights: Path | None,
    *,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
    noise: Literal["const", "random", "none"] = "const",
) -> GeneratorSource:
    """A small random StyleGAN2 for tests: 16x16 RGB."""
    return stylegan2(
        weights,
        resolution=16,
        z_dim=32,
        w_dim=32,
        mapping_layers=2,
        channel_base=512,
        channel_max=32,
        truncation=truncation,
        truncation_cutoff=truncation_cutoff,
        noise=noise,
    )


def tiny3(
    weights: Path | None,
    *,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
) -> GeneratorSource:
    """A small random StyleGAN3-T for tests: 16x16 RGB."""
    return stylegan3(
        weights,
        resolution=16,
        z_dim=32,
        w_dim=32,
        num_layers=5,
        channel_base=128,
        channel_max=16,
        truncation=truncation,
        truncation_cutoff=truncation_cutoff,
    )


def published(
    weights: Path | None,
    *,
    resolution: int | None = None,
    truncation: float = 1.0,
    noise: Literal["const", "random", "none"] = "const",
    ema: bool = True,
) -> GeneratorSource:
    """A StyleGAN with a card; its file does not say up to which `resolution` it was trained, so the entry does."""
    return stylegan(_fetched(weights), resolution=resolution, truncation=truncation, noise=noise, ema=ema)


def published2(
    weights: Path | None,
    *,
    resolution: int | None = None,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
    noise: Literal["const", "random", "none"] = "const",
    ema: bool = True,
) -> GeneratorSource:
    """A StyleGAN2 with a card."""
    return stylegan2(
        _fetched(weights),
        resolution=resolution,
        truncation=truncation,
        truncation_cutoff=truncation_cutoff,
        noise=noise,
        ema=ema,
    )


def published3(
    weights: Path | None,
    *,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
    ema: bool = True,
) -> GeneratorSource:
    """A StyleGAN3 with a card."""
    return stylegan3(_fetched(weights), truncation=truncation, truncation_cutoff=truncation_cutoff, ema=ema)


def _fetched(weights: Path | None) -> Path:
    if weights is None:
        raise MineganError(
            "these weights cannot be fetched by program: download them by hand, as `minegan-zoo info NAME` says, and "
            "give the file: NAME=FILE, in Python load_source(NAME, FILE)"
        )
    return weights
