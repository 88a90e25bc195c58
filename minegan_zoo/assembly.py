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
from minegan_zoo.config import Choice, RunConfig
from minegan_zoo.contracts import Critic, GeneratorSource, ImageSpec, MineganError, Objective, Strategy
from minegan_zoo.data import ImageSet, load_images
from minegan_zoo.method import Method
from minegan_zoo.minegan import MinedGAN, Recipe
from minegan_zoo.saved import build_miner, open_any
from minegan_zoo.sources import adopt_critic, as_module, canonical_image, load_source, noise_dim_of


@dataclass(frozen=True)
class Assembly:
    """The parts of a run, ready to be trained."""

    config: RunConfig
    """Resolved: what was left open is what this run uses."""
    model: MinedGAN
    method: Method
    target: ImageSet
    test: ImageSet | None
    steps: int
    notes: tuple[str, ...]
    """What its user should know, each said once."""

    def facts(self) -> dict[str, Any]:
        """What the report tells of the start, as JSON values."""
        named = [source.loaded_from.name if source.loaded_from else "" for source in self.model.sources]
        return {
            "steps": self.steps,
            "mines": bool(self.model.miner_modules),
            "sources": named,
            "target_images": len(self.target),
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
    if sources is None:
        opened = [open_any(choice.name, choice.weights, **choice.options) for choice in config.sources]
        sources = [source for group in opened for source in group]
    else:
        sources = [copy.deepcopy(source) for source in sources]
    if not sources:
        raise MineganError("name at least one source (see: minegan-zoo list generators)")
    config, adopted = _choose_critic(config, sources, notes)
    adopted_image = _image_of_critic(config, sources, adopted)
    image = replace(
        canonical_image(sources, 3, adopted_image),
        **({} if config.resolution is None else {"resolution": config.resolution}),
    )
    images = _load_target(config, config.target if target is None else target, image, sources)
    image = images.image
    for skipped in images.skipped:
        notes.append(f"skipped {skipped.name}: {skipped.reason}")
    if images.skipped:
        notes.append(f"{len(images.skipped)} of {len(images.skipped) + len(images)} target images could not be read")
    for source in sources:
        if source.image != image:
            name = source.loaded_from.name if source.loaded_from else type(source).__name__
            notes.append(f"{name} makes {source.image} images; they are brought to the canonical {image}")
    real = config.test if test is None else test
    held_out = None if real is None else load_images(real, image)
    overlap = len(held_out.image_digests() & images.image_digests()) if held_out else 0
    if overlap:
        raise MineganError(f"{overlap} of the test images are target images too: take them out of one of the two")

    strategy: Strategy = registry.strategies.create(config.strategy.name, **config.strategy.options)
    steps = config.steps or strategy.default_steps
    if any(stage.until for stage in strategy.stages(steps)):
        raise MineganError(f"strategy {config.strategy.name!r} has a stage with a stopping rule, and none is known")
    if config.labels and strategy.mines:
        raise MineganError("labels condition strategies without miners only (pretraining): leave them out to mine")
    objective: Objective = registry.objectives.create(config.objective.name, **config.objective.options)
    augmentation = config.augmentation
    noise_dim = config.noise_dim or noise_dim_of(sources)
    num_classes = len(images.class_names) if config.labels else 0
    critic = _build_critic(config, sources, adopted, image, num_classes)
    known = {count for count in (critic.num_classes, *(source.num_classes for source in sources)) if count}
    if num_classes and known != {num_classes}:
        raise MineganError(f"the images have {num_classes} classes, source and critic {sorted(known) or 'none'}")
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
    )
    miners = [build_miner(recipe, source, noise_dim) for source in sources] if strategy.mines else []
    selector = registry.selectors.create(config.selector.name, len(sources), **config.selector.options)
    class_names = images.class_names if config.labels else ()
    model = MinedGAN(sources, miners, selector, image, noise_dim, critic, class_names)
    model.recipe = recipe
    method = Method(
        strategy,
        critic,
        objective,
        None if augmentation is None else registry.augmentations.create(augmentation.name, **augmentation.options),
    )
    resolved = replace(config, steps=steps, resolution=image.resolution, noise_dim=noise_dim)
    return Assembly(resolved, model, method, images, held_out, steps, tuple(notes))


def _choose_critic(
    config: RunConfig, sources: Sequence[GeneratorSource], notes: list[str]
) -> tuple[RunConfig, int | None]:
    """Which source's discriminator becomes the critic; None = a critic of its own, by name."""
    if config.critic.name != "source":
        return config, None
    chosen = config.critic.options.get("source", "")
    names = [source.loaded_from.name if source.loaded_from else "" for source in sources]
    if chosen:
        if chosen.isdigit() and int(chosen) < len(sources):
            return config, int(chosen)
        return config, names.index(chosen) if chosen in names else None
    with_critic = [index for index, source in enumerate(sources) if source.own_critic() is not None]
    if not with_critic:
        notes.append("no source brings a discriminator: the critic 'conv' starts from random weights")
        return replace(config, critic=Choice("conv")).checked(), None
    if with_critic[0] != 0:
        notes.append(f"{names[0]} brings no discriminator: the critic starts from {names[with_critic[0]]}'s")
    return config, with_critic[0]


def _image_of_critic(config: RunConfig, sources: Sequence[GeneratorSource], adopted: int | None) -> ImageSpec | None:
    """What the adopted discriminator sees; None where the critic is not adopted."""
    if config.critic.name != "source":
        return None
    source = load_source(config.critic.options["source"]) if adopted is None else sources[adopted]
    critic = source.own_critic()
    return critic.image if critic else None


def _build_critic(
    config: RunConfig, sources: Sequence[GeneratorSource], adopted: int | None, image: ImageSpec, num_classes: int
) -> Critic:
    if adopted is not None:
        return adopt_critic(sources[adopted], image)
    critic: Critic = registry.critics.create(config.critic.name, image, num_classes, **config.critic.options)
    return critic


def _load_target(config: RunConfig, target: Any, image: ImageSpec, sources: Sequence[GeneratorSource]) -> ImageSet:
    """The target's images in the canonical form: grey only if they and all sources are grey."""
    images = load_images(target, replace(image, channels=3), limit=config.limit, seed=config.seed, labels=config.labels)
    first = images.images[:, :1]
    if not all(source.image.channels == 1 for source in sources) or not bool((images.images == first).all()):
        return images
    grey = first.contiguous()
    return replace(images, images=grey, digest=hashlib.sha256(grey.numpy().tobytes()).hexdigest())


def device_of(name: str | None) -> torch.device:
    """`cpu`, `cuda`, or for None the better one that is there; MineganError for one that is not."""
    if name not in (None, "cpu", "cuda"):
        raise MineganError(f"device must be cpu or cuda, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise MineganError("no CUDA device is there: leave the device out, or set it to cpu")
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def move_to(assembly: Assembly, device: torch.device) -> None:
    """Move model, critic and augmentation to a device."""
    assembly.model.to(device)
    as_module(assembly.method.critic).to(device)
    if assembly.method.augmentation is not None:
        as_module(assembly.method.augmentation).to(device)
