"""A source that keeps every rule; the plugins beside it break one each."""

import torch
from torch import nn

from minegan_zoo.contracts import Critic, GeneratorSource, ImageSpec, LatentSpace, MineganError, Shared
from minegan_zoo.weights import load_strict, read_source


class SoundCritic(nn.Module, Critic):
    def __init__(self):
        super().__init__()
        self.image = ImageSpec(3, 8)
        self.body = nn.Conv2d(3, 4, 3)
        self.score = nn.Linear(4, 1)

    def forward(self, images, labels=None):
        return self.score(self.body(images).mean(dim=(2, 3))).squeeze(1)

    def groups(self):
        return {"body": list(self.body.parameters()), "score": list(self.score.parameters())}


class SoundSource(nn.Module, GeneratorSource):
    """z -> mapped w; w and noise -> image. A key set with z, one with w."""

    critic_kind = SoundCritic

    def __init__(self, width=16):
        super().__init__()
        self.width = width
        self.image = ImageSpec(3, 8)
        self.latents = {
            "z": LatentSpace((8,), "normal"),
            "w": LatentSpace((width,), "mapped"),
            "noise.0": LatentSpace((1, 8, 8), "normal"),
        }
        self.inputs = (frozenset({"z"}), frozenset({"w", "noise.0"}))
        self.mapping = nn.Linear(8, width)
        self.paint = nn.Linear(width, 3 * 8 * 8)
        self.strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(1, 1, 8, 8))
        self.critic = Shared(self.critic_kind())

    def prior(self, n, keys, rng):
        code = {}
        if "z" in keys:
            code["z"] = torch.randn(n, 8, generator=rng)
        if "w" in keys:
            code["w"] = self.mapping(torch.randn(n, 8, generator=rng)).detach()
        if "noise.0" in keys:
            code["noise.0"] = torch.randn(n, 1, 8, 8, generator=rng)
        return code

    def synthesize(self, code):
        if frozenset(code) not in self.inputs:
            raise MineganError(f"no such keys: {sorted(code)}")
        w = code["w"] if "w" in code else self.mapping(code["z"])
        return torch.tanh(self.paint(w)).view(-1, 3, 8, 8) + self.strength * code.get("noise.0", self.noise)

    def groups(self):
        return {
            "mapping": list(self.mapping.parameters()),
            "paint": [*self.paint.parameters(), self.strength],
        }

    def own_critic(self):
        return self.critic.value

    def config(self):
        return {"width": self.width}


def sound(weights, kind=SoundSource):
    """A source of the given class, random or from a source folder."""
    if weights is None:
        return kind()
    saved = read_source(weights)
    source = kind(**saved.config)
    load_strict(source, saved.generator, "generator")
    load_strict(source.own_critic(), saved.discriminator, "discriminator")
    return source
