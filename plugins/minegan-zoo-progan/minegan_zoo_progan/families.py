"""Tells which other family a checkpoint belongs to, so that a wrong file is answered with the right name.

Imports weights only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minegan_zoo.weights import Record

MARKS = {
    "an NVIDIA StyleGAN3 .pkl (family stylegan3)": ("G_ema.synthesis.input",),
    "an NVIDIA StyleGAN2-ADA .pkl (family stylegan2)": ("G_ema.synthesis.b4", "torch_utils.persistence"),
    "a pytorch_GAN_zoo StyleGAN, which no family reads": ("netG.baseScale0", "netG.mapping.FC.0.module.weight"),
    "a pytorch_GAN_zoo DCGAN, which no family reads": ("netG.formatLayer.weight",),
    "a rosinality StyleGAN2 (family stylegan2)": ("g_ema", "latent_avg", "to_rgb1.conv.weight"),
    "a rosinality StyleGAN (family stylegan)": (
        "g_running",
        "generator.progression.0.conv1.input",
        "style.1.linear.bias",
    ),
    "a Hugging Face BigGAN-deep (family biggan-deep)": ("generator.gen_z.weight_orig",),
    "an ajbrock BigGAN-deep (family biggan-deep)": ("blocks.0.0.conv4.u0", "blocks.0.0.conv4.weight"),
    "an ajbrock BigGAN (family biggan)": ("blocks.0.0.conv1.u0", "blocks.0.0.conv1.weight"),
}
"""Family, in words -> names any one of which gives it away; the first family that fits is the one."""


def family_of(tree: Any) -> str | None:
    """Which other family a checkpoint looks like, in words; None where none is known."""
    names = set(_names(tree, depth=4))
    return next((family for family, marks in MARKS.items() if not names.isdisjoint(marks)), None)


def _names(tree: Any, depth: int, prefix: str = "") -> list[str]:
    """Dotted names of parts; of a record also its module."""
    if isinstance(tree, Record):
        children = tree.state.get("_modules") if isinstance(tree.state, Mapping) else None
        return [tree.module, *_names(children, depth, prefix)]
    if not isinstance(tree, Mapping) or depth == 0:
        return []
    found = []
    for key, value in tree.items():
        found += [f"{prefix}{key}", *_names(value, depth - 1, f"{prefix}{key}.")]
    return found
