"""Cuts the gradient off from its parameters."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_frozen_groups_stay"


def build(weights):
    from sound_source import SoundSource, sound
    from torch.func import functional_call

    class Broken(SoundSource):
        def synthesize(self, code):
            constants = {name: value.detach() for name, value in self.named_parameters()}
            return functional_call(self, constants, (code,))

        def forward(self, code):
            return super().synthesize(code)

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
