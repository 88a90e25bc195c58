"""A source's discriminator as a run's critic: brought to the canonical image, given the target's classes.

May import contracts and sources.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from minegan_zoo.contracts import Critic, GeneratorSource, ImageSpec, MineganError
from minegan_zoo.sources import as_module, to_image


class AdaptedCritic(nn.Module, Critic):
    """A critic that sees canonical images brought to its own resolution and channels."""

    def __init__(self, critic: Critic, image: ImageSpec) -> None:
        super().__init__()
        self.critic = as_module(critic)
        self.inner = critic.image
        self.image = image
        self.num_classes, self.lr_scale = critic.num_classes, critic.lr_scale
        self.lower_groups, self.relativistic = critic.lower_groups, critic.relativistic

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.critic(to_image(images, self.inner), labels)

    def forward_features(self, images: Tensor) -> Tensor:
        return inner_critic(self).forward_features(to_image(images, self.inner))

    def forward_head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        return inner_critic(self).forward_head(features, labels)

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return inner_critic(self).groups()

    def reset_parameters(self) -> None:
        inner_critic(self).reset_parameters()


class ProjectionCritic(nn.Module, Critic):
    """A pretrained critic conditioned on new classes by projection (Miyato and Koyama, 2018, eq. 3).

    score(x, y) = head(f(x)) + <v_y, f(x)> with v = 0 at the start, so that mining begins with the pretrained score; a
    class term of its own, for its source's classes, is left out.
    """

    def __init__(self, critic: Critic, num_classes: int) -> None:
        super().__init__()
        self.critic = as_module(critic)
        self.image, self.lr_scale = critic.image, critic.lr_scale
        self.num_classes = num_classes
        with torch.no_grad():
            width = critic.forward_features(torch.zeros(1, critic.image.channels, *2 * (critic.image.resolution,)))
        self.projection = nn.Embedding(num_classes, width.shape[1])
        nn.init.zeros_(self.projection.weight)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.forward_head(self.forward_features(images), labels)

    def forward_features(self, images: Tensor) -> Tensor:
        features: Tensor = self.critic.forward_features(images)  # type: ignore[operator]
        return features

    def forward_head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        scores: Tensor = self.critic.forward_head(features)  # type: ignore[operator]
        return scores if labels is None else scores + (self.projection(labels) * features).sum(1)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        pretrained: Critic = self.critic  # type: ignore[assignment]
        return {**pretrained.groups(), "projection": list(self.projection.parameters())}

    def reset_parameters(self) -> None:
        pretrained: Critic = self.critic  # type: ignore[assignment]
        pretrained.reset_parameters()
        nn.init.zeros_(self.projection.weight)


def inner_critic(critic: Critic) -> Critic:
    """The discriminator itself, without what adapts it to a run."""
    while isinstance(critic, AdaptedCritic | ProjectionCritic):
        critic = critic.critic  # type: ignore[assignment]
    return critic


def adopt_critic(source: GeneratorSource | None, image: ImageSpec, num_classes: int = 0) -> Critic:
    """A copy of the source's discriminator that accepts canonical images, conditioned on `num_classes` new classes."""
    critic = source.own_critic() if source else None
    if critic is None:
        named = f"{source.loaded_from.name!r} has" if source and source.loaded_from else "none of the sources has"
        raise MineganError(f"{named} no pretrained discriminator: use the critic 'conv', or name a source that has one")
    critic = copy.deepcopy(critic)
    if critic.image != image:
        critic = AdaptedCritic(critic, image)
    return ProjectionCritic(critic, num_classes) if num_classes else critic
