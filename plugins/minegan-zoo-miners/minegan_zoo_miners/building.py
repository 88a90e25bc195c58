"""From a builder's options to a miner: which part makes which space. May import this package's own."""

from __future__ import annotations

import math
from collections.abc import Mapping

from minegan_zoo.contracts import LatentSpace, MineganError
from minegan_zoo_miners.affine import Affine, AffineEmbedding
from minegan_zoo_miners.flow import Flow, FlowPart
from minegan_zoo_miners.miner import Part, PartwiseMiner, noise_maps, vectors
from minegan_zoo_miners.residual import FromNothing, NoiseMap, Residual, RowResiduals

Latents = Mapping[str, LatentSpace]
TRIANGULAR_UP_TO, RANK_BEYOND = 1024, 64


def needs(name: str, latents: Latents, *wanted: str) -> None:
    """MineganError unless the spaces that the miner `name` is about are there; "noise.*" stands for any of them."""
    for space in wanted:
        if not any(key.startswith(space.removesuffix("*")) if "*" in space else key == space for key in latents):
            raise MineganError(
                f"the miner {name!r} makes {' and '.join(wanted)} and was given {', '.join(latents)}: use it on a "
                "source with these latent spaces (a StyleGAN has all), or choose the miner 'residual', which fits any"
            )


def check_size(name: str, width: int, depth: int) -> None:
    """MineganError for a network without hidden units."""
    if depth < 2:
        raise MineganError(f"the miner {name!r} needs a depth of at least 2 layers, not {depth}")
    if width < 1:
        raise MineganError(f"the miner {name!r} needs a width of at least 1 unit, not {width}")


def residual(latents: Latents, noise_dim: int, width: int, depth: int, num_classes: int) -> PartwiseMiner:
    """A residual part for every space."""

    def make(space: LatentSpace) -> Part:
        return Residual(space, noise_dim, width, depth, num_classes)

    return PartwiseMiner(vectors(latents, make) | noise_maps(latents), noise_dim, num_classes)


def layerwise(latents: Latents, noise_dim: int, width: int, depth: int, num_classes: int) -> PartwiseMiner:
    """A network of its own for every row of a space of rows."""

    def make(space: LatentSpace) -> Part:
        kind = RowResiduals if len(space.shape) == 2 else Residual
        return kind(space, noise_dim, width, depth, num_classes)

    return PartwiseMiner(vectors(latents, make) | noise_maps(latents), noise_dim, num_classes)


def labelled(latents: Latents, noise_dim: int, width: int, depth: int, num_classes: int) -> PartwiseMiner:
    """A network from random weights for every space."""

    def make(space: LatentSpace) -> Part:
        return FromNothing(space, noise_dim, width, depth, num_classes)

    return PartwiseMiner(vectors(latents, make) | noise_maps(latents), noise_dim, num_classes)


def noise(
    latents: Latents, noise_dim: int, width: int, depth: int, map_width: int, detail: int, seed: int, num_classes: int
) -> PartwiseMiner:
    """A residual part for every vector, scaled and shifted noise for every map."""

    def make(space: LatentSpace) -> Part:
        return Residual(space, noise_dim, width, depth, num_classes)

    def make_map(space: LatentSpace, place: int) -> Part:
        return NoiseMap(space, noise_dim, map_width, detail, seed + place, num_classes)

    return PartwiseMiner(vectors(latents, make) | noise_maps(latents, make_map), noise_dim, num_classes)


def affine(latents: Latents, noise_dim: int, rank: int | None, num_classes: int) -> PartwiseMiner:
    """An affine part for every space."""

    def make(space: LatentSpace) -> Part:
        if space.prior == "class-embedding":
            return AffineEmbedding(space, noise_dim, num_classes)
        size = math.prod(space.shape)
        chosen = rank if rank is not None else 0 if size <= TRIANGULAR_UP_TO else RANK_BEYOND
        return Affine(space, noise_dim, chosen, num_classes)

    return PartwiseMiner(vectors(latents, make) | noise_maps(latents), noise_dim, num_classes)


def flow(latents: Latents, noise_dim: int, width: int, depth: int, num_classes: int) -> Flow:
    """A flow in z, and what `residual` makes of the other spaces."""
    others = {name: space for name, space in latents.items() if name != "z"}
    rest = residual(others, noise_dim, width, 3, num_classes)
    parts = {name: rest.part(name) for name in others}
    return Flow(FlowPart(latents["z"], noise_dim, width, depth, num_classes), parts, noise_dim, num_classes)
