"""What strategies and regularisers see of a run. May import contracts, batches, method and minegan."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from minegan_zoo.batches import TargetBatches
from minegan_zoo.contracts import Code, Run
from minegan_zoo.method import Method
from minegan_zoo.minegan import MinedGAN


def run_of(model: MinedGAN, method: Method, target: TargetBatches, rng: Generator, *, undone: bool) -> Run:
    """The parts of a run, and a sampler of `model` as it is when it is asked."""

    def sample(n: int, rng: Generator) -> tuple[Tensor, Code]:
        index = int(torch.multinomial(model.selector.probabilities().cpu().double(), 1, generator=rng))
        return model.synthesize(index, model.draw(n, rng), torch.arange(n))

    return Run(
        model.sources, model.miners, method.critic, model.selector, rng, model.noise_dim, target.images, target.labels,
        model.image, sample, undone, model.psi,
    )  # fmt: skip
