"""A miner that says that it makes a code for every layer, and makes one for all."""

from minegan_zoo.contracts import MinerEntry, hookimpl

MINEGAN_ZOO_API = 1
BREAKS = "check_miner_codes"


def build(latents, noise_dim, *, num_classes: int = 0):
    from sound_miner import SoundMiner

    class Broken(SoundMiner):
        def head(self, u, place, name):
            code = super().head(u, place, name)
            return code[:, 0] if code.ndim == 3 else code

    return Broken(latents, noise_dim, num_classes)


@hookimpl
def register_miners(register):
    register(MinerEntry("broken", build, per_layer=True))
