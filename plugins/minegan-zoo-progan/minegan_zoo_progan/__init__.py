"""ProGAN for minegan_zoo: registers the family, its tiny test network and its pretrained weights.

Light: imports contracts only, builders import torch when they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from minegan_zoo.contracts import API, GeneratorEntry, ImageSpec, LatentSpace, MineganError, hookimpl

from . import bundled
from .cards import LATENTS, PRETRAINED

if TYPE_CHECKING:
    from pathlib import Path

    from .generator import ProGAN

MINEGAN_ZOO_API = API


def build(
    weights: Path | None,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    num_classes: int | None = None,
    z_dim: int | None = None,
    channel_base: int | None = None,
    channel_max: int | None = None,
    alpha: float | None = None,
    leak: float | None = None,
    equalized: bool | None = None,
    tanh: bool | None = None,
    ema: bool = True,
) -> ProGAN:
    """ProGAN: pytorch_GAN_zoo's PGAN and rosinality's checkpoints, source folders, or random without weights.

    `resolution` crops the weights' pyramid, `alpha` sets the fade (share of the highest resolution), `leak`,
    `equalized` (learning rate) and `tanh` (after the last RGB layer) override what the file says or the reference's
    default, and `ema=False` takes the raw weights instead of the averaged ones. The other options are for random
    weights: `resolution` (default 128), `channels` (3), `num_classes` (0), `z_dim` (512), min(`channel_max`,
    `channel_base` / r) features at resolution r (512, 16384). A random network has only the RGB layers in use.
    """
    from . import building

    sizes = {
        "channels": channels,
        "num_classes": num_classes,
        "z_dim": z_dim,
        "channel_base": channel_base,
        "channel_max": channel_max,
    }
    if weights is not None:
        given = [name for name, value in sizes.items() if value is not None]
        if given:
            raise MineganError(f"progan: {', '.join(given)} come from {weights}; give them only without weights")
        source = building.from_weights(weights, ema)
        plan = source.full_plan().changed(resolution, alpha, leak, equalized, tanh)
        return source if plan == source.full_plan() else building.replanned(source, plan)
    plan = building.random_plan(
        resolution=128 if resolution is None else resolution,
        channels=3 if channels is None else channels,
        num_classes=0 if num_classes is None else num_classes,
        z_dim=512 if z_dim is None else z_dim,
        channel_base=16384 if channel_base is None else channel_base,
        channel_max=512 if channel_max is None else channel_max,
        alpha=1.0 if alpha is None else alpha,
    )
    return building.from_plan(plan.changed(leak=leak, equalized=equalized, tanh=tanh))


def build_tiny(weights: Path | None) -> ProGAN:
    """A small network for tests, random unless `weights` are given: 16x16 RGB, 32 latent dimensions."""
    if weights is not None:
        return build(weights)
    return build(None, resolution=16, channels=3, z_dim=32, channel_base=512, channel_max=32)


@hookimpl
def register_generators(register: Callable[[GeneratorEntry], None]) -> None:
    register(GeneratorEntry("progan", build))
    latents = {"z": LatentSpace((32,), "sphere")}
    register(GeneratorEntry("progan.tiny", build_tiny, image=ImageSpec(3, 16), latents=latents))
    for tag, (image, card) in PRETRAINED.items():
        register(GeneratorEntry(f"progan.{tag}", build, image=image, latents=LATENTS, card=card))
    register(GeneratorEntry("progan.fashion-tops-32", build, bundled.IMAGE, bundled.LATENTS, bundled.TOPS))
