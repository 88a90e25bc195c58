"""A whole plugin for minegan_zoo in one file: pictures of soft coloured discs.

Read it beside `minegan_zoo/contracts.py`, which is all that a plugin author needs. Your own plugin replaces the
painting below by a network; the shape stays: a source class, a builder, an entry, a hook. Try it with

    pip install ./minegan-zoo-toy
    minegan-zoo info toy.tiny
    minegan-zoo mine toy.tiny stylegan2.tiny --target my_images --out runs/toy

and test yours with the conformance kit (see `tests/` beside this file).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from minegan_zoo.contracts import (
    Critic,
    GeneratorEntry,
    GeneratorSource,
    ImageSpec,
    LatentSpace,
    MineganError,
    Shared,
    hookimpl,
)

# `minegan-zoo list` imports this module, and that must stay cheap: torch is imported where a builder runs, not here.
if TYPE_CHECKING:
    from pathlib import Path

    from minegan_zoo.contracts import Code

# The version of the contract that this plugin was written for. A core with another one says so and leaves us out.
MINEGAN_ZOO_API = 1

Z_DIM = 16
Z = LatentSpace((Z_DIM,), "normal")


def build(weights: Path | None, *, resolution: int = 32, discs: int = 4) -> GeneratorSource:
    """Soft coloured discs, random: `discs` of them on `resolution`^2 pixels.

    The keyword-only parameters are the options: they appear in `minegan-zoo info toy`, are type-checked, and are set
    from Python with `mz.generators.create("toy", None, discs=8)`. The core calls builders with a file or folder as
    `weights`, or with None for random weights.
    """
    if weights is not None:
        raise MineganError(f"toy has no pretrained weights and cannot read {weights}: leave the weights out")
    if resolution < 4 or discs < 1:
        raise MineganError(f"toy needs resolution >= 4 and discs >= 1, not {resolution} and {discs}")
    return _discs(resolution, discs)


def build_tiny(weights: Path | None) -> GeneratorSource:
    """Four discs on 16x16 pixels, for tests."""
    return build(weights, resolution=16)


def _discs(resolution: int, discs: int) -> GeneratorSource:
    # A larger plugin keeps its networks in a second module, which the builder imports: `from .networks import Discs`.
    import torch
    from torch import Generator, Tensor, nn
    from torch.nn import Parameter

    class DiscCritic(nn.Module, Critic):
        """The discriminator that belongs to `Discs`: images (n, 3, H, W) -> scores (n,)."""

        def __init__(self) -> None:
            super().__init__()
            self.image = ImageSpec(3, resolution)
            self.edges = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.LeakyReLU(0.2))
            self.score = nn.Linear(16, 1)

        def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
            scores: Tensor = self.score(self.edges(images).mean(dim=(2, 3)))
            return scores.squeeze(1)

        def groups(self) -> dict[str, list[Parameter]]:
            return {"edges": list(self.edges.parameters()), "score": list(self.score.parameters())}

    class Discs(nn.Module, GeneratorSource):
        """z -> where the discs are, how large and of which colour -> a picture."""

        axis: Tensor

        def __init__(self) -> None:
            super().__init__()
            # What the core knows of a source before it runs it: miners are built from `latents` alone.
            self.image = ImageSpec(3, resolution)
            self.latents = {"z": Z}
            self.inputs = (frozenset({"z"}),)

            self.layout = nn.Sequential(nn.Linear(Z_DIM, 32), nn.LeakyReLU(0.2), nn.Linear(32, discs * 6))
            self.background = Parameter(torch.full((3, 1, 1), -0.5))
            self.blur = Parameter(torch.tensor(0.2))
            self.register_buffer("axis", torch.linspace(-1, 1, resolution), persistent=False)

            # In `Shared` the discriminator is neither among our parameters nor copied along with us.
            self.critic = Shared(DiscCritic())

        def prior(self, n: int, keys: frozenset[str], rng: Generator) -> dict[str, Tensor]:
            # Draw from `rng` alone, on its device, and hand over on ours.
            z = torch.randn(n, Z_DIM, generator=rng, device=rng.device)
            return {"z": z.to(self.background.device)}

        def synthesize(self, code: Code) -> Tensor:
            if frozenset(code) not in self.inputs:
                raise MineganError(f"toy takes the latent space z, not {sorted(code)}")
            numbers = self.layout(code["z"]).view(-1, discs, 6, 1, 1)  # (n, discs, x y size r g b, 1, 1)
            x, y, size, colour = numbers.split((1, 1, 1, 3), dim=2)
            distance = ((self.axis - x).square() + (self.axis[:, None] - y).square() + 1e-6).sqrt()
            discs_seen = torch.sigmoid((size.exp() / 2 - distance) / self.blur)  # (n, discs, 1, H, W)
            # Nominally within [-1, 1], and never clamped: a clamp would stop the gradient.
            return torch.tanh(self.background + (discs_seen * colour).sum(dim=1) * 2)

        # Parts that training may free one by one, from latent to pixel: "sources/*/layout" in a strategy's pattern.
        def groups(self) -> dict[str, list[Parameter]]:
            return {"layout": list(self.layout.parameters()), "paint": [self.background, self.blur]}

        # Optional, as are class_codes (conditional sources), config (folders that rebuild the network) and
        # reset_parameters (training from scratch).
        def own_critic(self) -> Critic:
            return self.critic.value

    return Discs()


# Hooks are found by name and mark. An entry without image and latents is a family: its builder decides them. An entry
# `family.tag` is something fixed, mostly pretrained weights with a Card; `family.tiny` is the small one for tests.
@hookimpl
def register_generators(register: Callable[[GeneratorEntry], None]) -> None:
    register(GeneratorEntry("toy", build))
    register(GeneratorEntry("toy.tiny", build_tiny, image=ImageSpec(3, 16), latents={"z": Z}))
