"""StyleGAN, StyleGAN2 and StyleGAN3 for minegan_zoo. Imports no torch; builders import it when called."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from minegan_zoo.contracts import API, GeneratorEntry, ImageSpec, hookimpl

from . import builders, bundled, cards

MINEGAN_ZOO_API = API


@hookimpl
def register_generators(register: Callable[[GeneratorEntry], None]) -> None:
    """The families, a tiny random network of each, and what is published or comes with this package."""
    small, latents = ImageSpec(3, 16), cards.latents
    register(GeneratorEntry("stylegan", builders.stylegan))
    register(GeneratorEntry("stylegan.tiny", builders.tiny, small, latents(32, 3, (4, 8, 16))))
    register(GeneratorEntry("stylegan2", builders.stylegan2))
    register(GeneratorEntry("stylegan2.tiny", builders.tiny2, small, latents(32, 6, (4, 8, 8, 16, 16))))
    register(GeneratorEntry("stylegan3", builders.stylegan3))
    register(GeneratorEntry("stylegan3.tiny", builders.tiny3, small, latents(32, 7)))
    shoes = (bundled.IMAGE, bundled.LATENTS, bundled.SHOES)
    register(GeneratorEntry("stylegan2.fashion-shoes-32", builders.stylegan2, *shoes))
    for tag, (image, spaces, card) in cards.STYLEGAN.items():
        build = partial(builders.published, resolution=image.resolution)
        register(GeneratorEntry(f"stylegan.{tag}", build, image, spaces, card))
    for tag, (image, spaces, card) in cards.STYLEGAN2.items():
        register(GeneratorEntry(f"stylegan2.{tag}", builders.published2, image, spaces, card))
    for tag, (image, spaces, card) in cards.STYLEGAN3.items():
        register(GeneratorEntry(f"stylegan3.{tag}", builders.published3, image, spaces, card))
