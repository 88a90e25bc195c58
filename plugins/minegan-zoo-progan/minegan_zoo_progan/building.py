"""The family's builder: random networks, source folders and public checkpoints -> a `ProGAN`.

Imports contracts, weights and this package. Loaded only when a builder is called: it brings torch.
"""

from __future__ import annotations

from pathlib import Path

import torch

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import is_source_folder, load_strict, read_source

from . import public
from .architecture import CriticPlan, GeneratorPlan, ProGANPlan
from .critic import ProGANCritic
from .generator import ProGAN
from .tensors import Checkpoint

FORMATS = {"gan_zoo": "facebookresearch/pytorch_GAN_zoo PGAN", "rosinality": "rosinality/progressive-gan-pytorch"}
"""Dialect -> whose format it is."""


def random_plan(
    resolution: int,
    channels: int,
    num_classes: int,
    z_dim: int,
    channel_base: int,
    channel_max: int,
    alpha: float,
) -> ProGANPlan:
    """Twin networks with min(channel_max, channel_base / resolution) features at each resolution."""
    if resolution < 4 or resolution & (resolution - 1):
        raise MineganError(f"progan: resolution must be a power of two from 4 up, not {resolution}")
    if min(z_dim, channel_max, channels) < 1 or num_classes < 0:
        raise MineganError("progan: z_dim, channels and channel_max must be positive, num_classes not negative")
    levels = resolution.bit_length() - 2
    widths = tuple(max(1, min(channel_max, channel_base // (4 << level))) for level in range(levels))
    rgb_layers = 2 if alpha < 1.0 and levels > 1 else 1
    return ProGANPlan(
        GeneratorPlan(
            widths=widths,
            channels=channels,
            alpha=alpha,
            rgb_layers=rgb_layers,
            z_dim=z_dim,
            attributes=(num_classes,) if num_classes else (),
            class_dim=num_classes,
        ),
        CriticPlan(
            widths=widths,
            channels=channels,
            alpha=alpha,
            rgb_layers=rgb_layers,
            num_classes=num_classes,
            projection=num_classes > 0,
        ),
    )


def from_plan(plan: ProGANPlan) -> ProGAN:
    """Randomly initialised networks."""
    return ProGAN(plan.generator, None if plan.critic is None else ProGANCritic(plan.critic))


def from_weights(weights: Path, ema: bool) -> ProGAN:
    """Whatever this family reads: a source folder (where `ema` says nothing) or a public checkpoint."""
    if not weights.exists():
        raise MineganError(f"progan: {weights} does not exist; give a checkpoint file or a folder")
    if is_source_folder(weights):
        return filled(from_source_folder(weights), weights)
    source = filled(public.read(weights, ema), weights)
    source.checkpoint_format = FORMATS[source.full_plan().generator.dialect]
    return source


def from_source_folder(folder: Path) -> Checkpoint:
    """What `minegan_zoo.weights.write_source` wrote."""
    saved = read_source(folder)
    if saved.family != "progan" or saved.config is None:
        raise MineganError(f"{folder} holds a source of family {saved.family}, not progan: load it as {saved.family}")
    return Checkpoint(ProGANPlan.from_config(saved.config), saved.generator, saved.discriminator)


def filled(checkpoint: Checkpoint, weights: Path) -> ProGAN:
    """The checkpoint's networks. Built without memory first: a file's claims cost nothing until they are checked."""
    if (checkpoint.plan.critic is None) != (checkpoint.critic is None):
        raise MineganError(f"{weights}: discriminator and config disagree; save the source again")
    with torch.device("meta"):
        source = from_plan(checkpoint.plan)
    load_strict(source, checkpoint.generator, f"{weights}: generator", adopt=True)
    critic = source.own_critic()
    if critic is not None and checkpoint.critic is not None:
        load_strict(critic, checkpoint.critic, f"{weights}: discriminator", adopt=True)
    return source


def replanned(source: ProGAN, plan: ProGANPlan) -> ProGAN:
    """The same tensors, less those above a crop, in networks of another plan."""
    with torch.device("meta"):
        twin = from_plan(plan)
    for to, whole in ((twin, source), (twin.own_critic(), source.own_critic())):
        if to is not None and whole is not None:
            tensors = whole.state_dict()
            to.load_state_dict({name: tensors[name] for name in to.state_dict()}, assign=True)
    return twin
