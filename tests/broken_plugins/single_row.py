"""Gives no finite image when there is only one."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_images"


def build(weights):
    from sound_source import SoundSource, sound

    class Broken(SoundSource):
        def synthesize(self, code):
            images = super().synthesize(code)
            return images / 0 if len(images) == 1 else images

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
