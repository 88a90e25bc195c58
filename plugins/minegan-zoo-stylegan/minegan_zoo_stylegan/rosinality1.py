"""rosinality/style-based-gan-pytorch's generator and discriminator. Imports this package, contracts and torch.

The files are `{g_running, generator, discriminator}` or a bare `g_running`. They always hold all nine sizes and neither
the current one nor its fade. Ignored by rule: the blur's kernels, which the configuration holds, and their
`weight_flip`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from minegan_zoo.contracts import MineganError

from .critic1 import Critic1Config
from .networks import Networks, blank_of
from .stylegan1 import Synthesis1Config, fixed_noise
from .stylegan1_config import StyleGAN1Config, mapping_config
from .tensors import counted, renamed, shape_of, taps_of


def read(generator: Mapping[str, Tensor], critic: Mapping[str, Tensor] | None, whose: str) -> Networks:
    """State dicts as the file has them; all sizes stay, to be cropped."""
    count = counted(generator, r"style\.(\d+)\.linear\.weight_orig", whose)
    shapes = [shape_of(generator, f"style.{2 * i + 1}.linear.weight_orig", 2, whose) for i in range(count)]
    mapping = mapping_config(shapes[0][1], tuple(shape[0] for shape in shapes))
    blurs = _generator_blurs(generator, whose)
    synthesis = _synthesis_config(generator, mapping.widths[-1], blurs, whose)
    scorer = None if critic is None else _critic_config(critic, f"{whose}, discriminator")
    config = StyleGAN1Config(mapping, synthesis, scorer)
    blank = blank_of(config, whose)

    # the fused layout is that of a transposed convolution
    fused = re.compile(r"generator\.progression\.\d+\.conv1\.0\.weight")
    tensors = {k: v.transpose(0, 1).flip(2, 3) if fused.fullmatch(k) else v for k, v in generator.items()}
    tensors |= {f"noise.{i}": noise for i, noise in enumerate(fixed_noise(len(synthesis.widths)))}
    tensors["mean"] = torch.zeros(mapping.widths[-1])
    found = renamed(blank, tensors, _generator_key(synthesis), ignored=_with_flipped(blurs), whose=whose)

    own, scores = blank.own_critic(), None
    if critic is not None and scorer is not None and isinstance(own, nn.Module):
        ignored = _with_flipped(_critic_blurs(critic, whose))
        key_of = _critic_key(critic, len(scorer.widths) - 1)
        scores = renamed(own, critic, key_of, ignored=ignored, whose=f"{whose}, discriminator")
    return Networks(config, found, scores)


def _generator_blurs(tensors: Mapping[str, Tensor], whose: str) -> list[str]:
    count = counted(tensors, r"generator\.progression\.(\d+)\..+", whose)
    starts = [f"generator.progression.{i}.conv1" for i in range(1, count)]
    return [f"{start}.{1 if f'{start}.0.weight' in tensors else 2}.weight" for start in starts]


def _critic_blurs(tensors: Mapping[str, Tensor], whose: str) -> list[str]:
    return [f"progression.{i}.conv2.0.weight" for i in range(counted(tensors, r"from_rgb\.(\d+)\..+", whose) - 1)]


def _with_flipped(blurs: Sequence[str]) -> str:
    return "|".join(re.escape(f"{blur}{end}") for blur in blurs for end in ("", "_flip"))


def _taps(tensors: Mapping[str, Tensor], blurs: Sequence[str], whose: str) -> tuple[float, ...]:
    kernels = {}
    for blur in blurs:
        shape_of(tensors, blur, 4, whose)
        first = tensors[blur][:1]
        if not torch.equal(tensors[blur], first.expand_as(tensors[blur])):
            raise MineganError(f"{whose}: {blur} filters channels differently; such networks are not supported")
        kernels[blur] = first[0, 0].flip(0, 1)  # the reference correlates
    return taps_of(kernels, 1.0, whose)


def _synthesis_config(tensors: Mapping[str, Tensor], w_dim: int, blurs: Sequence[str], whose: str) -> Synthesis1Config:
    count = len(blurs) + 1
    rgb = [shape_of(tensors, f"generator.to_rgb.{i}.conv.weight_orig", 4, whose) for i in range(count)]
    return Synthesis1Config(
        channels=rgb[0][0],
        widths=tuple(shape[1] for shape in rgb),
        w_dim=w_dim,
        fused=(False, *(blur.endswith(".1.weight") for blur in blurs)),
        rgb_layers=count,
        filter_taps=_taps(tensors, blurs, whose),
    )


def _critic_config(tensors: Mapping[str, Tensor], whose: str) -> Critic1Config:
    blurs = _critic_blurs(tensors, whose)
    activate = "from_rgb.0.0.conv.weight_orig" in tensors
    key = f"from_rgb.{{}}.{'0.' if activate else ''}conv.weight_orig"
    rgb = [shape_of(tensors, key.format(i), 4, whose) for i in reversed(range(len(blurs) + 1))]
    return Critic1Config(
        channels=rgb[0][1],
        widths=tuple(shape[0] for shape in rgb),
        head=shape_of(tensors, f"progression.{len(blurs)}.conv1.0.conv.weight_orig", 4, whose)[0],
        activate=activate,
        rgb_layers=len(rgb),
        filter_taps=_taps(tensors, blurs, whose),
    )


def _generator_key(config: Synthesis1Config) -> Callable[[str], str]:
    ends = {"weight": "weight_orig", "bias": "bias"}

    def key_of(name: str) -> str:
        if name == "w_mean":
            return "mean"
        parts = name.split(".")
        end = parts[-1]
        if parts[0] == "mapping":
            return f"style.{2 * int(parts[2]) + 1}.linear.{ends[end]}"
        block, layer = int(parts[2]), parts[3]
        start = f"generator.progression.{block}"
        if layer == "noise_const":
            return f"noise.{block}"
        if layer == "const":
            return f"{start}.conv1.input"
        if layer == "up":
            return f"{start}.conv1.0.{end}" if config.fused[block] else f"{start}.conv1.1.conv.{ends[end]}"
        if layer == "conv":
            return f"{start}.conv2.conv.{ends[end]}"
        if layer == "torgb":
            return f"generator.to_rgb.{block}.conv.{ends[end]}"
        which = int(layer.removeprefix("style")) + 1
        if end == "noise_weight":
            return f"{start}.noise{which}.weight_orig"
        return f"{start}.adain{which}.style.linear.{ends[end]}"

    return key_of


def _critic_key(tensors: Mapping[str, Tensor], top: int) -> Callable[[str], str]:
    ends = {"weight": "weight_orig", "bias": "bias"}

    def key_of(name: str) -> str:
        parts = name.split(".")
        end = ends[parts[-1]]
        if parts[0] == "out":
            return f"linear.linear.{end}"
        block, layer = top - int(parts[1]), parts[2]
        if layer == "fromrgb":
            plain = f"from_rgb.{block}.conv.{end}"
            return plain if plain in tensors else f"from_rgb.{block}.0.conv.{end}"
        if layer == "conv0":
            return f"progression.{block}.conv1.0.conv.{end}"
        if f"progression.{block}.conv2.1.weight" in tensors:  # fused
            return f"progression.{block}.conv2.1.{parts[-1]}"
        unfused = f"progression.{block}.conv2.1.conv.{end}"
        return unfused if unfused in tensors else f"progression.{block}.conv2.0.conv.{end}"

    return key_of
