"""Keeps its discriminator where a deep copy copies it."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_deepcopy_shares_critic"


def build(weights):
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def __init__(self, width=16):
            super().__init__(width)
            self.critic = [self.critic.value]

        def own_critic(self):
            return self.critic[0]

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
