"""A tiny entry of more than a million parameters."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_tiny"


def build(weights):
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def __init__(self, width=5_000):
            super().__init__(width)

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
