"""StyleGAN, StyleGAN2 and StyleGAN3 files of the published sizes, with random weights, named as their projects do.

What `load_cost.py` reads and loads. `narrow` divides all widths: small files of the same kind, to warm up with.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from checkpoint_files import Persistent, write_nvidia
from full_size_gans import Tensors
from minegan_zoo_stylegan.stylegan3_config import synthesis_config
from torch import Tensor, nn

STYLEGAN = (512, 512, 512, 512, 256, 128, 64, 32, 16)
FIRST_FUSED = 5  # from 128 pixels up
MAPPING = 8


def pyramid(resolution: int, base: int, most: int, narrow: int) -> list[int]:
    """Channels at 4, 8, 16, ... pixels."""
    return [max(2, min(base // (4 << i), most) // narrow) for i in range(resolution.bit_length() - 2)]


def filter_of(taps: tuple[float, ...], gain: float = 1.0) -> Tensor:
    line = torch.tensor(taps) / sum(taps)
    return torch.outer(line, line) * gain


class Rosinality(Tensors):
    """Layers of style-based-gan-pytorch, whose weights are `weight_orig`."""

    def equal(self, name: str, *shape: int) -> None:
        self.add(f"{name}.weight_orig", *shape)
        self.add(f"{name}.bias", shape[0])

    def blur(self, name: str, width: int) -> None:
        for end in ("weight", "weight_flip"):
            self[f"{name}.{end}"] = filter_of((1, 2, 1)).expand(width, 1, 3, 3).clone()


def stylegan(folder: Path, narrow: int = 1) -> Path:
    """rosinality's training state of a StyleGAN; it always has all sizes up to 1024."""
    widths = [max(2, width // narrow) for width in STYLEGAN]
    state = {name: _stylegan_generator(widths) for name in ("g_running", "generator")}
    d = Rosinality()
    for block, (narrower, wide) in enumerate(pairwise(reversed(widths))):
        name, fused = f"progression.{block}", len(widths) - 1 - block >= FIRST_FUSED
        d.equal(f"from_rgb.{block}.0.conv", narrower, 3, 1, 1)
        d.equal(f"{name}.conv1.0.conv", wide, narrower, 3, 3)
        d.blur(f"{name}.conv2.0", wide)
        if fused:
            d.layer(f"{name}.conv2.1", wide, wide, 3, 3)
        else:
            d.equal(f"{name}.conv2.1.conv", wide, wide, 3, 3)
    last, top = f"progression.{len(widths) - 1}", widths[0]
    d.equal(f"from_rgb.{len(widths) - 1}.0.conv", top, 3, 1, 1)
    d.equal(f"{last}.conv1.0.conv", top, top + 1, 3, 3)
    d.equal(f"{last}.conv2.0.conv", top, top, 4, 4)
    d.equal("linear.linear", 1, top)
    torch.save({**{k: dict(v) for k, v in state.items()}, "discriminator": dict(d)}, folder / "train_step-8.model")
    return folder / "train_step-8.model"


def _stylegan_generator(widths: list[int]) -> Rosinality:
    g, w = Rosinality(), widths[0]
    for index in range(MAPPING):
        g.equal(f"style.{2 * index + 1}.linear", w, w)
    for block, width in enumerate(widths):
        name = f"generator.progression.{block}"
        if block == 0:
            g.add(f"{name}.conv1.input", 1, width, 4, 4)
        elif block >= FIRST_FUSED:
            g.add(f"{name}.conv1.0.weight", widths[block - 1], width, 3, 3)
            g.add(f"{name}.conv1.0.bias", width)
            g.blur(f"{name}.conv1.1", width)
        else:
            g.equal(f"{name}.conv1.1.conv", width, widths[block - 1], 3, 3)
            g.blur(f"{name}.conv1.2", width)
        g.equal(f"{name}.conv2.conv", width, width, 3, 3)
        for which in (1, 2):
            g.add(f"{name}.noise{which}.weight_orig", 1, width, 1, 1)
            g.equal(f"{name}.adain{which}.style.linear", 2 * width, w)
        g.equal(f"generator.to_rgb.{block}.conv", 3, width, 1, 1)
    return g


def stylegan2(folder: Path, resolution: int, base: int, narrow: int = 1) -> Path:
    """rosinality's file of a StyleGAN2."""
    widths, w = pyramid(resolution, base, 512, narrow), 512 // narrow
    generators = {name: dict(_stylegan2_generator(widths, w)) for name in ("g", "g_ema")}
    d, top = Tensors(), len(widths) - 1
    d.add("convs.0.0.weight", widths[-1], 3, 1, 1)
    d.add("convs.0.1.bias", widths[-1])
    for place, (inputs, outputs) in enumerate(pairwise(reversed(widths)), start=1):
        d.add(f"convs.{place}.conv1.0.weight", inputs, inputs, 3, 3)
        d.add(f"convs.{place}.conv1.1.bias", inputs)
        d.add(f"convs.{place}.conv2.1.weight", outputs, inputs, 3, 3)
        d.add(f"convs.{place}.conv2.2.bias", outputs)
        d.add(f"convs.{place}.skip.1.weight", outputs, inputs, 1, 1)
        for part in ("conv2", "skip"):
            d[f"convs.{place}.{part}.0.kernel"] = filter_of((1, 3, 3, 1))
    assert place == top
    d.add("final_conv.0.weight", widths[0], widths[0] + 1, 3, 3)
    d.add("final_conv.1.bias", widths[0])
    d.layer("final_linear.0", widths[0], 16 * widths[0])
    d.layer("final_linear.1", 1, widths[0])
    torch.save({**generators, "d": dict(d), "latent_avg": torch.randn(w)}, folder / "stylegan2.pt")
    return folder / "stylegan2.pt"


def _stylegan2_generator(widths: list[int], w: int) -> Tensors:
    g = Tensors()
    for index in range(MAPPING):
        g.layer(f"style.{index + 1}", w, w)
    g.add("input.input", 1, widths[0], 4, 4)

    def styled(name: str, inputs: int, outputs: int) -> None:
        g.add(f"{name}.conv.weight", 1, outputs, inputs, 3, 3)
        g.layer(f"{name}.conv.modulation", inputs, w)
        g.add(f"{name}.noise.weight", 1)
        g.add(f"{name}.activate.bias", outputs)

    def rgb(name: str, inputs: int) -> None:
        g.add(f"{name}.conv.weight", 1, 3, inputs, 1, 1)
        g.layer(f"{name}.conv.modulation", inputs, w)
        g.add(f"{name}.bias", 1, 3, 1, 1)

    styled("conv1", widths[0], widths[0])
    rgb("to_rgb1", widths[0])
    g.add("noises.noise_0", 1, 1, 4, 4)
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        styled(f"convs.{2 * index}", inputs, outputs)
        styled(f"convs.{2 * index + 1}", outputs, outputs)
        rgb(f"to_rgbs.{index}", outputs)
        g[f"convs.{2 * index}.conv.blur.kernel"] = filter_of((1, 3, 3, 1), 4)
        g[f"to_rgbs.{index}.upsample.kernel"] = filter_of((1, 3, 3, 1), 4)
        for which in (1, 2):
            g.add(f"noises.noise_{2 * index + which}", 1, 1, 8 << index, 8 << index)
    return g


def module(
    name: str,
    shapes: Mapping[str, tuple[int, ...]],
    attributes: Mapping[str, Any] | None = None,
    children: Mapping[str, Persistent] | None = None,
    buffers: Mapping[str, Tensor] | None = None,
) -> Persistent:
    """One of NVIDIA's modules: parameters of these shapes, and what else it holds."""
    made = Persistent(name, attributes)
    for key, shape in shapes.items():
        made.register_parameter(key, nn.Parameter(torch.randn(shape)))
    for key, buffer in (buffers or {}).items():
        made.register_buffer(key, buffer)
    for key, child in (children or {}).items():
        made.add_module(key, child)
    return made


def linear(inputs: int, outputs: int, activation: str = "linear", lr: float = 1) -> Persistent:
    attributes = {"activation": activation, "bias_gain": lr, "weight_gain": lr / inputs**0.5}
    return module("FullyConnectedLayer", {"weight": (outputs, inputs), "bias": (outputs,)}, attributes)


def mapping(w: int, layers: int) -> Persistent:
    children = {f"fc{index}": linear(w, w, "lrelu", 0.01) for index in range(layers)}
    return module("MappingNetwork", {}, {"z_dim": w, "c_dim": 0, "w_dim": w}, children, {"w_avg": torch.randn(w)})


def discriminator(widths: list[int]) -> Persistent:
    filtered = {"resample_filter": filter_of((1, 3, 3, 1))}

    def conv(inputs: int, outputs: int, size: int, activation: str = "lrelu") -> Persistent:
        shapes: dict[str, tuple[int, ...]] = {"weight": (outputs, inputs, size, size)}
        if activation != "linear":
            shapes["bias"] = (outputs,)
        return module("Conv2dLayer", shapes, {"activation": activation, "conv_clamp": 256}, buffers=filtered)

    blocks = {}
    for index, (outputs, inputs) in enumerate(pairwise(widths)):
        children = {
            "conv0": conv(inputs, inputs, 3),
            "conv1": conv(inputs, outputs, 3),
            "skip": conv(inputs, outputs, 1, "linear"),
        }
        if index == len(widths) - 2:
            children = {"fromrgb": conv(3, inputs, 1), **children}
        attributes = {"architecture": "resnet"}
        blocks[f"b{8 << index}"] = module("DiscriminatorBlock", {}, attributes, children, filtered)
    top = widths[0]
    children = {
        "mbstd": module("MinibatchStdLayer", {}, {"group_size": 4, "num_channels": 1}),
        "conv": conv(top + 1, top, 3),
        "fc": linear(16 * top, top, "lrelu"),
        "out": linear(top, 1),
    }
    epilogue = module("DiscriminatorEpilogue", {}, {"architecture": "resnet"}, children)
    return module("Discriminator", {}, {}, dict(reversed(blocks.items())) | {"b4": epilogue})


def stylegan2_ada(folder: Path, resolution: int, base: int, narrow: int = 1) -> Path:
    """NVIDIA's training snapshot of a StyleGAN2."""
    widths, w = pyramid(resolution, base, 512, narrow), 512 // narrow
    filtered = {"resample_filter": filter_of((1, 3, 3, 1))}

    def conv(inputs: int, outputs: int, size: int) -> Persistent:
        shapes = {"weight": (outputs, inputs, 3, 3), "noise_strength": (), "bias": (outputs,)}
        attributes = {"activation": "lrelu", "conv_clamp": 256, "use_noise": True}
        buffers = filtered | {"noise_const": torch.randn(size, size)}
        return module("SynthesisLayer", shapes, attributes, {"affine": linear(w, inputs)}, buffers)

    def block(index: int) -> Persistent:
        width, size = widths[index], 4 << index
        children = {"conv0": conv(widths[index - 1], width, size)} if index else {}
        rgb = {"weight": (3, width, 1, 1), "bias": (3,)}
        children["conv1"] = conv(width, width, size)
        children["torgb"] = module("ToRGBLayer", rgb, {"conv_clamp": 256}, {"affine": linear(w, width)})
        const = {} if index else {"const": (width, 4, 4)}
        return module("SynthesisBlock", const, {"architecture": "skip"}, children, filtered)

    def generator() -> Persistent:
        blocks = {f"b{4 << index}": block(index) for index in range(len(widths))}
        synthesis = module("SynthesisNetwork", {}, {}, blocks)
        return module("Generator", {}, {}, {"synthesis": synthesis, "mapping": mapping(w, MAPPING)})

    path = folder / "network-snapshot-025000.pkl"
    write_nvidia(path, {"G": generator(), "D": discriminator(widths), "G_ema": generator()})
    return path


def stylegan3(folder: Path, resolution: int, variant: Literal["t", "r"], base: int, narrow: int = 1) -> Path:
    """NVIDIA's training snapshot of a StyleGAN3; cutoffs and filters are the plugin's own design of them."""
    w, wide = 512 // narrow, 2 if variant == "r" else 1
    config = synthesis_config(resolution, variant, 3, w, 14, base * wide // narrow, 512 * wide // narrow)

    def layer(index: int) -> Persistent:
        plan = config.layers[index]
        up, down = plan.up_filter, plan.down_filter
        filters = [kind for kind in (up, down) if kind]
        attributes = {
            "is_torgb": plan.rgb,
            "conv_clamp": 256,
            "up_factor": plan.up,
            "down_factor": plan.down,
            "tmp_sampling_rate": filters[0].rate if filters else resolution,
            "padding": [*plan.padding, *plan.padding],
            "out_size": np.array([plan.size] * 2),
            **({"in_cutoff": up.cutoff, "in_half_width": up.width / 2} if up else {}),
            **({"out_cutoff": down.cutoff, "out_half_width": down.width / 2} if down else {}),
        }
        shapes = {
            "weight": (plan.out_channels, plan.in_channels, plan.kernel, plan.kernel),
            "bias": (plan.out_channels,),
        }
        buffers = {"magnitude_ema": torch.ones(())}
        buffers |= {f"{side}_filter": kind.design() for side, kind in (("up", up), ("down", down)) if kind}
        return module("SynthesisLayer", shapes, attributes, {"affine": linear(w, plan.in_channels)}, buffers)

    def generator() -> Persistent:
        source, channels = config.input, config.input.channels
        attributes = {
            "size": np.array([source.size] * 2),
            "sampling_rate": source.rate,
            "bandwidth": source.bandwidth,
        }
        buffers = {"transform": torch.eye(3), "freqs": torch.randn(channels, 2), "phases": torch.rand(channels) - 0.5}
        shapes = {"weight": (channels, channels)}
        children = {"input": module("SynthesisInput", shapes, attributes, {"affine": linear(w, 4)}, buffers)}
        for index, plan in enumerate(config.layers):
            children[f"L{index}_{plan.size}_{plan.out_channels}"] = layer(index)
        synthesis = module("SynthesisNetwork", {}, {"output_scale": 0.25}, children)
        return module("Generator", {}, {}, {"synthesis": synthesis, "mapping": mapping(w, 2)})

    path = folder / "network-snapshot-025000.pkl"
    critic = discriminator(pyramid(resolution, base, 512, narrow))
    write_nvidia(path, {"G": generator(), "D": critic, "G_ema": generator()})
    return path
