"""Consumes torch's global random state."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_prior_leaves_global_rng"


def build(weights):
    import torch
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def prior(self, n, keys, rng):
            torch.rand(())
            return super().prior(n, keys, rng)

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
