"""Reads facebookresearch/pytorch_GAN_zoo's PGAN checkpoints: {config, netG, netD, avgG[, tmp]}.

Shapes give the architecture; of `config` (a pickled object, read as a record) only what shapes cannot say is used:
alpha, leak, equalised learning rate, loss (tanh or not) and attributes; where it is silent, the reference's defaults
hold. The rest of it, and `tmp`, is the state of training, and ignored. A generator's state dict alone is read too.
Imports contracts, weights and this package's architecture and tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import Record

from .architecture import CriticPlan, GeneratorPlan, ProGANPlan
from .tensors import Checkpoint, FileTensors, layer

PARTS = ("config", "netG", "netD", "avgG", "tmp")
TANH_LOSSES = ("MSE", "DCGAN")
FIRST = {"formatLayer.weight", "formatLayer.module.weight"}
Value = TypeVar("Value", int, float, bool, str)


def recognises(tree: Any) -> bool:
    """Whether `read` is meant for this tree (which may still be damaged)."""
    if not isinstance(tree, Mapping):
        return False
    generator = tree.get("netG", tree.get("avgG", tree))
    if not isinstance(generator, Mapping):
        return False
    return not FIRST.isdisjoint(generator) and any(str(key).startswith("toRGBLayers.") for key in generator)


def read(tree: Mapping[str, Any], whose: str, ema: bool) -> Checkpoint:
    """With `ema` avgG where there is one, as in the reference, else netG."""
    if "netG" not in tree and "avgG" not in tree:
        tree = {"netG": tree}
    unknown = [str(part) for part in tree if part not in PARTS]
    if unknown:
        raise MineganError(f"{whose} holds unknown parts: {', '.join(unknown)}; expected: {', '.join(PARTS)}")
    part = "avgG" if ema and "avgG" in tree else "netG"
    if part not in tree:
        raise MineganError(f"{whose} holds no raw weights (netG): leave ema at True")
    config = _config(tree.get("config"), whose)
    generator, tensors = _generator(FileTensors(tree[part], f"{whose}: {part}").without("module."), config)
    if tree.get("netD") is None:
        return Checkpoint(ProGANPlan(generator, None), tensors, None)
    critic, critic_tensors = _critic(FileTensors(tree["netD"], f"{whose}: netD").without("module."), generator)
    return Checkpoint(ProGANPlan(generator, critic), tensors, critic_tensors)


def _generator(file: FileTensors, config: Mapping[str, Any]) -> tuple[GeneratorPlan, dict[str, Tensor]]:
    names = layer("formatLayer", "blocks.4.dense") | layer("groupScale0.0", "blocks.4.conv")
    rows, latent_dim = file.shape("formatLayer.weight", 2)
    widths = [rows // 16, *_scales(file, names, widest=1)]
    for level in range(len(widths)):
        names |= layer(f"toRGBLayers.{level}", f"to_rgb.{4 << level}")
    attributes = _attributes(config, file.whose)
    if _value(config, "perChannelNormalization", True, file.whose) is False:
        raise MineganError(f"{file.whose} was made without perChannelNormalization, which the reference cannot run")
    plan = GeneratorPlan(
        widths=tuple(widths),
        channels=file.shape("toRGBLayers.0.weight", 4)[0],
        dialect="gan_zoo",
        alpha=1.0 - float(_value(config, "alpha", 0.0, file.whose)) if len(widths) > 1 else 1.0,
        rgb_layers=len(widths),
        leak=_value(config, "leakyReluLeak", 0.2, file.whose),
        equalized=_value(config, "equalizedlR", True, file.whose),
        z_dim=latent_dim - sum(attributes),
        attributes=attributes,
        tanh=_value(config, "lossCriterion", "WGANGP", file.whose) in TANH_LOSSES,
    )
    return plan, file.renamed(names)


def _critic(file: FileTensors, generator: GeneratorPlan) -> tuple[CriticPlan, dict[str, Tensor]]:
    names = layer("groupScaleZero.0", "blocks.4.conv") | layer("groupScaleZero.1", "blocks.4.dense")
    names |= layer("decisionLayer", "head")
    heads, width = file.shape("decisionLayer.weight", 2)
    widths = [width, *_scales(file, names, widest=0)]
    for level in range(len(widths)):
        names |= layer(f"fromRGBLayers.{level}", f"from_rgb.{4 << level}")
    if heads != 1 + generator.num_classes or len(widths) != len(generator.widths):
        raise MineganError(
            f"{file.whose} has {heads - 1} class logits and {len(widths)} resolutions; "
            f"its generator has {generator.num_classes} classes and {len(generator.widths)} resolutions"
        )
    plan = CriticPlan(
        widths=tuple(widths),
        channels=file.shape("fromRGBLayers.0.weight", 4)[1],
        dialect="gan_zoo",
        alpha=generator.alpha,
        rgb_layers=len(widths),
        leak=generator.leak,
        equalized=generator.equalized,
        num_classes=generator.num_classes,
        minibatch_std=file.shape("groupScaleZero.0.weight", 4)[1] > width,
    )
    return plan, file.renamed(names)


def _scales(file: FileTensors, names: dict[str, str], widest: int) -> list[int]:
    """Widths from 8x8 up, as convolution `widest` of each scale has them; adds their layers to `names`."""
    widths = []
    for scale in range(file.count("scaleLayers.{}.0.weight")):
        for number in (0, 1):
            names |= layer(f"scaleLayers.{scale}.{number}", f"blocks.{8 << scale}.conv{number}")
        widths.append(file.shape(f"scaleLayers.{scale}.{widest}.weight", 4)[0])
    return widths


def _config(config: Any, whose: str) -> Mapping[str, Any]:
    state = config.state if isinstance(config, Record) else {} if config is None else config
    if not isinstance(state, Mapping):
        raise MineganError(f"{whose}: config is neither a pytorch_GAN_zoo configuration nor a dict")
    return state


def _value(config: Mapping[str, Any], name: str, default: Value, whose: str) -> Value:
    value = config.get(name)
    if value is None:
        return default
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(default, float) and isinstance(value, int):
        value = float(value)
    if not isinstance(value, type(default)):
        raise MineganError(f"{whose}: config.{name} is {value!r:.80}, not a {type(default).__name__}")
    return value


def _attributes(config: Mapping[str, Any], whose: str) -> tuple[int, ...]:
    """How many values each attribute has, in the order of the category vector."""
    attributes = config.get("attribKeysOrder")
    attributes = {} if attributes is None else attributes
    sizes: dict[int, int] = {}
    try:
        for entry in attributes.values():
            sizes[int(entry["order"])] = len(entry["values"])
    except (AttributeError, LookupError, TypeError, ValueError, RuntimeError):
        raise MineganError(f"{whose}: config.attribKeysOrder is not a table of attributes") from None
    if sorted(sizes) != list(range(len(attributes))):
        raise MineganError(f"{whose}: the attributes of config.attribKeysOrder are not numbered from 0")
    return tuple(sizes[order] for order in sorted(sizes))
