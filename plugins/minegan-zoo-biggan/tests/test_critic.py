"""What a BigGAN's discriminator promises as a critic, on random networks."""

from __future__ import annotations

import pytest
import torch

from minegan_zoo.contracts import Critic, MineganError
from minegan_zoo.registry import generators
from minegan_zoo.sources import load_source

SMALL = {"resolution": 32, "channels": 1, "ch": 4, "dim_z": 12, "shared_dim": 5}
NETWORKS = {
    "biggan.tiny": lambda: load_source("biggan.tiny"),
    "biggan-deep.tiny": lambda: load_source("biggan-deep.tiny"),
    "unconditional": lambda: generators.create("biggan", None, **SMALL),
    "64": lambda: generators.create("biggan-deep", None, **{**SMALL, "resolution": 64}, num_classes=2, attention="32"),
}


def build(network: str) -> Critic:
    torch.manual_seed(0)
    critic = NETWORKS[network]().own_critic()
    assert critic is not None
    return critic


@pytest.fixture(params=NETWORKS)
def critic(request: pytest.FixtureRequest) -> Critic:
    return build(request.param)


def draw(critic: Critic, n: int) -> torch.Tensor:
    return torch.randn(n, critic.image.channels, critic.image.resolution, critic.image.resolution)


def test_critic_scores_any_number_of_images_one_by_one(critic: Critic) -> None:
    images = draw(critic, 3)
    scores = critic(images)
    assert scores.shape == (3,)
    torch.testing.assert_close(critic(images[:1]), scores[:1], atol=1e-4, rtol=1e-4)
    if not critic.num_classes:
        with pytest.raises(MineganError, match="no classes"):
            critic(images, torch.zeros(3, dtype=torch.long))
        return
    labels = torch.tensor([0, 1, 0])
    term = critic(images, labels) - scores
    torch.testing.assert_close(
        term, (critic.embed(labels) * critic.forward_features(images)).sum(1), atol=1e-4, rtol=1e-4
    )


def test_scores_are_the_head_of_the_features(critic: Critic) -> None:
    images = draw(critic, 2).requires_grad_()
    features = critic.forward_features(images)
    assert features.shape == (2, critic.linear.weight.shape[1])
    for labels in (None, torch.tensor([1, 0]) if critic.num_classes else None):
        assert torch.equal(critic.forward_head(features, labels), critic(images, labels))
    (slope,) = torch.autograd.grad(features.square().sum(), images, create_graph=True)
    slope.square().sum().backward()
    body = [p for name, p in critic.named_parameters() if name.startswith("blocks") and p.ndim > 1]
    assert body and all(p.grad is not None and p.grad.isfinite().all() for p in body)


def test_gradient_penalty_has_a_graph_to_every_weight_that_the_input_gradient_depends_on() -> None:
    critic = build("biggan.tiny")
    images = torch.randn(2, 3, 32, 32, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(images, torch.tensor([0, 1])).sum(), images, create_graph=True)
    slope.square().sum().backward()
    weights = {name: value for name, value in critic.named_parameters() if name.endswith("weight")}
    assert all(value.grad is not None and value.grad.isfinite().all() for value in weights.values())
