"""It would have z drawn wider, whose length it takes away."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_finetuned_psi"


def build(weights):
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        finetuned_psi = 1.5

        def synthesize(self, code):
            code = {name: value / value.norm(dim=1, keepdim=True) if name == "z" else value for name, value in code.items()}
            return super().synthesize(code)

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
