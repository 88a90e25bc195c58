"""Leaves a number out of config() that its network needs."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_source_folder"


def build(weights):
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def __init__(self, width=16, gain=1.0):
            super().__init__(width)
            self.gain = gain

        def synthesize(self, code):
            return super().synthesize(code) * self.gain

    return sound(weights, Broken) if weights else Broken(gain=2.0)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
