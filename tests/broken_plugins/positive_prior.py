"""Draws z from the positive orthant only."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_prior_distribution"


def build(weights):
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def prior(self, n, keys, rng):
            return {name: value.abs() for name, value in super().prior(n, keys, rng).items()}

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
