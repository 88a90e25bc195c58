"""Which format and family a checkpoint's tree looks like. Imports weights only.

A heuristic over the names that each project's files are bound to hold, so that a wrong file is answered with the right
name; whether a file of the right family is complete, its reader tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from minegan_zoo.weights import Record


@dataclass(frozen=True)
class Likely:
    """`family` is empty where nothing here or in the sister plugins reads it."""

    family: str
    layout: Literal["nvidia", "rosinality", ""]
    words: str


# names on the first or second level -> what they give away; the first that is there counts
MARKS = {
    "generator.progression.0.conv1.input": Likely("stylegan", "rosinality", "a StyleGAN (rosinality)"),
    "conv1.conv.modulation.weight": Likely("stylegan2", "rosinality", "a StyleGAN2 (rosinality)"),
    "netG": Likely("progan", "", "a pytorch_GAN_zoo model, perhaps ProGAN"),
    "scaleLayers.0.0.module.weight": Likely("progan", "", "a ProGAN (pytorch_GAN_zoo)"),
    "progression.0.conv.0.conv.weight_orig": Likely("progan", "", "a ProGAN (rosinality)"),
    "generator.gen_z.weight_orig": Likely("biggan-deep", "", "a BigGAN-deep (Hugging Face)"),
    "blocks.0.0.conv4.weight": Likely("biggan-deep", "", "a BigGAN-deep (ajbrock)"),
    "blocks.0.0.conv1.weight": Likely("biggan", "", "a BigGAN (ajbrock)"),
    "convs.0.0.weight": Likely("", "", "a lone StyleGAN2 discriminator (rosinality)"),
}


def looks_like(tree: Any) -> Likely:
    generators = [tree] if isinstance(tree, Record) else _records(tree)
    for record in generators:
        synthesis = _children(_children(record).get("synthesis"))
        if "input" in synthesis:
            return Likely("stylegan3", "nvidia", "a StyleGAN3 (NVIDIA)")
        if "b4" in synthesis:
            return Likely("stylegan2", "nvidia", "a StyleGAN2 (NVIDIA)")
    if isinstance(tree, Record):
        family = "progan" if "progression" in _children(tree) else ""
        return Likely(family, "", f"a pickled {tree.module}.{tree.name}")
    names = set(tree) if isinstance(tree, dict) else set()
    for value in tree.values() if isinstance(tree, dict) else ():
        names |= set(value) if isinstance(value, dict) else set()
    for mark, likely in MARKS.items():
        if mark in names:
            return likely
    shown = ", ".join(map(repr, list(tree)[:4])) if isinstance(tree, dict) else type(tree).__name__
    return Likely("", "", f"no GAN known here (it holds {shown})")


def _records(tree: Any) -> list[Record]:
    named = [tree.get(name) for name in ("G_ema", "G")] if isinstance(tree, dict) else []
    return [value for value in named if isinstance(value, Record)]


def _children(record: Any) -> dict[str, Any]:
    state = record.state if isinstance(record, Record) and isinstance(record.state, dict) else {}
    children = state.get("_modules")
    return children if isinstance(children, dict) else {}
