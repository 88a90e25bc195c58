"""Declares a normal prior and draws a uniform one of the same mean and scale."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_prior_distribution"


def build(weights):
    import torch
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def prior(self, n, keys, rng):
            code = super().prior(n, keys, rng)
            if "z" in code:
                code["z"] = (torch.rand(n, 8, generator=rng) - 0.5) * 12**0.5
            return code

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
