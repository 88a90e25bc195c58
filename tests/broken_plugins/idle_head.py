"""A miner with a layer that leads nowhere."""

from minegan_zoo.contracts import MinerEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_miner_gradient"


def build(latents, noise_dim, *, num_classes: int = 0):
    from sound_miner import SoundMiner
    from torch import nn

    class Broken(SoundMiner):
        def __init__(self, latents, noise_dim, num_classes):
            super().__init__(latents, noise_dim, num_classes)
            self.idle = nn.Linear(2, 2)

    return Broken(latents, noise_dim, num_classes)


@hookimpl
def register_miners(register):
    register(MinerEntry("broken", build))
