"""A miner that adds noise of its own."""

from minegan_zoo.contracts import MinerEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_miner_repeats"


def build(latents, noise_dim, *, num_classes: int = 0):
    import torch
    from sound_miner import SoundMiner

    class Broken(SoundMiner):
        def forward(self, u, labels=None):
            torch.rand(1)
            return super().forward(u, labels)

    return Broken(latents, noise_dim, num_classes)


@hookimpl
def register_miners(register):
    register(MinerEntry("broken", build))
