"""Its discriminator scores (n, 1)."""

from minegan_zoo.contracts import GeneratorEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_critic_scores"


def build(weights):
    from sound_source import SoundCritic, SoundSource, sound

    class BrokenCritic(SoundCritic):
        def forward(self, images, labels=None):
            return super().forward(images)[:, None]

    class Broken(SoundSource):
        critic_kind = BrokenCritic

    return sound(weights, Broken)


@hookimpl
def register_generators(register):
    register(GeneratorEntry("broken.tiny", build))
