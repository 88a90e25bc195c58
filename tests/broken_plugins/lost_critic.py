"""Forgets its discriminator when it is rebuilt."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_source_folder"


def build(weights):
    from sound_source import sound

    from minegan_zoo.contracts import Shared

    source = sound(weights)
    if weights:
        source.critic = Shared(None)
    return source


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
