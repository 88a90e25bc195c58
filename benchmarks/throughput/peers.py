"""The libraries that a user would pick instead, brought into this process and given the same weights as our networks.

They come from the package index, without the versions that they pin (`make bench` installs peers.txt into build/peers).
What is done to each so that it runs here and computes the same is said in its function; nothing else of it is touched.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
import torch.utils.cpp_extension
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

import minegan_zoo as mz
from minegan_zoo.contracts import GeneratorSource

FOLDER = Path(os.environ.get("MINEGAN_ZOO_PEERS", Path(__file__).parents[2] / "build" / "peers"))

Sampler = Callable[[Tensor], Tensor]
"""z (n, d) -> images (n, C, H, W)."""


@contextmanager
def _standing_in(**modules: Any) -> Iterator[None]:
    """The peers' folder can be imported from; modules that a peer imports and never needs here are stood in for."""
    with mock.patch.dict(sys.modules, {name.replace("__", "."): module for name, module in modules.items()}):
        sys.path.append(str(FOLDER))
        try:
            yield
        finally:
            sys.path.remove(str(FOLDER))


def biggan_deep(resolution: int) -> tuple[GeneratorSource, Sampler]:
    """pytorch-pretrained-biggan's BigGAN-deep, written to its own files and read from there by our loader.

    Its download code (boto3, requests) and noise sampler (scipy) are stood in for. The class is always 0.
    """
    absent = ("boto3", "botocore", "botocore__exceptions", "requests", "scipy", "scipy__stats")
    with _standing_in(**{name: mock.MagicMock() for name in absent}):
        library = import_module("pytorch_pretrained_biggan")
    config = library.BigGANConfig()
    if resolution == 256:  # as its published config.json has it
        config.layers = [
            [False, 16, 16], [True, 16, 16], [False, 16, 16], [True, 16, 8], [False, 8, 8], [True, 8, 8],
            [False, 8, 8], [True, 8, 4], [False, 4, 4], [True, 4, 2], [False, 2, 2], [True, 2, 1],
        ]  # fmt: skip
    config.output_dim = resolution
    torch.manual_seed(0)
    peer = library.BigGAN(config)
    label = F.one_hot(torch.zeros(1, dtype=torch.int64), config.num_classes).float()
    with torch.no_grad():
        peer.generator.bn.weight.fill_(1)
        peer.generator.bn.bias.zero_()
        for module in peer.modules():
            if "gamma" in dict(module.named_parameters(recurse=False)):
                module.gamma.fill_(0.5)
        for _ in range(3):  # spectral norm finds its vectors in training mode
            peer(torch.zeros(1, config.z_dim), label, 1.0)
    peer.eval()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(config.to_json_string())
        torch.save(peer.state_dict(), Path(folder) / "pytorch_model.bin")
        source = mz.load_source("biggan-deep", folder, truncation=1.0)
    return source, lambda z: peer(z, label.expand(len(z), -1), 1.0)


def stylegan2(resolution: int) -> tuple[GeneratorSource, Sampler]:
    """stylegan2-torch's generator with our weights by name. It makes grey images; its noise maps are set to ours.

    Its filter is a CUDA kernel alone: on a CPU torch's depthwise convolution stands in, the fastest form we know of.
    """
    loaded = SimpleNamespace(upfirdn2d=_filtered)
    strtobool = SimpleNamespace(strtobool=lambda text: text.startswith("t"))  # distutils left Python with 3.12
    build = mock.patch.object(torch.utils.cpp_extension, "load", lambda *names, **options: loaded)
    with _standing_in(distutils__util=strtobool), build:
        library = import_module("stylegan2_torch")
    torch.manual_seed(0)
    source = mz.generators.create("stylegan2", None, resolution=resolution, channels=1)
    blocks = source.synthesis.blocks
    peer = library.Generator(resolution)
    with torch.no_grad():
        for block in blocks:
            for conv in block.convs:
                conv.noise_strength.fill_(0.1)
                conv.bias.normal_()
    tensors = {f"mapping.{1 + i}.{kind}": value for i, layer in enumerate(source.mapping.layers)
               for kind, value in layer.named_parameters()}  # fmt: skip
    tensors["input.input"] = blocks[0].const[None]
    for index, block in enumerate(blocks):
        tensors |= _styled(f"convs.{index}", block.convs[-1])
        if index:
            tensors |= _styled(f"up_convs.{index - 1}", block.convs[0])
        rgb = f"to_rgbs.{index}"
        tensors |= {f"{rgb}.weight": block.torgb.weight[None], f"{rgb}.bias": block.torgb.bias.reshape(1, 1, 1, 1)}
        tensors |= {f"{rgb}.affine.{kind}": value for kind, value in block.torgb.affine.named_parameters()}
    _fill(peer, tensors, ".kernel")
    noises = source.synthesis.noise_maps()
    return source, lambda z: peer([z], noises=noises)


