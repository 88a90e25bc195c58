"""NVIDIA's StyleGAN2-ADA pickles, also those that StyleGAN3's code wrote. Imports this package, contracts, torch."""

from __future__ import annotations

import re

import torch
from torch import nn

from .networks import Networks, blank_of
from .nvidia import Part, architecture_of, block_names, block_taps, critic_config, critic_key, mapping_config
from .stylegan2 import SynthesisConfig
from .stylegan2_config import StyleGAN2Config
from .tensors import renamed, shape_of


def read(generator: Part, critic: Part | None) -> Networks:
    """G or G_ema, and D where it is StyleGAN2's."""
    tensors = generator.tensors()
    stored_mean = "mapping.w_avg" in tensors
    mapping = mapping_config(generator.child("mapping"))
    config = StyleGAN2Config(
        mapping,
        _synthesis_config(generator.child("synthesis"), mapping.widths[-1]),
        None if critic is None else critic_config(critic),
        stored_mean,
    )
    if not stored_mean:
        tensors["mapping.w_avg"] = torch.zeros(config.mapping.widths[-1])
    blank = blank_of(config, generator.path)
    found = renamed(blank, tensors, _key, ignored=r".+\.resample_filter", whose=generator.path)
    own, scores = blank.own_critic(), None
    if critic is not None and own is not None and isinstance(own, nn.Module):
        scores = renamed(own, critic.tensors(), critic_key, ignored=r".+\.resample_filter", whose=critic.path)
    return Networks(config, found, scores)


def _synthesis_config(part: Part, w_dim: int) -> SynthesisConfig:
    tensors, names = part.tensors(), block_names(part, 4, set())
    last = part.child(names[-1])
    conv, taps = last.child("conv1"), block_taps(tensors, names, part.path)
    return SynthesisConfig(
        channels=shape_of(tensors, f"{names[-1]}.torgb.weight", 4, part.path)[0],
        widths=tuple(shape_of(tensors, f"{name}.conv1.weight", 4, part.path)[0] for name in names),
        w_dim=w_dim,
        architecture=architecture_of(last),
        filter_taps=taps,
        rgb_filter_taps=taps,
        kernel=shape_of(tensors, f"{names[-1]}.conv1.weight", 4, part.path)[-1],
        activation=conv.fact("activation", str),
        clamp=conv.number_or_none("conv_clamp"),
        noise=conv.fact("use_noise", bool),
    )


def _key(name: str) -> str:
    if name == "w_mean":
        return "mapping.w_avg"
    name = name.replace("mapping.layers.", "mapping.fc")
    if match := re.fullmatch(r"synthesis\.blocks\.(\d+)\.(.+)", name):
        block = int(match[1])
        rest = re.sub(r"^convs\.(\d)", lambda conv: f"conv{conv[1] if block else 1}", match[2])
        return f"synthesis.b{4 << block}.{rest}"
    return name
