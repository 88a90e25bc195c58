"""Names a key set for every layer that `synthesize` does not take."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_inputs"


def build(weights):
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        per_layer_keys = frozenset({"w+"})

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
