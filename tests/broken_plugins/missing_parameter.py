"""Leaves a parameter out of its groups."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_groups"


def build(weights):
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def groups(self):
            return super().groups() | {"paint": list(self.paint.parameters())}

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
