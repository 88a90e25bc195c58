"""The networks that are measured: full-size families, a ProGAN without batch statistics, copies of a bundled source."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch
from minegan_zoo_progan import building
from torch import Generator, Tensor

import minegan_zoo as mz
from minegan_zoo.contracts import GeneratorSource, LoadedFrom
from minegan_zoo.sources import as_module

TARGET = Path(mz.__file__).parent / "data" / "demo" / "target"
FAMILIES = ("biggan", "biggan-deep", "progan", "stylegan", "stylegan2", "stylegan3")


def random_source(family: str, resolution: int) -> GeneratorSource:
    """A family's usual network at a resolution, with random weights, frozen."""
    torch.manual_seed(0)
    source: GeneratorSource = mz.generators.create(family, None, resolution=resolution)
    as_module(source).requires_grad_(False).eval()
    return source


def sampler(source: GeneratorSource, batch: int) -> Callable[[], Tensor]:
    """One batch of images of a fixed code, without gradients."""
    code = source.prior(batch, source.inputs[0], Generator().manual_seed(0))
    device = next(as_module(source).parameters()).device
    code = {name: value.to(device) for name, value in code.items()}
    return torch.no_grad()(lambda: source.synthesize(code))


def bundled(count: int) -> list[GeneratorSource]:
    return [mz.load_source("stylegan2.fashion-shoes-32") for _ in range(count)]


def slim(resolution: int) -> GeneratorSource:
    """A StyleGAN2 that a CPU can train at `resolution`: 4096 / size channels."""
    torch.manual_seed(0)
    options = {"resolution": resolution, "channels": 3, "channel_base": 4096, "channel_max": 128}
    source: GeneratorSource = mz.generators.create("stylegan2", None, **options)
    return source


def independent(resolution: int, width: int = 128) -> GeneratorSource:
    """A ProGAN whose critic scores every image for itself: the same scores in whatever batch."""
    torch.manual_seed(0)
    options = {"resolution": resolution, "channels": 3, "channel_base": 32 * width, "channel_max": width}
    plan = building.random_plan(num_classes=0, z_dim=128, alpha=1.0, **options)
    assert plan.critic is not None
    source = building.from_plan(dataclasses.replace(plan, critic=dataclasses.replace(plan.critic, minibatch_std=False)))
    source.loaded_from = LoadedFrom("progan", None, options)
    return source.eval()
