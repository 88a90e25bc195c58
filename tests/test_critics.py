"""The core's own critic: its features, its head and what bfloat16 leaves of its scores."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import minegan_zoo as mz
from minegan_zoo.contracts import Critic, ImageSpec


def conv(num_classes: int) -> Any:
    torch.manual_seed(0)
    critic = mz.critics.create("conv", ImageSpec(3, 16), num_classes, width=8, max_width=16)
    assert isinstance(critic, Critic)
    return critic.eval()  # type: ignore[attr-defined]


@pytest.mark.parametrize("num_classes", [0, 3])
def test_scores_are_the_head_of_the_features(num_classes: int) -> None:
    critic = conv(num_classes)
    images = torch.rand(4, 3, 16, 16, requires_grad=True)
    features = critic.forward_features(images)
    assert features.shape == (4, 16)
    for labels in (None, torch.tensor([0, 2, 1, 1]) if num_classes else None):
        assert torch.equal(critic.forward_head(features, labels), critic(images, labels))
    (slope,) = torch.autograd.grad(features.square().sum(), images, create_graph=True)
    slope.square().sum().backward()
    convolutions = [parameter for parameter in critic.parameters() if parameter.ndim == 4]
    assert convolutions and all(p.grad is not None and p.grad.abs().sum() > 0 for p in convolutions)


@pytest.mark.parametrize("num_classes", [0, 3])
def test_bfloat16_keeps_what_tells_two_images_apart(num_classes: int) -> None:
    """A Wasserstein critic's scores may drift far from zero, where bfloat16 has steps of a half."""
    critic = conv(num_classes)
    with torch.no_grad():
        critic.score.bias.fill_(100.0)
    images, labels = torch.rand(4, 3, 16, 16) * 2 - 1, torch.tensor([0, 2, 1, 1]) if num_classes else None
    scores = critic(images, labels)
    with torch.autocast("cpu", torch.bfloat16):
        half = critic(images, labels)
    assert half.dtype == torch.float32
    spread = scores.amax() - scores.amin()
    assert (half - scores).abs().max() < 0.1 * spread
