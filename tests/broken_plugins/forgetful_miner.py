"""A miner that keeps a tensor out of its state_dict."""

from minegan_zoo.contracts import MinerEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_miner_state_dict"


def build(latents, noise_dim, *, num_classes: int = 0):
    import torch
    from sound_miner import SoundMiner

    class Broken(SoundMiner):
        def __init__(self, latents, noise_dim, num_classes):
            super().__init__(latents, noise_dim, num_classes)
            self.start = torch.randn(noise_dim)

        def forward(self, u, labels=None):
            return super().forward(u + self.start, labels)

    return Broken(latents, noise_dim, num_classes)


@hookimpl
def register_miners(register):
    register(MinerEntry("broken", build))
