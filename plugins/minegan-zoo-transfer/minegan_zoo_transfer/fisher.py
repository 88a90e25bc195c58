"""The diagonal of the Fisher information, from squared gradients. Imports contracts and this package's layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import MineganError, Run

from .layers import as_module


def fisher_diagonal(
    negative_log_likelihood: Callable[[], Tensor], parameters: Sequence[nn.Parameter], samples: int
) -> list[Tensor]:
    """E[(d log p(x) / d theta)^2] over `samples` draws, each by one call: the empirical diagonal.

    A parameter that a draw does not involve (another source's) is averaged over the others; zero without any.
    """
    sums = [torch.zeros_like(parameter) for parameter in parameters]
    counts = [0] * len(sums)
    free = [parameter.requires_grad for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_(True)
    for _ in range(samples):
        gradients = torch.autograd.grad(negative_log_likelihood(), parameters, allow_unused=True)
        for index, gradient in enumerate(gradients):
            if gradient is not None:
                sums[index] += gradient.square()
                counts[index] += 1
    for parameter, was_free in zip(parameters, free, strict=True):
        parameter.requires_grad_(was_free)
    return [total / max(count, 1) for total, count in zip(sums, counts, strict=True)]


def surprise(run: Run) -> Tensor:
    """-log sigmoid(D(x)) of one new sample x: what is differentiated for the sources' Fisher information."""
    return F.softplus(-as_module(run.critic)(run.sample(1, run.rng)[0])).sum()


def check_samples(strategy: str, samples: int) -> None:
    """MineganError for an estimate from nothing."""
    if samples < 1:
        raise MineganError(
            f"{strategy}: Fisher information needs samples: set strategy.samples to 1 or more, not {samples}"
        )
