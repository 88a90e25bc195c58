"""The diagonal of the Fisher information, from squared gradients. Imports torch only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


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
