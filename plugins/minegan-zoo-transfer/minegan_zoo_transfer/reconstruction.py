"""The loss of BSA: target images, each from a code of its own. Imports contracts and this package's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import Batch, GeneratorSource, MineganError, Regulariser, Run

from .layers import as_module, convolving, feature_maps

NOISE = 0.01  # added to a code, in standard deviations of z
DRAWS_PER_CODE = 10
SHARE_PER_LAYER = 0.1


class Reconstruction(nn.Module, Regulariser):
    """L1 + features + codes near the prior, for G(z_i + noise) and its target image x_i (arXiv 1904.01774, section 3).

    The codes z_i are its weights. The perceptual term of each layer counts `SHARE_PER_LAYER`, whatever its value (the
    released code's adaptive weights); its network is the run's critic or a timm model with pretrained weights.
    """

    def __init__(self, perceptual: str, layers: int, prior_weight: float, start: str) -> None:
        super().__init__()
        if start not in ("prior", "zero"):
            raise MineganError(f"bsa: codes start from 'prior' or 'zero', not {start!r}")
        self.perceptual, self.layers, self.prior_weight, self.start = perceptual, layers, prior_weight, start
        self.codes = nn.ParameterList()
        self._run: list[Run] = []  # not in the state dict
        self._features: list[Features] = []

    def prepare(self, run: Run) -> None:
        for source in run.sources:
            name = source.loaded_from.name if source.loaded_from else type(source).__name__
            if source.image != run.image:
                raise MineganError(
                    f"bsa compares what {name} makes ({source.image}) with target images of {run.image}: set the run's "
                    "resolution and critic to that source's"
                )
            if "z" not in source.inputs[0]:
                raise MineganError(
                    f"bsa gives every target image a code z, and {name} takes no z: choose another source or strategy"
                )
        if not len(self.codes):
            for source in run.sources:
                z = source.prior(len(run.target), source.inputs[0], run.rng)["z"]
                self.codes.append(nn.Parameter(z if self.start == "prior" else torch.zeros_like(z)))
        self._run = [run]
        self._features = [] if self.perceptual == "none" else [Features(self.perceptual, self.layers, run)]

    def forward(self, batch: Batch) -> Tensor:
        (run,) = self._run
        total = batch.u.new_zeros(())
        count = sum(len(next(iter(code.values()))) for code in batch.codes.values())
        for index, code in batch.codes.items():
            n = len(next(iter(code.values())))
            rows = torch.randint(len(run.target), (n,))
            # target images may lie in the host's memory
            z, real = self.codes[index][rows.to(batch.u.device)], run.target[rows.to(run.target.device)]
            total = total + self.loss(run.sources[index], z, code, real.to(z.device)) * n / count
        return total

    def loss(self, source: GeneratorSource, z: Tensor, rest: Any, target: Tensor) -> Tensor:
        """Of codes z (n, *shape) for uint8 images (n, C, H, W); `rest` are the codes of the other latent spaces."""
        images = source.synthesize({**rest, "z": z + NOISE * torch.randn_like(z)})
        real = target.float() / 127.5 - 1
        total = F.l1_loss(images, real)
        for features in self._features:
            total = total + features.distance(images, real)
        return total + self.prior_weight * distance_to_normal(z)


class Features:
    """The first convolutions' maps of a critic or a timm model."""

    def __init__(self, name: str, layers: int, run: Run) -> None:
        if name == "critic":
            self.network = as_module(run.critic)
            self.mean, self.deviation = torch.zeros(()), torch.ones(())
        else:
            import timm

            try:
                self.network = timm.create_model(name, pretrained=True).eval().requires_grad_(False)
            except (OSError, RuntimeError, ValueError) as error:
                raise MineganError(
                    f"bsa: timm's {name!r} with its weights cannot be had ({error}): set strategy.perceptual to "
                    "another timm model, to 'critic' (the run's own) or to 'none'"
                ) from error
            self.network.to(next(as_module(run.critic).parameters()).device)
            config = timm.data.resolve_model_data_config(self.network)
            self.mean, self.deviation = _channels(config["mean"]), _channels(config["std"])
        self.modules = convolving(self.network)[: layers or None]

    def distance(self, images: Tensor, real: Tensor) -> Tensor:
        """Mean absolute difference of every map, each in units of its own value over `SHARE_PER_LAYER`."""
        with torch.no_grad():
            wanted = self._maps(real)
        terms = [F.l1_loss(mine, theirs) for mine, theirs in zip(self._maps(images), wanted, strict=True)]
        return torch.stack([SHARE_PER_LAYER * term / term.detach().clamp(min=1e-8) for term in terms]).sum()

    def _maps(self, images: Tensor) -> list[Tensor]:
        if self.mean.ndim:  # in [0, 1], RGB
            images = (images.expand(-1, 3, -1, -1) + 1) / 2
        scaled = (images - self.mean.to(images)) / self.deviation.to(images)
        with feature_maps(self.modules) as maps:
            self.network(scaled)
        return list(maps.values())


def _channels(values: Sequence[float]) -> Tensor:
    return torch.tensor(values)[:, None, None]


def distance_to_normal(z: Tensor) -> Tensor:
    """Squared distances between codes (n, ...) and draws of N(0, I), each to the nearest of the other kind, averaged.

    The paper's stand-in for the earth mover's distance to the prior.
    """
    z = z.flatten(1)
    draws = torch.randn(len(z) * DRAWS_PER_CODE, z.shape[1], device=z.device)
    squared = torch.cdist(z, draws).square()
    return squared.amin(0).mean() + squared.amin(1).mean()
