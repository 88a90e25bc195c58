"""Names a group with a slash."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_group_names"


def build(weights):
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def groups(self):
            return {f"{name}/all": members for name, members in super().groups().items()}

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
