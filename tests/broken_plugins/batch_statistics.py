"""Normalises by the statistics of the batch."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_rows_are_independent"


def build(weights):
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def synthesize(self, code):
            images = super().synthesize(code)
            return images + 0.1 * images.mean(dim=0)

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
