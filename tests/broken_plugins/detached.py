"""Rounds the code, so that no gradient reaches it."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_gradient_reaches_code"


def build(weights):
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def synthesize(self, code):
            return super().synthesize({name: (value * 8).round() / 8 for name, value in code.items()})

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
