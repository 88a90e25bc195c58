"""NVIDIA's StyleGAN2-ADA pickles, also those that StyleGAN3's code wrote. Imports this package, contracts, torch."""

from __future__ import annotations

import re

import torch
from torch import nn

from minegan_zoo.contracts import MineganError

from .networks import Networks
from .nvidia import Part, architecture_of, critic_config, critic_key, mapping_config
from .source import Sampling
from .stylegan2 import SynthesisConfig
from .stylegan2_config import StyleGAN2Config
from .tensors import renamed, shape_of, taps_of


def read(generator: Part, critic: Part | None) -> Networks:
    """G or G_ema, and D where it is StyleGAN2's."""
    tensors = generator.tensors()
    stored_mean = "mapping.w_avg" in tensors
    config = StyleGAN2Config(
        mapping_config(generator.child("mapping")),
        _synthesis_config(generator.child("synthesis")),
        None if critic is None else critic_config(critic),
        stored_mean,
    )
    if not stored_mean:
        tensors["mapping.w_avg"] = torch.zeros(config.mapping.widths[-1])
    with torch.device("meta"):
        blank = config.network(Sampling())
    found = renamed(blank, tensors, _key, ignored=r".+\.resample_filter", whose=generator.path)
    own, scores = blank.own_critic(), None
    if critic is not None and own is not None and isinstance(own, nn.Module):
        scores = renamed(own, critic.tensors(), critic_key, ignored=r".+\.resample_filter", whose=critic.path)
    return Networks(config, found, scores)


def _synthesis_config(part: Part) -> SynthesisConfig:
    tensors = part.tensors()
    count = part.fact("img_resolution", int).bit_length() - 2
    names = [f"b{4 << i}" for i in range(count)]
    if not names or sorted(names) != sorted(part.children()):
        raise MineganError(f"{part.path} has {sorted(part.children())} where blocks {names} were expected")
    last, conv = part.child(names[-1]), part.child(names[-1]).child("conv1")
    return SynthesisConfig(
        channels=shape_of(tensors, f"{names[-1]}.torgb.weight", 4, part.path)[0],
        widths=tuple(shape_of(tensors, f"{name}.conv1.weight", 4, part.path)[0] for name in names),
        w_dim=part.fact("w_dim", int),
        architecture=architecture_of(last),
        filter_taps=taps_of(
            {f"{name}.resample_filter": tensors[f"{name}.resample_filter"] for name in names}, 1.0, part.path
        ),
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