def _styled(place: str, conv: nn.Module) -> dict[str, Tensor]:
    own = dict(conv.named_parameters())
    return {
        f"{place}.weight": own["weight"][None],
        f"{place}.leaky_relu.bias": own["bias"],
        f"{place}.add_noise.weight": own["noise_strength"].reshape(1),
        f"{place}.affine.weight": own["affine.weight"],
        f"{place}.affine.bias": own["affine.bias"],
    }


def _filtered(x: Tensor, kernel: Tensor, *sizes: int) -> Tensor:
    """(m, 1, h, w), filter, then up, down and paddings of both axes."""
    up, _, down, _, left, right, _, _ = sizes
    m = len(x)
    if up > 1:
        x = rearrange(
            F.pad(rearrange(x, "m 1 h w -> m h 1 w 1"), (0, up - 1, 0, 0, 0, up - 1)), "m h a w b -> m 1 (h a) (w b)"
        )
    x = rearrange(F.pad(x, (left, right, left, right)), "m 1 h w -> 1 m h w")
    weight = kernel.flip(0, 1).expand(m, 1, -1, -1)
    return rearrange(F.conv2d(x, weight, stride=down, groups=m), "1 m h w -> m 1 h w")


def progan(resolution: int) -> tuple[GeneratorSource, Sampler]:
    """pro-gan-pth's generator with our weights by name, those of RGB and the start scaled as its gains differ.

    It lacks the paper's pixel norm after the first 4x4 layer: a module put there adds it. A method of torch 1.10 that
    it calls has another signature today: it is told the result.
    """
    with _standing_in():
        library = import_module("pro_gan_pytorch.networks")
        norm = import_module("pro_gan_pytorch.custom_layers").PixelwiseNorm
    torch.manual_seed(0)
    source = mz.generators.create("progan", None, resolution=resolution, channel_base=32768)
    peer = library.Generator(resolution.bit_length() - 1).eval()
    peer.layers[0].lrelu = nn.Sequential(nn.LeakyReLU(0.2), norm())
    peer.layers[0].conv_1._output_padding = lambda *sizes: (0, 0)
    rgb = resolution.bit_length() - 3
    dense, last = source.blocks["4"].dense, source.to_rgb[str(resolution)]
    start = rearrange(dense.weight, "(o h w) i -> i o h w", h=4, w=4)
    tensors = {
        "layers.0.conv_1.weight": start * (dense.scale / peer.layers[0].conv_1.scale),
        "layers.0.conv_1.bias": dense.bias,
        f"rgb_converters.{rgb}.weight": last.weight * (last.scale / peer.rgb_converters[rgb].scale),
        f"rgb_converters.{rgb}.bias": last.bias,
    }
    for index, (name, block) in enumerate(source.blocks.items()):
        first = {} if name == "4" else {"conv_1": block.conv0}
        for theirs, ours in {**first, "conv_2": block.conv if name == "4" else block.conv1}.items():
            tensors |= {f"layers.{index}.{theirs}.{kind}": value for kind, value in ours.named_parameters()}
    _fill(peer, tensors, *(f"rgb_converters.{i}.{kind}" for i in range(rgb) for kind in ("weight", "bias")))
    return source, peer


def _fill(peer: nn.Module, tensors: dict[str, Tensor], *kept: str) -> None:
    """Every tensor of the peer but those whose name ends with one of `kept`."""
    missing, unexpected = peer.load_state_dict(tensors, strict=False)
    left = [name for name in missing if not name.endswith(kept)] if kept else missing
    if left or unexpected:
        raise RuntimeError(f"the peer's layers are not ours: {left + unexpected}")


PEERS: dict[str, tuple[str, Callable[[int], tuple[GeneratorSource, Sampler]]]] = {
    "pytorch-pretrained-biggan": ("biggan-deep", biggan_deep),
    "stylegan2-torch": ("stylegan2", stylegan2),
    "pro-gan-pth": ("progan", progan),
}
"""Distribution -> our family, and what builds both."""
