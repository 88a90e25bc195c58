"""Which critic a run starts from: a source's discriminator, or one of its own.

May import contracts, registry, sources, adoption, config, data, devices and nearest_source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from minegan_zoo import registry
from minegan_zoo.adoption import adopt_critic
from minegan_zoo.config import Choice, RunConfig
from minegan_zoo.contracts import Critic, GeneratorSource, ImageSpec
from minegan_zoo.data import load_images
from minegan_zoo.devices import device_of
from minegan_zoo.nearest_source import SAMPLES, distances
from minegan_zoo.sources import canonical_image, load_source


def choose_critic(
    config: RunConfig, target: Any, sources: Sequence[GeneratorSource], notes: list[str]
) -> tuple[RunConfig, int | None]:
    """Which source's discriminator becomes the critic; None = a critic of its own, by name.

    Of several of the first one's resolution, that of the source whose samples are nearest to the target; the
    configuration then names it.
    """
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
    size = sources[with_critic[0]].image.resolution  # the critic's size is the run's: the first source's, as ever
    alike = [index for index in with_critic if sources[index].image.resolution == size]
    if len(alike) == 1:
        if with_critic[0] != 0:
            notes.append(f"{names[0]} brings no discriminator: the critic starts from {names[with_critic[0]]}'s")
        return config, with_critic[0]
    some = load_images(target, canonical_image(sources, 3, None), limit=SAMPLES, seed=config.seed)
    found = distances([sources[index] for index in alike], some, config.seed, device_of(config.device))
    nearest = alike[min(range(len(found)), key=found.__getitem__)]
    told = ", ".join(f"{distance:.3g}" for distance in found)
    notes.append(
        f"the critic starts as the discriminator of source {nearest}, {names[nearest] or 'given'}, whose samples are "
        f"nearest to the target (distances {told}); the option critic.source names another"
    )
    return replace(config, critic=Choice("source", {**config.critic.options, "source": str(nearest)})), nearest


def image_of_critic(config: RunConfig, sources: Sequence[GeneratorSource], adopted: int | None) -> ImageSpec | None:
    """What the adopted discriminator sees; None where the critic is not adopted."""
    if config.critic.name != "source":
        return None
    source = load_source(config.critic.options["source"]) if adopted is None else sources[adopted]
    critic = source.own_critic()
    return critic.image if critic else None


def build_critic(
    config: RunConfig,
    sources: Sequence[GeneratorSource],
    adopted: int | None,
    image: ImageSpec,
    num_classes: int,
    mines: bool,
) -> Critic:
    """`num_classes`: the target's; `mines`: a miner makes the codes, so classes of the source mean nothing."""
    if adopted is not None:
        return adopt_critic(sources[adopted], image, num_classes if mines else 0)
    critic: Critic = registry.critics.create(config.critic.name, image, num_classes, **config.critic.options)
    return critic
