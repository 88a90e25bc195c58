"""The family's builder: random networks, source folders and public checkpoints -> a `ProGAN`.

Imports contracts, weights and this package. Loaded only when a builder is called: it brings torch.
"""

from __future__ import annotations

from pathlib import Path

from minegan_zoo import weights as weight_files
from minegan_zoo.contracts import MineganError

from .architecture import CriticPlan, GeneratorPlan, ProGANPlan
from .critic import ProGANCritic
from .generator import ProGAN


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


def from_source_folder(folder: Path, resolution: int | None, alpha: float | None) -> ProGAN:
    """What `minegan_zoo.weights.write_source` wrote."""
    saved = weight_files.read_source(folder)
    if saved.family != "progan" or saved.config is None:
        raise MineganError(f"{folder} holds a source of family {saved.family}, not progan: load it as {saved.family}")
    plan = ProGANPlan.from_config(saved.config)
    if (plan.critic is None) != (saved.discriminator is None):
        raise MineganError(f"{folder}: discriminator and config disagree; save the source again")
    source = from_plan(plan)
    weight_files.load_strict(source, saved.generator, f"{folder}: generator")
    critic = source.own_critic()
    if critic is not None and saved.discriminator is not None:
        weight_files.load_strict(critic, saved.discriminator, f"{folder}: discriminator")
    return cropped(source, plan.cropped(resolution, alpha))


def cropped(source: ProGAN, plan: ProGANPlan) -> ProGAN:
    """`source` with its pyramid cut down to `plan`: the same tensors, less those above the crop."""
    if plan == ProGANPlan.from_config(source.config()):
        return source
    small = from_plan(plan)
    pairs = [(small, source), (small.own_critic(), source.own_critic())]
    for to, whole in pairs:
        if to is not None and whole is not None:
            tensors = whole.state_dict()
            to.load_state_dict({name: tensors[name] for name in to.state_dict()})
    return small
