"""NVIDIA's StyleGAN3 pickles, t and r. Imports this package, contracts and torch."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from minegan_zoo.contracts import MineganError

from .networks import Networks, blank_of
from .nvidia import Part, critic_config, critic_key, mapping_config
from .resample import FilterPlan
from .stylegan3 import InputPlan, LayerPlan, Synthesis3Config
from .stylegan3_config import StyleGAN3Config
from .tensors import renamed, shape_of


def read(generator: Part, critic: Part | None) -> Networks:
    """G or G_ema, and D where it is StyleGAN2's."""
    synthesis = generator.child("synthesis")
    layers = _layers(synthesis)
    tensors = generator.tensors()
    stored_mean = "mapping.w_avg" in tensors
    mapping = mapping_config(generator.child("mapping"))
    config = StyleGAN3Config(
        mapping,
        _synthesis_config(synthesis, layers, mapping.widths[-1]),
        None if critic is None else critic_config(critic),
        stored_mean,
    )
    if not stored_mean:
        tensors["mapping.w_avg"] = torch.zeros(config.mapping.widths[-1])
    blank = blank_of(config, generator.path)

    def key_of(name: str) -> str:
        if name == "w_mean":
            return "mapping.w_avg"
        name = name.replace("mapping.layers.", "mapping.fc")
        return re.sub(r"^synthesis\.layers\.(\d+)", lambda match: f"synthesis.{layers[int(match[1])]}", name)

    found = renamed(blank, tensors, key_of, ignored="", whose=generator.path)
    own, scores = blank.own_critic(), None
    if critic is not None and own is not None and isinstance(own, nn.Module):
        scores = renamed(own, critic.tensors(), critic_key, ignored=r".+\.resample_filter", whose=critic.path)
    return Networks(config, found, scores)


def _layers(part: Part) -> list[str]:
    """Names such as L3_52_512, in order."""
    found = {int(match[1]): name for name in part.children() if (match := re.fullmatch(r"L(\d+)_\d+_\d+", name))}
    if len(found) != len(part.children()) - 1 or sorted(found) != list(range(len(found))) or not found:
        raise MineganError(f"{part.path} has the parts {list(part.children())[:6]} ..., not input, L0_..., L1_..., ...")
    return [found[index] for index in range(len(found))]


def _synthesis_config(part: Part, layers: list[str], w_dim: int) -> Synthesis3Config:
    tensors, source = part.tensors(), part.child("input")
    plans = tuple(_layer_plan(part.child(name)) for name in layers)
    size = first = _side(source, "size")
    for name, plan in zip(layers, plans, strict=True):
        if plan.up < 1 or plan.down < 1 or plan.output_size(size) != plan.size:
            raise MineganError(f"{part.path}.{name} cannot turn {size} pixels into {plan.size}: the file is damaged")
        size = plan.size
    return Synthesis3Config(
        channels=plans[-1].out_channels,
        resolution=plans[-1].size,
        w_dim=w_dim,
        input=InputPlan(
            channels=shape_of(tensors, "input.weight", 2, part.path)[0],
            size=first,
            rate=source.fact("sampling_rate", float),
            bandwidth=source.fact("bandwidth", float),
        ),
        layers=plans,
        output_scale=part.fact("output_scale", float),
    )


def _layer_plan(part: Part) -> LayerPlan:
    tensors = part.tensors()
    shape = shape_of(tensors, "weight", 4, part.path)
    padding = part.fact("padding", list)
    if len(padding) != 4 or not all(type(value) is int for value in padding) or padding[:2] != padding[2:]:
        raise MineganError(f"{part.path} pads by {padding!r:.80}; only square images are supported")

    def plan(kind: str, side: str) -> FilterPlan | None:
        taps = tensors.get(f"{kind}_filter")
        if taps is None:
            return None
        if taps.ndim not in (1, 2) or len(set(taps.shape)) > 1:
            raise MineganError(f"{part.path}: {kind}_filter has the shape {tuple(taps.shape)}; it is damaged")
        return FilterPlan(
            taps=len(taps),
            cutoff=part.fact(f"{side}_cutoff", float),
            width=2 * part.fact(f"{side}_half_width", float),
            rate=part.fact("tmp_sampling_rate", float),
            radial=taps.ndim == 2,
        )

    return LayerPlan(
        in_channels=shape[1],
        out_channels=shape[0],
        size=_side(part, "out_size"),
        kernel=shape[-1],
        up=part.fact("up_factor", int),
        down=part.fact("down_factor", int),
        up_filter=plan("up", "in"),
        down_filter=plan("down", "out"),
        padding=(padding[0], padding[1]),
        rgb=part.fact("is_torgb", bool),
        clamp=part.number_or_none("conv_clamp"),
    )


def _side(part: Part, name: str) -> int:
    """A size that the file holds as [width, height]."""
    value: Any = part.fact(name, torch.Tensor)
    if value.numel() != 2 or value.flatten()[0] != value.flatten()[1]:
        raise MineganError(f"{part.path} has {name}={value.flatten()[:4].tolist()}; only square images are supported")
    return int(value.flatten()[0])
