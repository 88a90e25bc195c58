"""A miner that leaves the sphere."""

from minegan_zoo.contracts import MinerEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_miner_sphere"


def build(latents, noise_dim, *, num_classes: int = 0):
    from sound_miner import SoundMiner

    class Broken(SoundMiner):
        def head(self, u, place, name):
            return self.heads[place](u).view(-1, *self.latents[name].shape)

    return Broken(latents, noise_dim, num_classes)


@hookimpl
def register_miners(register):
    register(MinerEntry("broken", build))
