"""Draws noise of another shape than declared, which happens to broadcast."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_prior_shapes"


def build(weights):
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def prior(self, n, keys, rng):
            code = super().prior(n, keys, rng)
            return {name: value[:, :, :, :1] if name == "noise.0" else value for name, value in code.items()}

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
