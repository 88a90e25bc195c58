"""Load and save sources, bring their images to the canonical one, name their parameters, free them by pattern.

May import contracts, registry and weights only.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import (
    Code,
    Critic,
    GeneratorEntry,
    GeneratorSource,
    ImageSpec,
    LoadedFrom,
    MineganError,
    Miner,
    Stage,
)
from minegan_zoo.options import options_of
from minegan_zoo.registry import generators
from minegan_zoo.weights import SavedSource, fetch, is_source_folder, load_strict, read_source, write_source

TRUNCATED_AT = 2.0  # standard deviations, where the truncated normal of BigGAN ends


def load_source(name: str, weights: str | Path | None = None, **options: Any) -> GeneratorSource:
    """A generator by name: "family" with `weights` (file, folder, URL or `hf-hub:owner/name`), or "family.tag".

    Raises MineganError for an unknown name, a family without weights, unreadable weights or a wrong option.
    """
    entry = generators.entry(name)
    reference = str(weights) if weights is not None else entry.card.weights if entry.card else ""
    if not reference and entry.image is None:
        raise MineganError(_needs_weights(name, entry))
    checked = generators.check(name, options)
    digests = entry.card.sha256 if entry.card and weights is None else {}
    source = entry.build(fetch(reference, digests) if reference else None, **checked)
    source.loaded_from = LoadedFrom(name, None if weights is None else str(weights), checked)
    as_module(source).eval()
    return source


def _needs_weights(name: str, entry: GeneratorEntry) -> str:
    tags = [tag for tag in generators.list(f"{name}.*") if not tag.endswith(".tiny")]
    reads = (entry.build.__doc__ or "").strip().split("\n")[0]
    return (
        f"{name!r} is a family and needs weights: give them as {name}=PATH (in Python: load_source({name!r}, PATH)) or "
        f"choose one of its pretrained names: {', '.join(tags) or 'none is installed'}. What it is and reads: {reads}"
    )


def save_source(
    source: GeneratorSource, folder: Path, critic: Critic | None = None, dtype: torch.dtype | None = None
) -> None:
    """Write a source folder; `critic` (by default its own) becomes its discriminator. Floats are cast to `dtype`."""
    if source.loaded_from is None:
        raise MineganError(f"{type(source).__name__} cannot be saved: make it with load_source(...) or create(...)")
    config = source.config()
    name = source.loaded_from.name
    family = name.split(".")[0]
    discriminator = critic or source.own_critic()
    saved = SavedSource(
        family=family if config is not None and family in generators.list() else name,
        config=None if config is None else dict(config),
        options=dict(source.loaded_from.options),
        generator=as_module(source).state_dict(),
        discriminator=None if discriminator is None else as_module(discriminator).state_dict(),
    )
    write_source(folder, saved, dtype)


def open_source(folder: Path, loaded_from: LoadedFrom) -> GeneratorSource:
    """Rebuild what `save_source` wrote. `loaded_from` rebuilds sources whose family knows no config."""
    if not is_source_folder(folder):
        raise MineganError(f"{folder} is not a source folder: it holds no source.json")
    saved = read_source(folder)
    if saved.config is not None:
        entry = generators.entry(saved.family)
        # options whose default is None are inferred from what is saved
        kept = {option.name for option in options_of(entry.build) if option.default is not None}
        options = {name: value for name, value in saved.options.items() if name in kept}
        source = entry.build(folder, **generators.check(saved.family, options))
    else:
        source = load_source(loaded_from.name, loaded_from.weights, **loaded_from.options)
        load_strict(as_module(source), saved.generator, f"the source {loaded_from.name!r} in {folder}")
        critic = source.own_critic()
        if critic is not None and saved.discriminator is not None:
            load_strict(as_module(critic), saved.discriminator, f"the critic of {loaded_from.name!r} in {folder}")
    source.loaded_from = loaded_from
    as_module(source).eval()
    return source


def as_module(part: Any) -> nn.Module:
    """A source, critic, miner or selector seen as the module that it is."""
    if not isinstance(part, nn.Module):
        raise MineganError(f"{type(part).__name__} must also be a torch.nn.Module (see minegan_zoo.contracts)")
    return part


# The canonical image


def canonical_image(sources: Sequence[GeneratorSource], target_channels: int, adopted: ImageSpec | None) -> ImageSpec:
    """Where sources of different size and channels meet: the adopted critic's resolution, else the largest source's.

    RGB unless the target and all sources are grey.
    """
    resolution = adopted.resolution if adopted else max(source.image.resolution for source in sources)
    grey = target_channels == 1 and all(source.image.channels == 1 for source in sources)
    return ImageSpec(1 if grey else 3, resolution)


def to_image(images: Tensor, image: ImageSpec) -> Tensor:
    """(n, C, H, W) -> (n, image.channels, image.resolution, image.resolution); differentiable, antialiased."""
    if images.shape[1] == 1 and image.channels == 3:
        images = images.expand(-1, 3, -1, -1)
    elif images.shape[1] == 3 and image.channels == 1:
        from kornia.color import rgb_to_grayscale  # slow to import, and rarely needed

        images = rgb_to_grayscale(images)
    elif images.shape[1] != image.channels:
        raise MineganError(f"images of {images.shape[1]} channels cannot become {image}: only grey and RGB are known")
    size = (image.resolution, image.resolution)
    if images.shape[2:] == size:
        return images
    return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)


class DroppedSource(nn.Module, GeneratorSource):
    """What is left of a source that is never chosen again: where it came from."""

    inputs = ()

    def __init__(self, image: ImageSpec, loaded_from: LoadedFrom | None) -> None:
        super().__init__()
        self.image, self.latents, self.loaded_from = image, {}, loaded_from

    def prior(self, n: int, keys: frozenset[str], rng: Generator) -> dict[str, Tensor]:
        raise MineganError("this source was dropped while it was mined: load it anew")

    def synthesize(self, code: Code) -> Tensor:
        raise MineganError("this source was dropped while it was mined: load it anew")

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {}


# Codes without a miner


def noise_dim_of(sources: Sequence[GeneratorSource]) -> int:
    """The largest flattened z among the sources."""
    sizes = [torch.Size(source.latents["z"].shape).numel() for source in sources if "z" in source.latents]
    if not sizes:
        raise MineganError("none of the sources has a latent space 'z': set noise_dim")
    return max(sizes)


def key_set(source: GeneratorSource, spaces: Sequence[str] = ()) -> tuple[frozenset[str], tuple[str, ...]]:
    """The first of the source's inputs that has a match for every pattern, and the latent spaces that match.

    Without patterns: its default input, whole. Raises MineganError where no input has them.
    """
    if not spaces:
        return source.inputs[0], tuple(name for name in source.latents if name in source.inputs[0])
    for keys in source.inputs:
        found = [fnmatch.filter(keys, pattern) for pattern in spaces]
        if all(found):
            return keys, tuple(name for name in source.latents if any(name in names for names in found))
    name = source.loaded_from.name if source.loaded_from else type(source).__name__
    raise MineganError(f"{name} has no latent spaces {' and '.join(spaces)}, only {', '.join(source.latents)}")


def code_from_noise(
    source: GeneratorSource, u: Tensor, rng: Generator, keys: frozenset[str] | None = None
) -> dict[str, Tensor]:
    """The unmined code of u for `keys`, by default the source's default input.

    z is read from u's first dimensions in the prior's geometry; what u has not, and the rest, is drawn from `rng`.
    """
    keys = source.inputs[0] if keys is None else keys
    rest = keys - {"z"} if "z" in keys else keys
    code = source.prior(len(u), rest, rng) if rest else {}
    if "z" in keys:
        space = source.latents["z"]
        size = torch.Size(space.shape).numel()
        missing = torch.randn(len(u), max(0, size - u.shape[1]), generator=rng).to(u)
        z = torch.cat([u[:, :size], missing], 1)
        if space.prior == "sphere":
            z = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        elif space.prior == "truncated":
            z = _truncate(z) * space.scale
        code["z"] = z.reshape(-1, *space.shape)
    return code


def _truncate(z: Tensor) -> Tensor:
    """The quantile transform from N(0, 1) to its part within the bounds, kept monotonic in every coordinate."""
    inside = 2 * torch.special.ndtr(z.new_tensor(TRUNCATED_AT).double()) - 1
    return torch.special.ndtri(0.5 + (torch.special.ndtr(z.double()) - 0.5) * inside).to(z.dtype)


# Parameters by name


Groups = Mapping[str, Mapping[str, nn.Parameter]]
"""Name of a group -> name of a parameter within its part -> the parameter."""


def lr_scales(sources: Sequence[GeneratorSource], critic: Critic) -> dict[str, float]:
    """What the learning rates of groups are multiplied with, by the beginning of their names."""
    return {"critic/": critic.lr_scale} | {f"sources/{i}/": source.lr_scale for i, source in enumerate(sources)}


def named_groups(
    sources: Sequence[GeneratorSource],
    miners: Sequence[Miner],
    critic: Critic,
    stage: Stage | None = None,
) -> dict[str, dict[str, nn.Parameter]]:
    """Every group that a stage may train: "critic/GROUP", "miners/I", "sources/I/GROUP" and its regularisers' own.

    Those are "regularisers/I" and, of the critic's, "critic_regularisers/I".
    """

    def groups_of(prefix: str, part: Any) -> dict[str, dict[str, nn.Parameter]]:
        names = {parameter: name for name, parameter in as_module(part).named_parameters()}
        return {
            f"{prefix}/{group}": {names[parameter]: parameter for parameter in parameters}
            for group, parameters in part.groups().items()
        }

    groups = groups_of("critic", critic)
    for index, miner in enumerate(miners):
        groups[f"miners/{index}"] = dict(as_module(miner).named_parameters())
    for index, source in enumerate(sources):
        groups |= groups_of(f"sources/{index}", source)
    for name, part in regulariser_modules(stage).items() if stage else ():
        groups[name] = dict(part.named_parameters())
    return groups


def regulariser_modules(stage: Stage) -> dict[str, nn.Module]:
    """The stage's regularisers that have weights, by the names of their groups."""
    every = {"regularisers": stage.regularisers, "critic_regularisers": stage.critic_regularisers}
    return {
        f"{kind}/{index}": regulariser
        for kind, regularisers in every.items()
        for index, regulariser in enumerate(regularisers)
        if isinstance(regulariser, nn.Module)
    }


def match_groups(pattern: str, groups: Groups) -> dict[str, list[nn.Parameter]]:
    """Group -> its parameters that `pattern` names (shell-style; a group stands for all below it).

    What follows a colon is matched with the parameters' names: "sources/*:*.bias". Raises MineganError where there are
    none.
    """
    place, _, name = pattern.partition(":")
    found = {}
    for group, parameters in groups.items():
        if fnmatch.fnmatchcase(group, place) or fnmatch.fnmatchcase(group, f"{place}/*"):
            chosen = [parameter for key, parameter in parameters.items() if fnmatch.fnmatchcase(key, name or "*")]
            if chosen:
                found[group] = chosen
    if not found:
        raise MineganError(f"the pattern {pattern!r} matches none of the parameter groups: {', '.join(groups)}")
    return found


@contextmanager
def frozen(part: Any) -> Iterator[None]:
    """Within, no parameter of `part` gets a gradient."""
    parameters = [parameter for parameter in as_module(part).parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
