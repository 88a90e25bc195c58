"""StyleGAN, StyleGAN2 and StyleGAN3 for minegan_zoo. Imports contracts only; builders import torch when called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from minegan_zoo.contracts import API, GeneratorEntry, GeneratorSource, ImageSpec, LatentSpace, hookimpl

from . import bundled

MINEGAN_ZOO_API = API


def build_stylegan(
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


def build_stylegan2(
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


def build_stylegan3(
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


def build_stylegan_tiny(
    weights: Path | None,
    *,
    alpha: float | None = None,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
    noise: Literal["const", "random", "none"] = "const",
) -> GeneratorSource:
    """A small random StyleGAN for tests: 16x16 RGB."""
    return build_stylegan(
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


def build_stylegan2_tiny(
    weights: Path | None,
    *,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
    noise: Literal["const", "random", "none"] = "const",
) -> GeneratorSource:
    """A small random StyleGAN2 for tests: 16x16 RGB."""
    return build_stylegan2(
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


def build_stylegan3_tiny(
    weights: Path | None,
    *,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
) -> GeneratorSource:
    """A small random StyleGAN3-T for tests: 16x16 RGB."""
    return build_stylegan3(
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


def _latents(z_dim: int, num_ws: int, noise_sizes: tuple[int, ...] = ()) -> dict[str, LatentSpace]:
    """The latent spaces of an unconditional network whose z and w have the same width."""
    return {
        "z": LatentSpace((z_dim,), "normal"),
        "w": LatentSpace((z_dim,), "mapped"),
        "w+": LatentSpace((num_ws, z_dim), "mapped"),
        **{f"noise.{k}": LatentSpace((1, size, size), "normal") for k, size in enumerate(noise_sizes)},
    }


@hookimpl
def register_generators(register: Callable[[GeneratorEntry], None]) -> None:
    """The families and their tiny test networks."""
    small = ImageSpec(3, 16)
    register(GeneratorEntry("stylegan", build_stylegan))
    register(GeneratorEntry("stylegan.tiny", build_stylegan_tiny, small, _latents(32, 3, (4, 8, 16))))
    register(GeneratorEntry("stylegan2", build_stylegan2))
    register(GeneratorEntry("stylegan2.tiny", build_stylegan2_tiny, small, _latents(32, 6, (4, 8, 8, 16, 16))))
    register(GeneratorEntry("stylegan3", build_stylegan3))
    register(GeneratorEntry("stylegan3.tiny", build_stylegan3_tiny, small, _latents(32, 7)))
    shoes = (bundled.IMAGE, bundled.LATENTS, bundled.SHOES)
    register(GeneratorEntry("stylegan2.fashion-shoes-32", build_stylegan2, *shoes))
