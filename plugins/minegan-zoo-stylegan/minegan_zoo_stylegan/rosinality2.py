"""rosinality/stylegan2-pytorch's generator and discriminator. Imports this package, contracts and torch.

The files are `{g_ema, g, d, latent_avg}` or part of it. What they do not hold: the mapping's learning rate multiplier
and the discriminator's group size, both constants of the reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .critic import CriticConfig
from .mapping import MappingConfig
from .networks import Networks, blank_of
from .stylegan2 import SynthesisConfig
from .stylegan2_config import StyleGAN2Config
from .tensors import counted, renamed, shape_of, taps_of

MAPPING_LR = 0.01


def read(
    generator: Mapping[str, Tensor],
    critic: Mapping[str, Tensor] | None,
    mean: Tensor | None,
    mapping_lr: float | None,
    whose: str,
) -> Networks:
    """State dicts as the file has them; `mean` is its latent_avg."""
    mapping = _mapping_config(generator, MAPPING_LR if mapping_lr is None else mapping_lr, whose)
    config = StyleGAN2Config(
        mapping,
        _synthesis_config(generator, mapping.widths[-1], whose),
        None if critic is None else _critic_config(critic, f"{whose}, d"),
        stored_mean=mean is not None,
    )
    blank = blank_of(config, whose)
    tensors = {**generator, "latent_avg": torch.zeros(mapping.widths[-1]) if mean is None else mean}
    filters = r"convs\.\d+\.conv\.blur\.kernel|to_rgbs\.\d+\.upsample\.kernel"
    found = renamed(blank, tensors, _generator_key, ignored=filters, whose=whose)
    scores = None
    own = blank.own_critic()
    if critic is not None and config.critic is not None and isinstance(own, nn.Module):
        filters = r"convs\.\d+\.(conv2|skip)\.0\.kernel"
        keys = {name: _critic_key(name, len(config.critic.widths) - 1) for name in own.state_dict()}
        scores = renamed(own, critic, keys.__getitem__, ignored=filters, whose=f"{whose}, d")
    return Networks(config, found, scores)


def _mapping_config(tensors: Mapping[str, Tensor], lr: float, whose: str) -> MappingConfig:
    count = counted(tensors, r"style\.(\d+)\.weight", whose)
    shapes = [shape_of(tensors, f"style.{i + 1}.weight", 2, whose) for i in range(count)]
    return MappingConfig(z_dim=shapes[0][1], widths=tuple(shape[0] for shape in shapes), lr=lr)


def _synthesis_config(tensors: Mapping[str, Tensor], w_dim: int, whose: str) -> SynthesisConfig:
    sizes = counted(tensors, r"to_rgbs\.(\d+)\.conv\.weight", whose)
    first = shape_of(tensors, "conv1.conv.weight", 5, whose)  # (1, out, in, k, k)
    widths = [shape_of(tensors, f"convs.{2 * i + 1}.conv.weight", 5, whose)[1] for i in range(sizes)]
    return SynthesisConfig(
        channels=shape_of(tensors, "to_rgb1.conv.weight", 5, whose)[1],
        widths=(first[1], *widths),
        w_dim=w_dim,
        filter_taps=_taps(tensors, ".blur.kernel", 4.0, whose),
        rgb_filter_taps=_taps(tensors, ".upsample.kernel", 4.0, whose),
        kernel=first[-1],
    )


def _taps(tensors: Mapping[str, Tensor], end: str, gain: float, whose: str) -> tuple[float, ...]:
    return taps_of({key: value for key, value in tensors.items() if key.endswith(end)}, gain, whose)


def _critic_config(tensors: Mapping[str, Tensor], whose: str) -> CriticConfig:
    sizes = counted(tensors, r"convs\.(\d+)\.conv1\.0\.weight", whose)
    widths = [shape_of(tensors, f"convs.{i + 1}.conv2.1.weight", 4, whose)[0] for i in range(sizes)]
    first = shape_of(tensors, "convs.0.0.weight", 4, whose)
    return CriticConfig(
        channels=first[1],
        widths=(*reversed(widths), first[0]),
        filter_taps=_taps(tensors, ".kernel", 1.0, whose),
        deviation_planes=shape_of(tensors, "final_conv.0.weight", 4, whose)[1] - widths[-1],
    )


_CONV = {
    "weight": "conv.weight",
    "bias": "activate.bias",
    "noise_strength": "noise.weight",
    "affine.weight": "conv.modulation.weight",
    "affine.bias": "conv.modulation.bias",
}


def _generator_key(name: str) -> str:
    if name == "w_mean":
        return "latent_avg"
    if match := re.fullmatch(r"mapping\.layers\.(\d+)\.(\w+)", name):
        return f"style.{int(match[1]) + 1}.{match[2]}"
    if match := re.fullmatch(r"synthesis\.blocks\.(\d+)\.torgb\.(.+)", name):
        layer = f"to_rgbs.{int(match[1]) - 1}" if int(match[1]) else "to_rgb1"
        return f"{layer}.{'bias' if match[2] == 'bias' else _CONV[match[2]]}"
    if match := re.fullmatch(r"synthesis\.blocks\.(\d+)\.convs\.(\d)\.(.+)", name):
        place = 2 * int(match[1]) - 1 + int(match[2]) if int(match[1]) else 0
        if match[3] == "noise_const":
            return f"noises.noise_{place}"
        return f"{f'convs.{place - 1}' if place else 'conv1'}.{_CONV[match[3]]}"
    return "input.input"


_HEAD = {
    "conv.weight": "final_conv.0.weight",
    "conv.bias": "final_conv.1.bias",
    "hidden.weight": "final_linear.0.weight",
    "hidden.bias": "final_linear.0.bias",
    "out.weight": "final_linear.1.weight",
    "out.bias": "final_linear.1.bias",
}
_BLOCK = {
    "conv0.weight": "conv1.0.weight",
    "conv0.bias": "conv1.1.bias",
    "conv1.weight": "conv2.1.weight",
    "conv1.bias": "conv2.2.bias",
    "skip.weight": "skip.1.weight",
}


def _critic_key(name: str, blocks: int) -> str:
    _, place, rest = name.split(".", 2)
    if name.startswith("head."):
        return _HEAD[name.removeprefix("head.")]
    if rest.startswith("fromrgb"):
        return "convs.0.0.weight" if rest.endswith("weight") else "convs.0.1.bias"
    return f"convs.{blocks - int(place)}.{_BLOCK[rest]}"
