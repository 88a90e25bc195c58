"""StyleGAN, StyleGAN2 and StyleGAN3 for minegan_zoo. Imports contracts only; builders import torch when called."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from minegan_zoo.contracts import API, GeneratorEntry, ImageSpec, LatentSpace, hookimpl

if TYPE_CHECKING:
    from minegan_zoo.contracts import GeneratorSource, Weights

MINEGAN_ZOO_API = API


def build_stylegan2(
    weights: Weights,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    num_classes: int | None = None,
    z_dim: int | None = None,
    w_dim: int | None = None,
    mapping_layers: int | None = None,
    channel_base: int | None = None,
    channel_max: int | None = None,
    architecture: Literal["orig", "skip", "resnet"] | None = None,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
    noise: Literal["const", "random", "none"] = "const",
    ema: bool = True,
) -> GeneratorSource:
    """StyleGAN2 (arXiv 1912.04958, 2006.06676) from a file or folder, or random where `weights` is None.

    With weights, `resolution` crops and the options down to `architecture` may only repeat what the file says. Without
    them they set the network, by default 256x256 RGB, unconditional, z and w of 512, 8 mapping layers,
    min(32768 / size, 512) channels, "skip". `ema=False` takes a file's raw weights instead of the averaged ones.
    """
    from .source import Sampling
    from .stylegan2_source import load_source, random_config, random_source

    sampling = Sampling(truncation, truncation_cutoff, noise)
    if weights is None:
        config = random_config(
            resolution=resolution or 256,
            channels=channels or 3,
            num_classes=num_classes or 0,
            z_dim=z_dim or 512,
            w_dim=w_dim or 512,
            mapping_layers=mapping_layers or 8,
            channel_base=channel_base or 32768,
            channel_max=channel_max or 512,
            architecture=architecture or "skip",
        )
        return random_source(config, sampling)
    shape = {
        "channels": channels,
        "num_classes": num_classes,
        "z_dim": z_dim,
        "w_dim": w_dim,
        "mapping_layers": mapping_layers,
        "architecture": architecture,
    }
    return load_source(weights, sampling, resolution=resolution, shape=shape)


def build_stylegan2_tiny(
    weights: Weights,
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


def _latents(z_dim: int, num_ws: int, noise_sizes: tuple[int, ...]) -> dict[str, LatentSpace]:
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
    register(GeneratorEntry("stylegan2", build_stylegan2))
    register(
        GeneratorEntry(
            "stylegan2.tiny",
            build_stylegan2_tiny,
            image=ImageSpec(3, 16),
            latents=_latents(32, 6, (4, 8, 8, 16, 16)),
        )
    )
