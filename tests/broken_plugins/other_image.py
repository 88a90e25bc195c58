"""Declares another resolution than it builds."""

from minegan_zoo.contracts import GeneratorEntry, ImageSpec, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_metadata"


def build(weights):
    from sound_source import sound

    return sound(weights)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build, image=ImageSpec(3, 16)))
