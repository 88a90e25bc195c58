"""Gives grey images where it declares RGB."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_images"


def build(weights):
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def synthesize(self, code):
            return super().synthesize(code).mean(dim=1, keepdim=True)

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
