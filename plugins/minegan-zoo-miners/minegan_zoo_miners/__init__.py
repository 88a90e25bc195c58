"""Miners beyond the paper's, for minegan_zoo. Light: imports contracts only, builders import torch when called.

Which one: `mlp` (the core's) or `residual` first; `w` where a StyleGAN's z is too tangled; `wplus` and `layerwise`
where W is too tight (more freedom, more images needed); `affine` or `gaussian-mixture` for a handful of images;
`noise` where textures differ; `flow` where a density is wanted; `labelled` where the target has classes.

Every miner works in coordinates in which the prior is N(0, I) and stays within the prior's geometry: on ProGAN's
sphere, within the bounds of BigGAN's truncated normal; class embeddings are free, in units of the classes' own spread.
Every miner takes classes (`num_classes`, filled in by a run with labels); only `labelled` insists on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from minegan_zoo.contracts import API, LatentSpace, MineganError, Miner, MinerEntry, hookimpl

MINEGAN_ZOO_API = API
Latents = Mapping[str, LatentSpace]


def build_residual(
    latents: Latents, noise_dim: int, *, width: int = 128, depth: int = 3, num_classes: int = 0
) -> Miner:
    """The unmined code plus a network of u that is zero at first: step 0 is the source itself.

    z is read from u's first dimensions, brought to its prior, and class from its prior's mean; each space has a fully
    connected network of `depth` layers, `width` wide, whose last layer starts at zero (as in Fixup, arXiv 1901.09321).
    When: target and source are close, so that most of what the source makes is right. In a study at 32x32 (MNIST to
    digit 4, 100 images, 300 steps) it ended at FID 30 and recall .71, the paper's MLP at 17 and .65: it lets go of the
    source more slowly and keeps more diversity.
    """
    from minegan_zoo_miners import building

    building.check_size("residual", width, depth)
    return building.residual(latents, noise_dim, width, depth, num_classes)


def build_affine(latents: Latents, noise_dim: int, *, rank: int | None = None, num_classes: int = 0) -> Miner:
    """z = mean + L u: learns the target's mean and covariance in the latent space, and nothing else.

    L is lower-triangular (`rank` 0), or diagonal plus a product of that rank; by default triangular up to 1024
    dimensions, else of rank 64. It starts as the identity. Class embeddings start at their prior's mean and get a
    linear map of u; classes of the target get means of their own. When: very few images (about 10 to 30), where larger
    miners memorise: it can move and squeeze the prior, but not bend it.
    """
    from minegan_zoo_miners import building

    if rank is not None and rank < 0:
        raise MineganError(f"the miner 'affine' takes a rank of 0 (triangular) or more, not {rank}")
    return building.affine(latents, noise_dim, rank, num_classes)


def build_w(latents: Latents, noise_dim: int, *, width: int = 128, depth: int = 3, num_classes: int = 0) -> Miner:
    """Mines StyleGAN's W, behind the mapping network: one w for all layers.

    Starts as the normal distribution with the mean and covariance of the source's own w (Wulff and Torralba, 2020,
    arXiv 2009.06529), plus a network of u that is zero at first. When: the target is a part of what the source can
    make, but scattered in z; W is flatter than z, and keeps images plausible better than w+. The source's own
    truncation is passed by: it acts between z and w.
    """
    from minegan_zoo_miners import building

    building.needs("w", latents, "w")
    building.check_size("w", width, depth)
    return building.residual(latents, noise_dim, width, depth, num_classes)


def build_wplus(latents: Latents, noise_dim: int, *, width: int = 128, depth: int = 3, num_classes: int = 0) -> Miner:
    """Mines StyleGAN's W+: a w for every layer, from one trunk with a head a layer.

    The space of Abdal et al. (2019, arXiv 1904.03189). Starts with all layers alike, as `w` does. When: the target
    combines coarse and fine features as the source never does (its shapes with other colours, say) and there are
    enough images to say how, about 100.
    """
    from minegan_zoo_miners import building

    building.needs("wplus", latents, "w+")
    building.check_size("wplus", width, depth)
    return building.residual(latents, noise_dim, width, depth, num_classes)


def build_layerwise(
    latents: Latents, noise_dim: int, *, width: int = 32, depth: int = 2, num_classes: int = 0
) -> Miner:
    """One small independent miner for every synthesis layer of a StyleGAN, in W+.

    The networks share u and no weights: what one layer needs cannot disturb another, unlike in `wplus`. All start as
    `w` does. When: as `wplus`, where only some layers (colours, textures) have to change.
    """
    from minegan_zoo_miners import building

    building.needs("layerwise", latents, "w+")
    building.check_size("layerwise", width, depth)
    return building.layerwise(latents, noise_dim, width, depth, num_classes)


def build_noise(
    latents: Latents,
    noise_dim: int,
    *,
    width: int = 128,
    depth: int = 3,
    map_width: int = 32,
    detail: int = 8,
    seed: int = 0,
    num_classes: int = 0,
) -> Miner:
    """Mines a StyleGAN's z and its spatial noise maps, after the authors' StyleGAN variant.

    z as by `residual`. A noise map is standard normal noise, fixed by `seed`, times a gain plus a shift: smooth maps
    of at most `detail` x `detail` that a small network of u (`map_width` wide) makes for each noise map, brought to
    its size. (The authors' code instead generates the four smallest maps whole, from noise of their own.) Gain 1 and
    shift 0 at first. When: fine, local structure differs (textures, strokes, hair) while objects and poses agree.
    """
    from minegan_zoo_miners import building

    building.needs("noise", latents, "z", "noise.*")
    building.check_size("noise", width, depth)
    if min(detail, map_width) < 1:
        raise MineganError(
            f"the miner 'noise' takes a detail and a map_width of at least 1, not {detail} and {map_width}"
        )
    return building.noise(latents, noise_dim, width, depth, map_width, detail, seed, num_classes)


def build_flow(latents: Latents, noise_dim: int, *, width: int = 128, depth: int = 8, num_classes: int = 0) -> Miner:
    """An invertible miner of z with an exact log-density: `log_density(code)` (n,) in nats, `inverse(code)` -> u.

    `depth` affine coupling layers (RealNVP, Dinh et al., 2017, arXiv 1605.08803), the identity at first; they need
    base noise of at least z's dimensions, and dimensions beyond those do not enter z. Class embeddings and other
    spaces are made as by `residual` and are no part of the density. When: one wants to know how likely a code is under
    the target (to rank, filter or compare), or fears that a miner collapses: an invertible one cannot map two u to one
    z.
    """
    from minegan_zoo_miners import building

    building.needs("flow", latents, "z")
    building.check_size("flow", width, depth)
    return building.flow(latents, noise_dim, width, depth, num_classes)


def build_gaussian_mixture(
    latents: Latents, noise_dim: int, *, components: int = 8, spread: float = 0.5, num_classes: int = 0
) -> Miner:
    """K normal distributions with learned means, scales and weights; one latent class embedding a component.

    u's first coordinate chooses the component (its quantile falls in one of K intervals, as long as the weights) and
    what is left of it is normal noise again, so the code is a function of u: smooth within a component, with jumps
    between. Weights learn by ReinMax's straight-through gradient (arXiv 2304.08612). Means start with variance
    `spread`^2, scales with 1 - `spread`^2: together the prior. Classes of the target share components and get weights
    of their own. When: the target lies in several places of the source (a few of its classes, say), or one wants to
    see and name them.
    """
    from minegan_zoo_miners.mixture import GaussianMixture

    return GaussianMixture(latents, noise_dim, components, spread, num_classes)


def build_labelled(
    latents: Latents, noise_dim: int, *, width: int = 128, depth: int = 3, num_classes: int = 0
) -> Miner:
    """The paper's fully connected miner conditioned on the target's classes; needs a target with two or more.

    Classes scale and shift every hidden unit (FiLM, Perez et al., 2018, arXiv 1709.07871) and move the code by an
    offset of their own; all classes are alike at first. When: samples are to be asked by class, and the classes are
    too few images each (below about 50) for a model of their own: they share the trunk. `residual` with labels keeps
    closer to the source.
    """
    from minegan_zoo_miners import building

    if num_classes < 2:
        raise MineganError(
            f"the miner 'labelled' needs a target with at least 2 classes, not {num_classes}: give the target folder "
            "one sub-folder per class and mine with labels (in Python: num_classes=K), or choose the miner 'mlp'"
        )
    building.check_size("labelled", width, depth)
    return building.labelled(latents, noise_dim, width, depth, num_classes)


@hookimpl
def register_miners(register: Callable[[MinerEntry], None]) -> None:
    register(MinerEntry("residual", build_residual))
    register(MinerEntry("affine", build_affine))
    register(MinerEntry("w", build_w, ("w",)))
    register(MinerEntry("wplus", build_wplus, ("w+",)))
    register(MinerEntry("layerwise", build_layerwise, ("w+",)))
    register(MinerEntry("noise", build_noise, ("z", "noise.*")))
    register(MinerEntry("flow", build_flow))
    register(MinerEntry("gaussian-mixture", build_gaussian_mixture))
    register(MinerEntry("labelled", build_labelled))
