"""From a run's configuration to its parts: images, canonical image, critic, miners, selector, model.

May import everything below the trainer, and registry.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from minegan_zoo import registry
from minegan_zoo.config import RunConfig
from minegan_zoo.contracts import Critic, GeneratorSource, ImageSpec, MineganError, Miner, Strategy
from minegan_zoo.critic_choice import build_critic, choose_critic, image_of_critic
from minegan_zoo.data import ImageSet, hold_out, load_images
from minegan_zoo.devices import device_of
from minegan_zoo.method import Method
from minegan_zoo.method_choice import (
    choose_augmentation,
    choose_per_layer,
    choose_psi,
    choose_relativistic,
    choose_strategy,
)
from minegan_zoo.mined_source import title_of
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.optimizers import check_rates
from minegan_zoo.recipe import Recipe
from minegan_zoo.saved import build_miner, mined_spaces, open_any, takes_classes
from minegan_zoo.sources import (
    as_module,
    canonical_image,
    match_groups,
    named_groups,
    noise_dim_of,
)

PRIOR_DRAWS = 4096


@dataclass(frozen=True)
class Assembly:
    """The parts of a run, ready to be trained."""

    config: RunConfig
    """Resolved: what was left open is what this run uses."""
    model: MinedGAN
    method: Method
    target: ImageSet
    """What is trained on."""
    held_out: ImageSet | None
    """Target images that are not, to watch over training."""
    test: ImageSet | None
    steps: int
    seen: frozenset[str]
    """Digests of all images that are trained on, and of those that the sources know to have been."""
    notes: tuple[str, ...]
    """What its user should know, each said once."""

    @property
    def real(self) -> ImageSet | None:
        """What samples are measured against; None where that is not asked for or a single image is no measure."""
        real = self.test or self.target
        return real if self.config.training.fid_samples and len(real) > 1 else None

    def source_names(self) -> list[str]:
        """A distinct name for each source, without the folders that lead to it."""
        short = [title_of(source) for source in self.model.sources]
        return [name if short.count(name) == 1 else f"{name} #{index}" for index, name in enumerate(short)]

    def facts(self) -> dict[str, Any]:
        """What the report tells of the start, as JSON values."""
        return {
            "steps": self.steps,
            "mines": bool(self.model.miner_modules),
            "sources": [title_of(source) for source in self.model.sources],
            "target_images": len(self.target),
            "held_out": len(self.held_out) if self.held_out else 0,
            "image": asdict(self.model.image),
            "adopted": self.model.recipe.adopted if self.model.recipe else None,
            "notes": self.notes,
        }


def assemble(
    config: RunConfig, target: Any = None, test: Any = None, sources: Sequence[GeneratorSource] | None = None
) -> Assembly:
    """Build every part. `target`, `test` and `sources` stand in for what the configuration names, where given."""
    config = config.checked()
    device_of(config.device)
    notes: list[str] = []
    torch.manual_seed(config.seed)
    sources = _open_sources(config) if sources is None else [copy.deepcopy(source) for source in sources]
    if not sources:
        raise MineganError("name at least one source (see: minegan-zoo list generators)")
    given = config.target if target is None else target
    config, adopted = choose_critic(config, given, sources, notes)
    image = canonical_image(sources, 3, image_of_critic(config, sources, adopted))
    if config.resolution is not None:
        image = replace(image, resolution=config.resolution)
    images = _load_target(config, given, image, sources)
    notes += _notes_on_images(config, images, sources)
    before = frozenset[str]().union(*(source.trained_on for source in sources))
    tested = _load_test(config.test if test is None else test, images, before)

    config, strategy = choose_strategy(config, notes)
    steps = config.steps or strategy.default_steps
    strategy.for_sources(len(sources))
    stages = strategy.stages(steps)
    notes += strategy.notes(steps)
    config, images = _settle_labels(config, images, strategy, notes)
    images, held_out = hold_out(images, config.training.hold_out, config.seed)
    config, per_layer = choose_per_layer(config, len(images), strategy, sources, notes)
    config = choose_psi(config, len(images), strategy, sources, notes)
    config = choose_augmentation(config, len(images), strategy, stages, notes)
    if held_out is None and any(stage.until for stage in stages):
        notes.append("no target image is held out, so no rule can end a stage: each takes all of its steps")
    for stage in stages:  # a later stage's too: nobody is to mine for hours and then be told
        check_rates(stage, stage.train)
    model, critic = _build_model(config, images, sources, adopted, strategy, per_layer)
    if type(strategy).prepare is Strategy.prepare:  # else parts may come that patterns name
        for stage in stages:
            groups = named_groups(sources, model.miners, critic, stage)
            for pattern in stage.train:
                match_groups(pattern, groups)
    config = choose_relativistic(config, len(images), strategy, critic, notes)
    objective, augmentation = config.objective, config.augmentation
    method = Method(
        strategy,
        critic,
        registry.objectives.create(objective.name, **objective.options),
        None if augmentation is None else registry.augmentations.create(augmentation.name, **augmentation.options),
    )
    real = tested or images
    if config.training.fid_samples and len(real) < 2:
        notes.append(
            f"{real.origin} has a single image, and FID and KID need at least 2: the run goes without them; give more "
            "images, or others to measure against (--test)"
        )
    resolved = replace(config, steps=steps, resolution=model.image.resolution, noise_dim=model.noise_dim)
    if held_out is not None and (shared := len(held_out.image_digests() & before)):
        notes.append(
            f"{shared} of {len(held_out)} images that are held out to judge by were trained on when a source was mined"
        )
    seen = images.image_digests() | before
    return Assembly(resolved, model, method, images, held_out, tested, steps, seen, tuple(notes))


def _open_sources(config: RunConfig) -> list[GeneratorSource]:
    """The sources that the configuration names; a mined model among them gives all of its own."""
    opened = [open_any(choice.name, choice.weights, **choice.options) for choice in config.sources]
    return [source for group in opened for source in group]


def _load_test(real: Any, images: ImageSet, before: frozenset[str]) -> ImageSet | None:
    """Real images to measure against, in the target's form.

    MineganError where some of them are the target's, or are among those that a source was trained on `before`.
    """
    if real is None:
        return None
    tested = load_images(real, images.image)
    if overlap := len(tested.image_digests() & images.image_digests()):
        raise MineganError(f"{overlap} of the test images are target images too: take them out of one of the two")
    if overlap := len(tested.image_digests() & before):
        raise MineganError(f"{overlap} of the test images were trained on when a source was mined: give others")
    return tested


def _build_model(
    config: RunConfig,
    images: ImageSet,
    sources: Sequence[GeneratorSource],
    adopted: int | None,
    strategy: Strategy,
    per_layer: bool,
) -> tuple[MinedGAN, Critic]:
    """Critic, miners and selector, new; the model has them and the sources.

    Raises MineganError for labels that neither a miner nor the source can take.
    """
    noise_dim, num_classes = config.noise_dim or noise_dim_of(sources), len(images.class_names)
    critic = build_critic(config, sources, adopted, images.image, num_classes, strategy.mines)
    known = {count for count in (critic.num_classes, *(source.num_classes for source in sources)) if count}
    if num_classes and not strategy.mines and known != {num_classes}:
        raise MineganError(
            f"the images have {num_classes} classes, source and critic {sorted(known) or 'none'}: without miners, "
            "labels need a source of as many classes"
        )
    recipe = Recipe(
        miner=config.miner.name,
        miner_options=dict(config.miner.options),
        selector=config.selector.name,
        selector_options=dict(config.selector.options),
        critic=config.critic.name,
        critic_options=dict(config.critic.options),
        adopted=adopted,
        strategy=config.strategy.name,
        target=images.origin,
        choose=config.choose,
        per_layer=per_layer,
        psi=1.0 if config.training.psi is None else config.training.psi,
    )
    miners = [build_miner(recipe, source, noise_dim, num_classes) for source in sources] if strategy.mines else []
    for miner, source in zip(miners, sources, strict=False):
        _show_prior(miner, source, mined_spaces(recipe, source))
    selector = registry.selectors.create(config.selector.name, len(sources), **config.selector.options)
    model = MinedGAN(sources, miners, selector, images.image, noise_dim, critic, images.class_names)
    model.recipe = recipe
    return model, critic


def _show_prior(miner: Miner, source: GeneratorSource, spaces: Sequence[str]) -> None:
    """Let a miner begin from draws of those of its spaces whose prior no spec can tell."""
    unknown = frozenset(name for name in spaces if source.latents[name].prior in ("class-embedding", "mapped"))
    if unknown:
        with torch.no_grad():
            miner.start_from(source.prior(PRIOR_DRAWS, unknown, torch.Generator().manual_seed(0)))


def _notes_on_images(config: RunConfig, images: ImageSet, sources: Sequence[GeneratorSource]) -> list[str]:
    """What could not be read, and which sources' images are brought to another form."""
    notes = [f"skipped {skipped.name}: {skipped.reason}" for skipped in images.skipped]
    if images.skipped:
        notes.append(f"{len(images.skipped)} of {len(images.skipped) + len(images)} target images could not be read")
    for source in sources:
        if source.image != images.image:
            larger = source.image.resolution > images.image.resolution and config.resolution is None
            notes.append(
                f"{title_of(source)} makes {source.image} images; they are brought to the canonical {images.image}"
                f"{f', which --resolution {source.image.resolution} would change' if larger else ''}"
            )
    return notes


