"""Imports more of the core than contracts and weights."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_imports"


def build(weights):
    from sound_source import sound

    from minegan_zoo import sources  # noqa: F401

    return sound(weights)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
