"""Keeps a tensor that images depend on out of its state_dict."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_state_dict"


def build(weights):
    import torch
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def __init__(self, width=16):
            super().__init__(width)
            del self.noise
            self.noise = torch.randn(1, 1, 8, 8)

        def config(self):
            return None

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
