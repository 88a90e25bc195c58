"""The ProGAN discriminator as a `Critic`. Imports contracts and this package's architecture and layers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minegan_zoo.contracts import Critic, MineganError

from .architecture import CriticPlan
from .layers import EqualConv2d, EqualLinear, image_stddev_plane, stddev_plane


class CriticBlock(nn.Module):
    """(n, inputs, 2r, 2r) -> (n, outputs, r, r): two convolutions and average pooling."""

    def __init__(self, plan: CriticPlan, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = outputs if plan.style.widen_first else inputs
        self.leak = plan.leak
        self.conv0 = EqualConv2d(inputs, middle, 3, _gain(plan), plan.style.scaled_bias)
        self.conv1 = EqualConv2d(middle, outputs, 3, _gain(plan), plan.style.scaled_bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.conv0(x), self.leak)
        return F.avg_pool2d(F.leaky_relu(self.conv1(x), self.leak), 2)


class EndBlock(nn.Module):
    """(n, width [+ 1], 4, 4) -> features (n, width)."""

    def __init__(self, plan: CriticPlan) -> None:
        super().__init__()
        width = plan.widths[0]
        self.leak = plan.leak
        self.conv = EqualConv2d(width + int(plan.minibatch_std), width, 3, _gain(plan), plan.style.scaled_bias)
        self.dense = EqualLinear(width * 16, width, _gain(plan), plan.style.scaled_bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.conv(x), self.leak)
        return F.leaky_relu(self.dense(x.flatten(1)), self.leak)


def _gain(plan: CriticPlan) -> float | None:
    return math.sqrt(2) if plan.equalized else None


class ProGANCritic(nn.Module, Critic):
    """Progressive GAN's discriminator (arXiv 1710.10196): images -> score.

    A conditional one has a logit a class beside the score. In the references these only feed an auxiliary classifier
    (AC-GAN), so labels leave the score as it is. With the plan's `projection`, which randomly built networks have, the
    label's logit is added: being linear in the features, this is a projection discriminator (arXiv 1802.05637, eq. 3).
    """

    relativistic = True

    def __init__(self, plan: CriticPlan) -> None:
        super().__init__()
        self.plan = plan
        self.image = plan.image
        self.num_classes = plan.num_classes
        style, resolutions = plan.style, plan.resolutions
        rgb_gain = math.sqrt(2) if plan.equalized and not style.plain_rgb else None
        self.from_rgb = nn.ModuleDict(
            {
                str(resolution): EqualConv2d(plan.channels, width, 1, rgb_gain, style.scaled_bias)
                for resolution, width in reversed(list(zip(resolutions, plan.widths, strict=True)))
                if resolution in plan.rgb_resolutions
            }
        )
        self.blocks = nn.ModuleDict()
        for level in range(len(resolutions) - 1, 0, -1):
            block = CriticBlock(plan, plan.widths[level], plan.widths[level - 1])
            self.blocks[str(resolutions[level])] = block
        self.blocks["4"] = EndBlock(plan)
        head_gain = style.linear_gain if plan.equalized and not style.plain_rgb else None
        self.head = EqualLinear(plan.widths[0], 1 + plan.num_classes, head_gain, style.scaled_bias)
        names = list(self.groups())
        self.lower_groups = tuple(names[: len(names) // 2])

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.forward_head(self.forward_features(images), labels)

    def forward_head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """(n, width at 4x4) -> (n,), float32."""
        heads = self.heads(features)
        if labels is None or not self.plan.projection:
            return heads[:, 0]
        if labels.shape != features.shape[:1]:
            raise MineganError(f"progan: labels must be ({len(features)},), one an image, not {tuple(labels.shape)}")
        return heads[:, 0] + heads[:, 1:].gather(1, labels[:, None])[:, 0]

    def heads(self, features: Tensor) -> Tensor:
        """(n, width at 4x4) -> (n, 1 + classes), float32: the score, then the class logits."""
        heads: Tensor = self.head(features)
        return heads.float()

    def forward_features(self, images: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, width at 4x4): what the heads read."""
        plan = self.plan
        if images.shape[1:] != (plan.channels, plan.image.resolution, plan.image.resolution):
            raise MineganError(f"progan: the critic takes {plan.image} images, not {tuple(images.shape)}")
        lower: Tensor | None = None
        if plan.fades and (plan.style.fades_second or len(plan.widths) > 2):
            lower = self._enter(F.avg_pool2d(images, 2), plan.resolutions[-2])
        x: Tensor = self._enter(images, plan.image.resolution)
        for resolution in reversed(plan.resolutions[1:]):
            x = self.blocks[str(resolution)](x)
            if lower is not None:
                x, lower = plan.alpha * x + (1.0 - plan.alpha) * lower, None
        if plan.minibatch_std:
            plane = self._statistics(images, x)
            x = torch.cat([x, plane.to(x.dtype)], dim=1)
        x = self.blocks["4"](x)
        return x

    def _enter(self, images: Tensor, resolution: int) -> Tensor:
        x: Tensor = self.from_rgb[str(resolution)](images)
        return F.leaky_relu(x, self.plan.leak) if self.plan.style.from_rgb_activation else x

    def _statistics(self, images: Tensor, x: Tensor) -> Tensor:
        if self.plan.style.statistics == "images":
            return image_stddev_plane(images)
        n = len(x)
        group = min(n, 4)
        if n % group:
            whole = self.plan.style.leftover == "whole"
            group = n if whole else max(size for size in range(1, group) if n % size == 0)
        return stddev_plane(x, group)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """From the image's resolution down to `4x4`, each with its RGB layer; then `head`."""
        groups: dict[str, list[nn.Parameter]] = {}
        for name, block in self.blocks.items():
            rgb = list(self.from_rgb[name].parameters()) if name in self.from_rgb else []
            groups[f"{name}x{name}"] = [*rgb, *block.parameters()]
        groups["head"] = list(self.head.parameters())
        return groups

    def reset_parameters(self) -> None:
        """Weights from N(0, 1), or torch's default where not equalised; biases zero."""
        for module in self.modules():
            if isinstance(module, EqualConv2d | EqualLinear):
                module.reset_parameters()
