"""Reads ajbrock/BigGAN-PyTorch state dicts, BigGAN and BigGAN-deep. Imports `contracts`, `architecture`, `checkpoint`.

Architecture comes from shapes and names. Ignored by rule: `sv0`, `sv1` ... (logged singular values), `u1` ...
(vectors of further singular values, which divide nothing), `num_batches_tracked`, and the accumulation counters, by
which summed ("standing") statistics have been divided.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo_biggan.architecture import Block, DiscriminatorPlan, GeneratorPlan, Spectral
from minegan_zoo_biggan.checkpoint import Hints, Tensors

BN_EPS, SN_EPS = 1e-5, 1e-8
"""The defaults of the reference's command line."""
ACTIVATIONS = {"relu": "relu", "inplace_relu": "relu", "ir": "relu"}
IGNORED = re.compile(r"(^|.*\.)(sv\d+|u[1-9]\d*|num_batches_tracked|accumulation_counter)$")
INNER_NORM = re.compile(r"\.bn\.(stored|running)_(mean|var)$")


def generator_plan(tensors: Tensors, options: Mapping[str, Any], hints: Hints) -> GeneratorPlan:
    """What the generator's tensors say; `options` is the training configuration where there is one."""
    deep = "blocks.0.0.conv4.weight" in tensors.all
    count = tensors.count("blocks.")
    first = tensors.shape("blocks.0.0.conv1.weight", 4)[1]
    rows, start = tensors.shape("linear.weight", 2)
    bottom = math.isqrt(rows // first)
    shared_dim = tensors.shape("shared.weight", 2)[1] if "shared.weight" in tensors.all else 0
    blocks = [_generator_block(tensors, index, deep) for index in range(count)]
    if deep:
        blocks = _deep_upsampling(tensors.whose, blocks, bottom, options, hints)
    table, seen = tensors.shape("blocks.0.0.bn1.gain.weight", 2)
    classes = tensors.shape("shared.weight", 2)[0] if shared_dim else table
    hier = deep or (shared_dim > 0 and seen > shared_dim)
    if bottom < 1:
        raise MineganError(f"{tensors.whose}: linear.weight is too small for blocks.0.0.conv1.weight")
    if deep and not shared_dim:
        raise MineganError(f"{tensors.whose} is a BigGAN-deep without shared.weight, which the reference cannot run")
    dim_z = start - shared_dim if deep else (seen - shared_dim) * (count + 1) if hier else start
    if dim_z < 1:
        raise MineganError(f"{tensors.whose}: linear.weight and shared.weight leave no room for z")
    return GeneratorPlan(
        deep=deep,
        channels=tensors.shape("output_layer.2.weight", 4)[0],
        bottom=bottom,
        blocks=tuple(blocks),
        dim_z=dim_z,
        shared_dim=shared_dim,
        num_classes=classes,
        hier=hier,
        spectral=_spectral(tensors),
        added_gain=any(name.endswith(".bn.running_mean") for name in tensors.all),
        activation=_activation(options, "G", hints),
        sn_eps=_epsilon(hints.sn_eps, options.get("SN_eps"), SN_EPS),
        bn_eps=_epsilon(hints.bn_eps, options.get("BN_eps"), BN_EPS),
    )


def _generator_block(tensors: Tensors, index: int, deep: bool) -> Block:
    prefix = f"blocks.{index}.0"
    hidden, inputs = tensors.shape(f"{prefix}.conv1.weight", 4)[:2]
    outputs = tensors.shape(f"{prefix}.{'conv4' if deep else 'conv2'}.weight", 4)[0]
    upsamples = f"{prefix}.conv_sc.weight" in tensors.all
    return Block(inputs, hidden, outputs, upsamples, f"blocks.{index}.1.gamma" in tensors.all)


def _deep_upsampling(
    whose: str, blocks: list[Block], bottom: int, options: Mapping[str, Any], hints: Hints
) -> list[Block]:
    """The last block of each stage upsamples; tensors do not show it, so the number of stages is worked out.

    It follows from the resolution where that is known. Else: the reference runs with changing widths at two blocks a
    stage only, and keeps its width nowhere but at 32 pixels, in three stages.
    """
    resolution = hints.resolution or options.get("resolution")
    if isinstance(resolution, int) and resolution > bottom > 0:
        stages = max(1, (resolution // bottom).bit_length() - 1)
    elif any(block.inputs != block.outputs for block in blocks):
        stages = len(blocks) // 2
    else:
        stages = 3
    depth, rest = divmod(len(blocks), stages) if stages else (0, 1)
    last = [depth > 0 and index % depth == depth - 1 for index in range(len(blocks))]
    strays = [
        index
        for index, block in enumerate(blocks)
        if not last[index] and (block.inputs != block.outputs or block.attention)
    ]
    if rest or strays:
        raise MineganError(f"{whose}: {len(blocks)} blocks are not {stages} even stages: give resolution=...")
    return [
        Block(block.inputs, block.hidden, block.outputs, ends, block.attention)
        for block, ends in zip(blocks, last, strict=True)
    ]


def discriminator_plan(
    tensors: Tensors, generator: GeneratorPlan, options: Mapping[str, Any], hints: Hints
) -> DiscriminatorPlan:
    """What the discriminator's tensors say; the resolution is the generator's."""
    deep = "blocks.0.0.conv4.weight" in tensors.all
    count = tensors.count("blocks.")
    # The 32 pixel networks halve twice; the others at every stage, but for the last one of BigGAN. (A generator that
    # starts from another width than 4 makes other images than its name says.)
    nominal = 4 * generator.resolution // generator.bottom
    halvings = min(2, count) if nominal == 32 else count if deep else count - 1
    stages = tuple(_stage(tensors, index, deep, index < halvings) for index in range(count))
    channels = tensors.shape("input_conv.weight" if deep else "blocks.0.0.conv1.weight", 4)[1]
    if channels != generator.channels:
        raise MineganError(f"{tensors.whose} sees {channels} channels; its generator makes {generator.channels}")
    classes = tensors.shape("embed.weight", 2)[0] if "embed.weight" in tensors.all else 0
    return DiscriminatorPlan(
        deep=deep,
        channels=channels,
        resolution=generator.resolution,
        blocks=stages,
        num_classes=classes,
        spectral=_spectral(tensors),
        activation=_activation(options, "D", hints),
        sn_eps=_epsilon(hints.sn_eps, options.get("SN_eps"), SN_EPS),
    )


def _stage(tensors: Tensors, index: int, deep: bool, halves: bool) -> tuple[Block, ...]:
    parts = tensors.count(f"blocks.{index}.")
    attention = f"blocks.{index}.{parts - 1}.gamma" in tensors.all
    blocks = []
    for part in range(parts - attention):
        prefix = f"blocks.{index}.{part}"
        hidden, inputs = tensors.shape(f"{prefix}.conv1.weight", 4)[:2]
        outputs = tensors.shape(f"{prefix}.{'conv4' if deep else 'conv2'}.weight", 4)[0]
        blocks.append(Block(inputs, hidden, outputs, halves and part == 0, attention and part == parts - 2))
    if not blocks:
        raise MineganError(f"{tensors.whose}: blocks.{index} holds attention only")
    return tuple(blocks)


def state_dict(tensors: Tensors, standing: bool | None = None) -> dict[str, Tensor]:
    """The tensors under this project's names, statistics divided where they are sums.

    They are sums when `accumulation_counter` is not 0, unless `standing` says otherwise: the reference's flag is not in
    the file, and nothing else sets the counter.
    """
    kept: dict[str, Tensor] = {}
    for name, value in tensors.all.items():
        if IGNORED.match(name):
            continue
        kept[INNER_NORM.sub(r".stored_\2", name)] = value
        if match := INNER_NORM.search(name):
            counter = tensors.all.get(f"{name[: match.start()]}.bn.accumulation_counter")
            if counter is None or counter.numel() != 1:
                continue
            if standing or (standing is None and counter.item() > 0):
                kept[INNER_NORM.sub(r".stored_\2", name)] = value / counter
    return kept


def _spectral(tensors: Tensors) -> Spectral:
    return "power" if any(name.endswith(".u0") for name in tensors.all) else "none"


def _activation(options: Mapping[str, Any], network: str, hints: Hints) -> str:
    if hints.activation is not None:
        return hints.activation
    name = options.get(f"{network}_nl", "relu")
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise MineganError(f"state_dict.pth names the activation {name!r}: give activation=... if it is another name")
    return ACTIVATIONS[name]


def _epsilon(given: float | None, beside: Any, default: float) -> float:
    if given is not None:
        return given
    return float(beside) if isinstance(beside, int | float) else default
