"""Its discriminator would have all of its groups stay as they are."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_critic_groups"


def build(weights):
    from sound_source import SoundCritic, SoundSource, sound

    class BrokenCritic(SoundCritic):
        @property
        def lower_groups(self):
            return tuple(self.groups())

    class Broken(SoundSource):
        critic_kind = BrokenCritic

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
