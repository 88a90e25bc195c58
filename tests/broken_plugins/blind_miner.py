"""A miner that is given classes and knows nothing of them."""

from minegan_zoo.contracts import MinerEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_miner_labels"


def build(latents, noise_dim, *, num_classes: int = 0):
    from sound_miner import SoundMiner

    class Broken(SoundMiner):
        pass

    num_classes = 0

    return Broken(latents, noise_dim, num_classes)


@hookimpl
def register_miners(register):
    register(MinerEntry("broken", build))
