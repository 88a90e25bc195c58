"""What a critic's score is read with from its features. Imports contracts and this package's layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator, nn

from minegan_zoo.contracts import Run

from .layers import as_module


def head_of(run: Run) -> list[nn.Parameter]:
    """The parameters between the critic's features and its score.

    Raises MineganError for a critic that shows no features.
    """
    critic, image = run.critic, run.critic.image
    parameters = list(as_module(critic).parameters())
    free = [parameter.requires_grad for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_(True)
    with torch.enable_grad(), evaluating(as_module(critic)):
        blank = torch.zeros(1, image.channels, image.resolution, image.resolution, device=parameters[0].device)
        features = critic.forward_features(blank).detach()
        labels = None if run.target_labels is None else torch.zeros(1, dtype=torch.int64, device=blank.device)
        gradients = torch.autograd.grad(critic.forward_head(features, labels).sum(), parameters, allow_unused=True)
    for parameter, was_free in zip(parameters, free, strict=True):
        parameter.requires_grad_(was_free)
    return [each for each, gradient in zip(parameters, gradients, strict=True) if gradient is not None]


def final_groups(run: Run) -> dict[str, list[nn.Parameter]]:
    """The critic's groups that hold its head."""
    head = set(head_of(run))
    return {name: members for name, members in run.critic.groups().items() if head.intersection(members)}


@torch.no_grad()
def redraw(parameters: list[nn.Parameter], rng: Generator) -> None:
    """New weights of the old ones' spread, and biases of zero."""
    for parameter in parameters:
        if parameter.ndim < 2:
            parameter.zero_()
        else:
            parameter.copy_(torch.randn(parameter.shape, generator=rng) * parameter.square().mean().sqrt().cpu())


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Within, the module is in `eval()` mode: looking at it changes nothing."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)
