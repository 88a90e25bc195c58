"""Reads rosinality/progressive-gan-pytorch: a whole pickled `model.Generator`, or plain state dicts of either network.

Nothing is known but the tensors: all resolutions have RGB layers, step and fade are not stored. Of a pickled module
only parameters and buffers count; the `weight` that its hooks compute from `weight_orig` is ignored. Imports contracts,
weights and this package's architecture and tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from einops import rearrange
from torch import Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import Record, module_tensors

from .architecture import CriticPlan, GeneratorPlan, ProGANPlan
from .tensors import Checkpoint, FileTensors, layer

START = "progression.0.conv.0.conv.weight_orig"


def unwrapped(tree: Any) -> Any:
    """A pickled module itself, where it was saved inside a DataParallel."""
    children = _children(tree)
    return children["module"] if set(children) == {"module"} else tree


def recognises(tree: Any) -> bool:
    """Whether `read` is meant for this tree (which may still be damaged)."""
    if isinstance(tree, Record):
        return {"label_embed", "progression", "to_rgb"} <= set(_children(tree))
    return isinstance(tree, Mapping) and any(str(key).endswith(START) for key in tree)


def read(tree: Any, critic_tree: Any, whose: str, critic_whose: str) -> Checkpoint:
    """`critic_tree`: the discriminator's state dict, None where there is none."""
    file = _state_dict(tree, whose)
    if "linear.weight" in file.tensors:
        raise MineganError(f"{whose} is a discriminator; give the folder that also holds its generator")
    generator, tensors = _generator(file)
    if critic_tree is None:
        return Checkpoint(ProGANPlan(generator, None), tensors, None)
    critic, critic_tensors = _critic(_state_dict(critic_tree, critic_whose), generator)
    return Checkpoint(ProGANPlan(generator, critic), tensors, critic_tensors)


def _children(tree: Any) -> Mapping[str, Any]:
    state = tree.state if isinstance(tree, Record) else None
    children = state.get("_modules") if isinstance(state, Mapping) else None
    return children if isinstance(children, Mapping) else {}


def _state_dict(tree: Any, whose: str) -> FileTensors:
    try:
        file = FileTensors(module_tensors(tree) if isinstance(tree, Record) else tree, whose)
    except MineganError as error:
        raise error if str(error).startswith(whose) else MineganError(f"{whose}: {error}") from error
    return file.without("module.") if all(name.startswith("module.") for name in file.tensors) else file


def _generator(file: FileTensors) -> tuple[GeneratorPlan, dict[str, Tensor]]:
    inputs = file.shape(START, 4)[1]
    num_classes, class_dim = file.shape("label_embed.weight", 2)
    names = {"label_embed.weight": "embedding.weight"}
    widths = []
    for level in range(file.count("progression.{}.conv.0.conv.weight_orig")):
        resolution = 4 << level
        first, second = ("dense", "conv") if level == 0 else ("conv0", "conv1")
        names |= _conv(f"progression.{level}.conv.0", f"blocks.{resolution}.{first}")
        names |= _conv(f"progression.{level}.conv.3", f"blocks.{resolution}.{second}")
        names |= layer(f"to_rgb.{level}", f"to_rgb.{resolution}")
        widths.append(file.shape(f"progression.{level}.conv.0.conv.weight_orig", 4)[0])
    tensors = file.renamed(names)
    # a 4x4 convolution on a padded 1x1 input: output pixel (y, x) sees the kernel at (3 - y, 3 - x)
    flipped = tensors["blocks.4.dense.weight"].flip(2, 3)
    tensors["blocks.4.dense.weight"] = rearrange(flipped, "o i h w -> (o h w) i")
    plan = GeneratorPlan(
        widths=tuple(widths),
        channels=file.shape("to_rgb.0.weight", 4)[0],
        dialect="rosinality",
        rgb_layers=len(widths),
        z_dim=inputs - class_dim,
        attributes=(num_classes,),
        class_dim=class_dim,
    )
    return plan, tensors


def _critic(file: FileTensors, generator: GeneratorPlan) -> tuple[CriticPlan, dict[str, Tensor]]:
    levels = file.count("progression.{}.conv.0.conv.weight_orig")
    heads = file.shape("linear.weight", 2)[0]
    if heads != 1 + generator.num_classes or levels != len(generator.widths):
        raise MineganError(
            f"{file.whose} has {heads - 1} class logits and {levels} resolutions; "
            f"its generator has {generator.num_classes} classes and {len(generator.widths)} resolutions"
        )
    file.shape(f"progression.{levels - 1}.conv.2.conv.weight_orig", 4)
    names = layer("linear", "head")
    widths = []
    for level in range(levels):
        number, resolution = levels - 1 - level, 4 << level
        first, second = ("conv", "dense") if level == 0 else ("conv0", "conv1")
        names |= _conv(f"progression.{number}.conv.0", f"blocks.{resolution}.{first}")
        names |= _conv(f"progression.{number}.conv.2", f"blocks.{resolution}.{second}")
        names |= layer(f"from_rgb.{number}", f"from_rgb.{resolution}")
        widths.append(file.shape(f"from_rgb.{number}.weight", 4)[0])
    tensors = file.renamed(names)
    tensors["blocks.4.dense.weight"] = rearrange(tensors["blocks.4.dense.weight"], "o i h w -> o (i h w)")
    plan = CriticPlan(
        widths=tuple(widths),
        channels=file.shape("from_rgb.0.weight", 4)[1],
        dialect="rosinality",
        rgb_layers=levels,
        num_classes=generator.num_classes,
    )
    return plan, tensors


def _conv(theirs: str, ours: str) -> dict[str, str]:
    return layer(f"{theirs}.conv", ours, weight="weight_orig")
