"""What a BigGAN network is made of, as plain data that JSON can hold. Imports `contracts` only, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

from minegan_zoo.contracts import LatentSpace, MineganError, Prior

Spectral = Literal["power", "stored", "none"]
"""How sigma is found: one power step from the stored u; u and v as stored (torch's `spectral_norm`); no division."""

# Channels in and out of each stage, in units of ch (BigGAN, Tables 4 to 9; the reference's tables for 32 and 64)
GENERATOR_STAGES = {
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
    512: (16, 16, 8, 8, 4, 2, 1, 1),
}
DISCRIMINATOR_STAGES = {
    32: (4, 4, 4, 4),
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
    512: (1, 1, 2, 4, 8, 8, 16, 16),
}
SHRINK = 4
"""A deep block's hidden width is a quarter."""


@dataclass(frozen=True)
class Block:
    """One residual block; `resample` doubles the width in a generator and halves it in a discriminator."""

    inputs: int
    hidden: int
    outputs: int
    resample: bool
    attention: bool = False
    """Self-attention follows the block."""


@dataclass(frozen=True)
class GeneratorPlan:
    deep: bool
    channels: int
    bottom: int
    """Width of the first feature map."""
    blocks: tuple[Block, ...]
    dim_z: int
    shared_dim: int
    """Width of the shared class embedding; 0 = batch norm holds per-class tables."""
    num_classes: int
    hier: bool
    """z is cut in chunks, one for the start and one for each block; deep networks show all of z to every block."""
    spectral: Spectral = "power"
    rgb_rows: int = 0
    """Rows of the last convolution's weight where it has more than the image has channels, else 0."""
    statistics: int = 0
    """Rows of the batch-norm statistics, one per truncation from 0 to 1; 0 = one set without an axis."""
    attention_first: bool = False
    hub_order: bool = False
    """The TF Hub modules' order: the condition is [z, class], the first feature map (height, width, channels)."""
    added_gain: bool = False
    """The reference's synchronised batch norm adds the gain outside parallel training."""
    activation: str = "relu"
    sn_eps: float = 1e-8
    bn_eps: float = 1e-5
    output_eps: float = 1e-5
    """Epsilon of the last batch norm, which the reference's option leaves alone."""

    @property
    def resolution(self) -> int:
        return self.bottom << sum(block.resample for block in self.blocks)

    @property
    def chunk(self) -> int:
        """Entries of z that a block sees beside the class."""
        if not self.hier:
            return 0
        return self.dim_z if self.deep else self.dim_z // (len(self.blocks) + 1)

    @property
    def classes(self) -> int:
        """Rows of the class tables: an unconditional network has one class that its caller never sees."""
        return max(1, self.num_classes)

    @property
    def class_dim(self) -> int:
        """Width of the class space."""
        return self.shared_dim or self.classes

    @property
    def conditioned(self) -> int:
        """How many parts see the class: the blocks, and in a deep network the first layer."""
        return len(self.blocks) + self.deep

    @property
    def start_dim(self) -> int:
        """Inputs of the first linear layer."""
        if self.deep:
            return self.class_dim + self.dim_z
        return self.chunk if self.hier else self.dim_z


@dataclass(frozen=True)
class DiscriminatorPlan:
    deep: bool
    channels: int
    resolution: int
    blocks: tuple[tuple[Block, ...], ...]
    """Stages of consecutive blocks, attention at the end of a stage."""
    num_classes: int
    spectral: Spectral = "power"
    activation: str = "relu"
    sn_eps: float = 1e-8


def generator_plan(
    *,
    deep: bool,
    resolution: int = 32,
    channels: int = 3,
    num_classes: int = 0,
    ch: int = 64,
    dim_z: int = 128,
    shared_dim: int = 128,
    hier: bool = True,
    attention: str = "64",
    depth: int = 2,
) -> GeneratorPlan:
    """The reference's generator for these options; `attention` holds resolutions, as in "32_64"."""
    places = _places(attention)
    widths = [ch * width for width in _stages(GENERATOR_STAGES, resolution)]
    blocks: list[Block] = []
    for stage, (inputs, outputs) in enumerate(pairwise(widths)):
        attends = 8 * 2**stage in places
        if deep:
            inner = Block(inputs, inputs // SHRINK, inputs, resample=False)
            blocks += [inner] * (depth - 1) + [Block(inputs, inputs // SHRINK, outputs, True, attends)]
        else:
            blocks.append(Block(inputs, outputs, outputs, True, attends))
    slots = len(blocks) + 1
    if hier and not deep:
        dim_z = dim_z // slots * slots
    if dim_z < 1:
        raise MineganError(f"a hierarchical z has {slots} chunks here: give dim_z = {slots} or more")
    if deep and not hier:
        raise MineganError("BigGAN-deep shows z to every block: hier=False is not defined for it")
    if hier and not shared_dim:
        raise MineganError("a hierarchical z needs a shared class embedding: give shared_dim = 1 or more")
    if ch < 1 or (deep and min(block.hidden for block in blocks) < 1):
        raise MineganError(
            f"ch={ch} is too narrow for {resolution}x{resolution}: give at least {SHRINK if deep else 1}"
        )
    return GeneratorPlan(deep, channels, 4, tuple(blocks), dim_z, shared_dim, num_classes, hier)


def discriminator_plan(
    generator: GeneratorPlan, *, ch: int = 64, attention: str = "64", depth: int = 2
) -> DiscriminatorPlan:
    """The reference's discriminator for the images of `generator`."""
    deep, channels, resolution = generator.deep, generator.channels, generator.resolution
    places = _places(attention)
    widths = [ch * width for width in _stages(DISCRIMINATOR_STAGES, resolution)]
    if not deep:
        widths = [channels, *widths]
    stages: list[tuple[Block, ...]] = []
    for stage, (inputs, outputs) in enumerate(pairwise(widths)):
        # The reference stops at 8x8 when the image is 32x32 and at 4x4 otherwise, and calls all of 32's stages "16".
        resample = stage < 2 if resolution == 32 else resolution >> stage > 4
        attends = (16 if resolution == 32 else max(4, resolution >> stage + 1)) in places
        hidden = outputs // SHRINK if deep else outputs
        first = Block(inputs, hidden, outputs, resample, attends and (not deep or depth == 1))
        rest = [Block(outputs, hidden, outputs, False) for _ in range(depth - 1 if deep else 0)]
        if rest and attends:
            rest[-1] = Block(outputs, hidden, outputs, False, True)
        stages.append((first, *rest))
    return DiscriminatorPlan(deep, channels, resolution, tuple(stages), generator.num_classes)


def to_json(plan: GeneratorPlan | DiscriminatorPlan) -> dict[str, Any]:
    return asdict(plan)


def generator_from_json(config: Mapping[str, Any]) -> GeneratorPlan:
    blocks = tuple(Block(**block) for block in config["blocks"])
    return GeneratorPlan(**{**config, "blocks": blocks})


def discriminator_from_json(config: Mapping[str, Any]) -> DiscriminatorPlan:
    stages = tuple(tuple(Block(**block) for block in stage) for stage in config["blocks"])
    return DiscriminatorPlan(**{**config, "blocks": stages})


def _stages(table: Mapping[int, tuple[int, ...]], resolution: int) -> tuple[int, ...]:
    if resolution not in table:
        raise MineganError(f"BigGAN is defined for {', '.join(map(str, table))} pixels, not for {resolution}")
    return table[resolution]


def latent_spaces(
    *, dim_z: int, class_dim: int, conditioned: int, prior: Prior = "normal", scale: float = 1.0
) -> dict[str, LatentSpace]:
    """The latent spaces of a network with classes."""
    return {
        "z": LatentSpace((dim_z,), prior, scale),
        "class": LatentSpace((class_dim,), "class-embedding"),
        "class+": LatentSpace((conditioned, class_dim), "class-embedding"),
    }


def _places(attention: str) -> set[int]:
    try:
        return {int(place) for place in attention.split("_") if place}
    except ValueError:
        raise MineganError(f"attention={attention!r} is not a list of resolutions such as '32_64'") from None
