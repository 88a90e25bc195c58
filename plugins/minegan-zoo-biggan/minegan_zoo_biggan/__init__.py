"""BigGAN and BigGAN-deep for minegan_zoo. Imports `contracts`, `builders`, `cards`: listing entries loads no torch."""

from __future__ import annotations

from collections.abc import Callable

from minegan_zoo.contracts import GeneratorEntry, ImageSpec, hookimpl
from minegan_zoo_biggan import builders, bundled, cards
from minegan_zoo_biggan.architecture import latent_spaces

MINEGAN_ZOO_API = 1

TINY_IMAGE = ImageSpec(channels=3, resolution=32)
TINY_LATENTS = latent_spaces(dim_z=16, class_dim=8, conditioned=3)
TINY_DEEP_LATENTS = latent_spaces(dim_z=16, class_dim=8, conditioned=7)


@hookimpl
def register_generators(register: Callable[[GeneratorEntry], None]) -> None:
    """The families, a tiny random network of each, and what is published."""
    register(GeneratorEntry("biggan", builders.biggan))
    register(GeneratorEntry("biggan.tiny", builders.tiny, TINY_IMAGE, TINY_LATENTS))
    register(GeneratorEntry("biggan-deep", builders.biggan_deep))
    register(GeneratorEntry("biggan-deep.tiny", builders.tiny_deep, TINY_IMAGE, TINY_DEEP_LATENTS))
    for tag, (image, latents, card) in cards.BIGGAN.items():
        register(GeneratorEntry(f"biggan.{tag}", builders.published, image, latents, card))
    for tag, (image, latents, card) in cards.BIGGAN_DEEP.items():
        register(GeneratorEntry(f"biggan-deep.{tag}", builders.published_deep, image, latents, card))
    others = (bundled.IMAGE, bundled.LATENTS, bundled.OTHERS)
    register(GeneratorEntry("biggan.fashion-others-32", builders.biggan, *others))
