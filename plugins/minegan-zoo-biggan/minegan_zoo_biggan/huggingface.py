"""Reads huggingface/pytorch-pretrained-BigGAN (BigGAN-deep). Imports `contracts`, `architecture` and `checkpoint`.

Every tensor is used; only names and the shapes of vectors change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo_biggan.architecture import Block, GeneratorPlan
from minegan_zoo_biggan.checkpoint import Checkpoint, Hints, Tensors

BOTTOM, EPS = 4, 1e-4
NUMBER = "[0-9]{1,4}"
SPECTRAL = {"weight_orig": "weight", "weight_u": "u0", "weight_v": "v0"}
NORM = {"scale": "gain", "offset": "bias", "running_means": "stored_mean", "running_vars": "stored_var"}
ATTENTION = {"snconv1x1_theta": "theta", "snconv1x1_phi": "phi", "snconv1x1_g": "g", "snconv1x1_o_conv": "o"}


def read(tensors: Tensors, config: Mapping[str, Any] | None, hints: Hints) -> Checkpoint:
    """Widths, classes and attention come from the tensors; which blocks upsample, and epsilon, from `config`."""
    classes_dim, classes = tensors.shape("embeddings.weight", 2)
    rows, condition = tensors.shape("generator.gen_z.weight_orig", 2)
    blocks, places, first = _blocks(tensors, _upsampling(tensors, config))
    if config is None and (len(blocks) % 2 or any(block.inputs != block.outputs for block in blocks[::2])):
        raise MineganError(f"{tensors.whose}: put its config.json beside it, which says where it upsamples")
    if rows != BOTTOM**2 * blocks[0].inputs or condition <= classes_dim:
        raise MineganError(f"{tensors.whose}: generator.gen_z.weight_orig does not fit its neighbours")
    rgb_rows = tensors.shape("generator.conv_to_rgb.weight_orig", 4)[0]
    eps = (config or {}).get("eps", EPS)
    if not isinstance(eps, int | float):
        raise MineganError(f"{tensors.whose}: eps is not a number in its config.json")
    plan = GeneratorPlan(
        deep=True,
        channels=min(3, rgb_rows),
        bottom=BOTTOM,
        blocks=tuple(blocks),
        dim_z=condition - classes_dim,
        shared_dim=classes_dim,
        num_classes=classes,
        hier=True,
        spectral="stored",
        rgb_rows=rgb_rows,
        statistics=tensors.shape("generator.bn.running_means", 2)[0],
        attention_first=first,
        hub_order=True,
        activation=hints.activation or "relu",
        sn_eps=eps if hints.sn_eps is None else hints.sn_eps,
        bn_eps=eps if hints.bn_eps is None else hints.bn_eps,
        output_eps=eps if hints.bn_eps is None else hints.bn_eps,
    )
    return Checkpoint(plan, _state_dict(tensors, places))


def read_config(path: Path) -> dict[str, Any]:
    """The config.json beside the weights."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise MineganError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        raise MineganError(f"{path} does not describe a BigGAN: it has no list of layers")
    return config


def _upsampling(tensors: Tensors, config: Mapping[str, Any] | None) -> list[bool]:
    """For each block; without a config the published models' pattern: every second block."""
    modules = range(tensors.count("generator.layers."))
    count = sum(f"generator.layers.{index}.gamma" not in tensors.all for index in modules)
    if config is None:
        return [index % 2 == 1 for index in range(count)]
    layers = config["layers"]
    if len(layers) != count or not all(isinstance(layer, list | tuple) and layer for layer in layers):
        raise MineganError(f"{tensors.whose} has {count} blocks, its config.json describes {len(layers)}")
    return [bool(layer[0]) for layer in layers]


def _blocks(tensors: Tensors, upsampling: list[bool]) -> tuple[list[Block], dict[int, str], bool]:
    """The blocks, the new prefix of each old layer, and whether attention comes before the first block."""
    blocks: list[Block] = []
    places: dict[int, str] = {}
    first = False
    for index in range(tensors.count("generator.layers.")):
        old = f"generator.layers.{index}"
        if f"{old}.gamma" in tensors.all:
            if not blocks:
                first, places[index] = True, "blocks.0.0"
                continue
            blocks[-1] = Block(*(blocks[-1].inputs, blocks[-1].hidden, blocks[-1].outputs, blocks[-1].resample), True)
            places[index] = f"blocks.{len(blocks) - 1}.{1 + (first and len(blocks) == 1)}"
            continue
        hidden, inputs = tensors.shape(f"{old}.conv_0.weight_orig", 4)[:2]
        outputs = tensors.shape(f"{old}.conv_3.weight_orig", 4)[0]
        places[index] = f"blocks.{len(blocks)}.{int(first and not blocks)}"
        blocks.append(Block(inputs, hidden, outputs, upsampling[len(blocks)]))
    if not blocks:
        raise MineganError(f"{tensors.whose} has no blocks")
    return blocks, places, first


def _state_dict(tensors: Tensors, places: Mapping[int, str]) -> dict[str, Tensor]:
    kept: dict[str, Tensor] = {}
    for name, value in tensors.all.items():
        if name == "embeddings.weight":
            kept["shared.weight"] = value.t()
            continue
        new = _renamed(name, places)
        if new.endswith((".u0", ".v0")):
            value = value.reshape(1, -1)
        if new.endswith(".gamma") and value.numel() == 1:
            value = value.reshape(())
        if new in kept:
            raise MineganError(f"{tensors.whose} holds {new} twice: {name} is one too many")
        kept[new] = value
    return kept


def _renamed(name: str, places: Mapping[int, str]) -> str:
    """This project's name; an unknown one stays as it is and is reported when the network is filled."""
    parts = name.split(".")
    if parts[:2] == ["generator", "gen_z"]:
        prefix, rest = "linear", parts[2:]
    elif parts[:2] == ["generator", "conv_to_rgb"]:
        prefix, rest = "output_layer.2", parts[2:]
    elif parts[:2] == ["generator", "bn"]:
        prefix, rest = "output_layer.0", ["gain" if parts[2:] == ["weight"] else part for part in parts[2:]]
    elif parts[:2] == ["generator", "layers"] and len(parts) > 3 and re.fullmatch(NUMBER, parts[2]):
        prefix, rest = places.get(int(parts[2]), name), parts[3:]
    else:
        return name
    return ".".join([prefix, *(_renamed_part(part) for part in rest)])


def _renamed_part(part: str) -> str:
    if match := re.fullmatch(rf"(bn|conv)_({NUMBER})", part):
        return f"{match[1]}{int(match[2]) + 1}"
    return {**SPECTRAL, **NORM, **ATTENTION}.get(part, part)