def _settle_labels(
    config: RunConfig, images: ImageSet, strategy: Strategy, notes: list[str]
) -> tuple[RunConfig, ImageSet]:
    """Use the classes that the target was found to have where the method can; MineganError where it was told to."""
    usable = not strategy.mines or takes_classes(config.miner.name)
    if config.labels and not usable:
        raise MineganError(f"the miner {config.miner.name!r} takes no classes: choose 'mlp' or 'labelled'")
    if images.class_names and config.labels is None:
        found = f"the target has {len(images.class_names)} classes ({', '.join(images.class_names)})"
        if usable and strategy.mines:
            notes.append(f"{found}: the model is conditioned on them; --no-labels ignores them")
        else:
            notes.append(f"{found}, which this {'miner' if strategy.mines else 'strategy'} ignores")
            images = replace(images, labels=None, class_names=())
    return replace(config, labels=bool(images.class_names)), images


def _load_target(config: RunConfig, target: Any, image: ImageSpec, sources: Sequence[GeneratorSource]) -> ImageSet:
    """The target's images in the canonical form: grey only if they and all sources are grey."""
    images = load_images(target, replace(image, channels=3), limit=config.limit, seed=config.seed, labels=config.labels)
    first = images.images[:, :1]
    if not all(source.image.channels == 1 for source in sources) or not bool((images.images == first).all()):
        return images
    grey = first.contiguous()
    return replace(images, images=grey, digest=hashlib.sha256(grey.numpy().tobytes()).hexdigest())


def move_to(assembly: Assembly, device: torch.device, *, channels_last: bool = False) -> None:
    """Move model, critic and augmentation to a device."""
    order = torch.channels_last if channels_last else torch.preserve_format
    assembly.model.to(device, memory_format=order)  # type: ignore[call-overload]
    as_module(assembly.method.critic).to(device, memory_format=order)  # type: ignore[call-overload]
    if assembly.method.augmentation is not None:
        as_module(assembly.method.augmentation).to(device)
