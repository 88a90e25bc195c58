"""BigGAN, BigGAN-deep and ProGAN files of the published sizes, with random weights, named as their projects name them.

What `load_cost.py` reads and loads. `narrow` divides all widths: small files of the same kind, to warm up with.
"""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import torch
from checkpoint_files import made_up
from torch import Tensor

CLASSES = 1000
BIGGAN = {  # Brock et al., tables 4 to 9: widths in units of ch, and the dimensions of z
    128: ((16, 16, 8, 4, 2, 1), 120),
    256: ((16, 16, 8, 8, 4, 2, 1), 140),
    512: ((16, 16, 8, 8, 4, 2, 1, 1), 160),
}
PROGAN = (512, 512, 512, 512, 256, 128, 64, 32, 16)
STATISTICS = 51  # one set a truncation


class Tensors(dict[str, Tensor]):
    """Random tensors by name."""

    def add(self, name: str, *shape: int) -> None:
        self[name] = torch.randn(shape)

    def layer(self, name: str, *shape: int) -> None:
        """A weight and a bias."""
        self.add(f"{name}.weight", *shape)
        self.add(f"{name}.bias", shape[0])


class Ajbrock(Tensors):
    """Layers of ajbrock/BigGAN-PyTorch: spectral norm by the vector u0, with the last sigma beside it."""

    def normed(self, name: str, *shape: int, bias: bool = True) -> None:
        self.add(f"{name}.weight", *shape)
        self.add(f"{name}.u0", 1, shape[0])
        self.add(f"{name}.sv0", 1)
        if bias:
            self.add(f"{name}.bias", shape[0])

    def norm(self, name: str, width: int, condition: int) -> None:
        for part in ("gain", "bias"):
            self.normed(f"{name}.{part}", width, condition, bias=False)
        self.statistics(name, width)

    def statistics(self, name: str, width: int) -> None:
        self.add(f"{name}.stored_mean", width)
        self[f"{name}.stored_var"] = torch.rand(width) + 0.5

    def attention(self, name: str, width: int) -> None:
        self.add(f"{name}.gamma")
        for part, outputs, inputs in (
            ("theta", width // 8, width),
            ("phi", width // 8, width),
            ("g", width // 2, width),
            ("o", width, width // 2),
        ):
            self.normed(f"{name}.{part}", outputs, inputs, 1, 1, bias=False)


def biggan(folder: Path, resolution: int, ch: int, narrow: int = 1) -> Path:
    """G_ema.pth and D.pth of a hierarchical BigGAN with attention at 64 pixels."""
    stages, dim_z = BIGGAN[resolution]
    widths = [ch // narrow * width for width in stages]
    chunk, shared = dim_z // len(widths), 128
    g = Ajbrock()
    g.add("shared.weight", CLASSES, shared)
    g.normed("linear", 16 * widths[0], chunk)
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        block = f"blocks.{index}.0"
        g.normed(f"{block}.conv1", outputs, inputs, 3, 3)
        g.normed(f"{block}.conv2", outputs, outputs, 3, 3)
        g.normed(f"{block}.conv_sc", outputs, inputs, 1, 1)
        g.norm(f"{block}.bn1", inputs, shared + chunk)
        g.norm(f"{block}.bn2", outputs, shared + chunk)
        if 8 << index == 64:
            g.attention(f"blocks.{index}.1", outputs)
    g.add("output_layer.0.gain", widths[-1])
    g.add("output_layer.0.bias", widths[-1])
    g.statistics("output_layer.0", widths[-1])
    g.normed("output_layer.2", 3, widths[-1], 3, 3)

    d, seen = Ajbrock(), [3, *reversed(widths)]
    for index, (inputs, outputs) in enumerate(pairwise(seen)):
        d.normed(f"blocks.{index}.0.conv1", outputs, inputs, 3, 3)
        d.normed(f"blocks.{index}.0.conv2", outputs, outputs, 3, 3)
        if inputs != outputs or index < len(seen) - 2:
            d.normed(f"blocks.{index}.0.conv_sc", outputs, inputs, 1, 1)
        if resolution >> index + 1 == 64:
            d.attention(f"blocks.{index}.1", outputs)
    d.normed("linear", 1, seen[-1])
    d.normed("embed", CLASSES, seen[-1], bias=False)
    torch.save(dict(g), folder / "G_ema.pth")
    torch.save(dict(d), folder / "D.pth")
    return folder


class HuggingFace(Tensors):
    """Layers of pytorch-pretrained-BigGAN: torch's spectral norm, statistics for each truncation."""

    def normed(self, name: str, *shape: int, bias: bool = True) -> None:
        self.add(f"{name}.weight_orig", *shape)
        self[f"{name}.weight_u"] = torch.nn.functional.normalize(torch.randn(shape[0]), dim=0)
        self[f"{name}.weight_v"] = torch.nn.functional.normalize(torch.randn(math.prod(shape[1:])), dim=0)
        if bias:
            self.add(f"{name}.bias", shape[0])

    def statistics(self, name: str, width: int) -> None:
        self.add(f"{name}.running_means", STATISTICS, width)
        self[f"{name}.running_vars"] = torch.rand(STATISTICS, width) + 0.5


def biggan_deep(folder: Path, resolution: int, ch: int, narrow: int = 1) -> Path:
    """config.json and pytorch_model.bin, with attention before layer 8."""
    ch, dim = ch // narrow, 128
    stages, _ = BIGGAN[resolution]
    layers = [
        (up, inputs, outputs) for i, o in pairwise(stages) for up, inputs, outputs in ((False, i, i), (True, i, o))
    ]
    g = HuggingFace()
    g.add("embeddings.weight", dim, CLASSES)
    g.normed("generator.gen_z", 16 * 16 * ch, 2 * dim)
    places = [place for place in range(len(layers) + 1) if place != 8]
    for place, (_, wide, narrower) in zip(places, layers, strict=True):
        name, inputs, outputs = f"generator.layers.{place}", ch * wide, ch * narrower
        hidden = inputs // 4
        sizes = ((hidden, inputs, 1), (hidden, hidden, 3), (hidden, hidden, 3), (outputs, hidden, 1))
        for number, (to, of, kernel) in enumerate(sizes):
            g.normed(f"{name}.conv_{number}", to, of, kernel, kernel)
            for part in ("scale", "offset"):
                g.normed(f"{name}.bn_{number}.{part}", of, 2 * dim, bias=False)
            g.statistics(f"{name}.bn_{number}", of)
    width = ch * layers[8][1]
    g.add("generator.layers.8.gamma", 1)
    for part, to, of in (("theta", 8, 1), ("phi", 8, 1), ("g", 2, 1), ("o_conv", 1, 2)):
        g.normed(f"generator.layers.8.snconv1x1_{part}", width // to, width // of, 1, 1, bias=False)
    g.layer("generator.bn", ch)
    g.statistics("generator.bn", ch)
    g.normed("generator.conv_to_rgb", ch, ch, 3, 3)
    config = {
        "output_dim": resolution,
        "z_dim": dim,
        "class_embed_dim": dim,
        "channel_width": ch,
        "num_classes": CLASSES,
        "layers": layers,
        "attention_layer_position": 8,
        "eps": 1e-4,
        "n_stats": STATISTICS,
    }
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(dict(g), folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    return folder


class BaseConfig:
    """Stands in for pytorch_GAN_zoo's."""


def progan(folder: Path, narrow: int = 1) -> Path:
    """pytorch_GAN_zoo's file of a PGAN of 1024 pixels."""
    widths = [max(2, width // narrow) for width in PROGAN]
    g, d = Tensors(), Tensors()
    g.layer("formatLayer.module", 16 * widths[0], 512)
    g.layer("groupScale0.0.module", widths[0], widths[0], 3, 3)
    for scale, (wide, narrower) in enumerate(pairwise(widths)):
        g.layer(f"scaleLayers.{scale}.0.module", narrower, wide, 3, 3)
        g.layer(f"scaleLayers.{scale}.1.module", narrower, narrower, 3, 3)
        d.layer(f"scaleLayers.{scale}.0.module", narrower, narrower, 3, 3)
        d.layer(f"scaleLayers.{scale}.1.module", wide, narrower, 3, 3)
    for level, width in enumerate(widths):
        g.layer(f"toRGBLayers.{level}.module", 3, width, 1, 1)
        d.layer(f"fromRGBLayers.{level}.module", width, 3, 1, 1)
    d.layer("groupScaleZero.0.module", widths[0], widths[0] + 1, 3, 3)
    d.layer("groupScaleZero.1.module", widths[0], 16 * widths[0])
    d.layer("decisionLayer.module", 1, widths[0])
    average = {name: tensor.clone() for name, tensor in g.items()}
    with made_up({"models.utils.config": {"BaseConfig": BaseConfig}}):
        config = BaseConfig()
        config.__dict__.update(alpha=0.0, leakyReluLeak=0.2, equalizedlR=True, lossCriterion="WGANGP")
        state = {"config": config, "netG": dict(g), "netD": dict(d), "avgG": average}
        torch.save(state, folder / "model.pth", _use_new_zipfile_serialization=False)
    return folder / "model.pth"
