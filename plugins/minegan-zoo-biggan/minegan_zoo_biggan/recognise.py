"""Which family a checkpoint looks like, for the error that a file of the wrong one gets. Imports `weights` only.

A heuristic over the names that each project's format is bound to hold; it need not be complete.
"""

from __future__ import annotations

from typing import Any

from minegan_zoo.weights import Record

# Top-level names of training states, then beginnings of tensor names; the first match counts.
STATES = {
    frozenset({"netG", "avgG"}): "progan (pytorch_GAN_zoo)",
    frozenset({"g_running", "generator"}): "stylegan (rosinality)",
    frozenset({"g_ema", "g"}): "stylegan2 (rosinality)",
    frozenset({"g_ema", "latent_avg"}): "stylegan2 (rosinality)",
}
TENSORS = {
    "generator.gen_z.": "biggan-deep (Hugging Face)",
    "blocks.0.0.conv4.": "biggan-deep (ajbrock)",
    "blocks.0.0.conv1.": "biggan (ajbrock)",
    "generator.progression.": "stylegan (rosinality)",
    "progression.": "progan or a discriminator of stylegan (rosinality)",
    "scaleLayers.": "progan (pytorch_GAN_zoo)",
    "convs.0.conv.modulation": "stylegan2 (rosinality)",
    "convs.0.": "a stylegan2 discriminator (rosinality)",
}


def looks_like(tree: Any) -> str:
    """A short description of what a checkpoint's tree seems to be."""
    if isinstance(tree, Record):
        return f"a pickled {tree.module}.{tree.name}" + (", perhaps progan (rosinality)" if "Gen" in tree.name else "")
    if not isinstance(tree, dict):
        return f"a {type(tree).__name__}"
    names = [name for name in tree if isinstance(name, str)]
    if isinstance(tree.get("G_ema"), Record):
        layers = tree["G_ema"].state.get("_modules", {}) if isinstance(tree["G_ema"].state, dict) else {}
        synthesis = layers.get("synthesis") if isinstance(layers, dict) else None
        inside = synthesis.state.get("_modules", {}) if isinstance(synthesis, Record) else {}
        return f"stylegan{3 if 'input' in inside else 2} (NVIDIA)"
    for needed, family in STATES.items():
        if needed <= set(names):
            return family
    for beginning, family in TENSORS.items():
        if any(name.startswith(beginning) for name in names):
            return family
    return f"a dict with {', '.join(map(repr, names[:4]))}" if names else "an empty file"
