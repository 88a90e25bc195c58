"""A miner that makes a space nobody asked for."""

from minegan_zoo.contracts import MinerEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_miner_codes"


def build(latents, noise_dim, *, num_classes: int = 0):
    from sound_miner import SoundMiner

    class Broken(SoundMiner):
        def forward(self, u, labels=None):
            return super().forward(u, labels) | {"extra": u}

    return Broken(latents, noise_dim, num_classes)


@hookimpl
def register_miners(register):
    register(MinerEntry("broken", build))
