"""Draws new noise at every call."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_same_code_same_image"


def build(weights):
    import torch
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def synthesize(self, code):
            return super().synthesize(code) + self.strength * torch.randn(1, 1, 8, 8)

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
