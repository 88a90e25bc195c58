"""Takes whatever keys it is given, and draws what is missing."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_wrong_keys"


def build(weights):
    import torch
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def synthesize(self, code):
            known = next((keys for keys in self.inputs if keys <= set(code)), None)
            if known is None:
                return torch.zeros(1, 3, 8, 8)
            return super().synthesize({name: code[name] for name in known})

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
