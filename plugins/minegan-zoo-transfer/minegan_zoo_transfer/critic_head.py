"""What a critic's score is read with from its features. Imports contracts and this package's layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Generator, Tensor, nn

from minegan_zoo.contracts import Run

from .layers import as_module, convolving, feature_maps


def head_of(run: Run) -> list[nn.Parameter]:
    """The parameters between the critic's features and its score.

    Raises MineganError for a critic that shows no features.
    """
    return _used(
        run, lambda blank, labels: run.critic.forward_head(run.critic.forward_features(blank).detach(), labels)
    )


def used_groups(run: Run) -> list[str]:
    """The names of the critic's groups that its scores depend on: what reads classes does not count without labels."""
    used = set(_used(run, run.critic.forward))
    return [name for name, members in run.critic.groups().items() if used.intersection(members)]


def final_groups(run: Run) -> dict[str, list[nn.Parameter]]:
    """The critic's groups that hold its last convolution, and all that is between that and the score."""
    critic = as_module(run.critic)
    with torch.no_grad(), evaluating(critic), feature_maps(convolving(critic)) as maps:
        critic(_blank(run))
    last = list(next(reversed(maps)).parameters()) if maps else []
    final = {*head_of(run), *last}
    return {name: members for name, members in run.critic.groups().items() if final.intersection(members)}


def _used(run: Run, score: Callable[[Tensor, Tensor | None], Tensor]) -> list[nn.Parameter]:
    """The critic's parameters on which `score` of images and labels depends."""
    parameters = list(as_module(run.critic).parameters())
    free = [parameter.requires_grad for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_(True)
    with torch.enable_grad(), evaluating(as_module(run.critic)):
        blank = _blank(run)
        labels = None if run.target_labels is None else torch.zeros(1, dtype=torch.int64, device=blank.device)
        gradients = torch.autograd.grad(score(blank, labels).sum(), parameters, allow_unused=True)
    for parameter, was_free in zip(parameters, free, strict=True):
        parameter.requires_grad_(was_free)
    return [each for each, gradient in zip(parameters, gradients, strict=True) if gradient is not None]


def _blank(run: Run) -> Tensor:
    """One image for the critic."""
    image, device = run.critic.image, next(as_module(run.critic).parameters()).device
    return torch.zeros(1, image.channels, image.resolution, image.resolution, device=device)


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
    modes = {each: each.training for each in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for each, training in modes.items():
            each.training = training
