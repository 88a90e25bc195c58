"""Two groups hold parameters that share memory."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_frozen_groups_stay"


def build(weights):
    from sound_source import SoundSource, sound
    from torch import nn

    class Broken(SoundSource):
        def __init__(self, width=16):
            super().__init__(width)
            del self.strength
            self.strength = nn.Parameter(self.mapping.bias.detach()[0])

        def config(self):
            return None

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
