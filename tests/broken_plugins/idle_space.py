"""Declares a latent space that no key set takes."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_inputs"


def build(weights):
    from sound_source import SoundSource, sound

    from minegan_zoo.contracts import LatentSpace

    class Broken(SoundSource):
        def __init__(self, width=16):
            super().__init__(width)
            self.latents["w+"] = LatentSpace((2, width), "mapped")

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
