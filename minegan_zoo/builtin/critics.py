"""The core's own critic, for sources that bring none. May import contracts only."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from minegan_zoo.contracts import Critic, ImageSpec, MineganError


class ConvCritic(nn.Module, Critic):
    """A residual critic down to about 4x4 with spectral norm (Miyato et al., 2018) and an optional projection term.

    Images (n, C, R, R) -> (n,); labels enter by projection (Miyato and Koyama, 2018, eq. 3).
    """

    def __init__(self, image: ImageSpec, num_classes: int, width: int, max_width: int) -> None:
        super().__init__()
        if width < 1 or max_width < 1:
            raise MineganError(f"the critic 'conv' needs width >= 1 and max_width >= 1, not {width} and {max_width}")
        depth = max(1, (image.resolution // 4).bit_length() - 1)
        self.image = image
        self.num_classes = num_classes
        widths = [min(width << level, max_width) for level in range(depth + 1)]
        self.stem = spectral_norm(nn.Conv2d(image.channels, widths[0], 3, padding=1))
        self.blocks = nn.ModuleList(_Down(i, o) for i, o in pairwise(widths))
        self.body = spectral_norm(nn.Conv2d(widths[-1], widths[-1], 3, padding=1))
        self.score = spectral_norm(nn.Linear(widths[-1], 1))
        self.projection = spectral_norm(nn.Embedding(num_classes, widths[-1])) if num_classes else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.forward_head(self.forward_features(images), labels)

    def forward_features(self, images: Tensor) -> Tensor:
        """(n, C, R, R) -> (n, width of the last block), float32: its means over the image."""
        x = self.stem(images)
        for block in self.blocks:
            x = block(x)
        x = F.leaky_relu(self.body(F.leaky_relu(x, 0.2)), 0.2)
        return x.mean((2, 3), dtype=torch.promote_types(x.dtype, torch.float32))

    def forward_head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """(n, width) -> (n,), float32 also under autocast: real and fake differ where bfloat16 has no digits left."""
        with torch.autocast(features.device.type, enabled=False):
            scores: Tensor = self.score(features).squeeze(1)
            if self.projection is not None and labels is not None:
                scores = scores + (self.projection(labels) * features).sum(1)
        return scores

    def groups(self) -> dict[str, list[nn.Parameter]]:
        head = [*self.body.parameters(), *self.score.parameters()]
        if self.projection is not None:
            head += self.projection.parameters()
        blocks = {f"block.{index}": list(block.parameters()) for index, block in enumerate(self.blocks)}
        return {"stem": list(self.stem.parameters()), **blocks, "head": head}

    @torch.no_grad()
    def reset_parameters(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
                # the parametrised weight is assigned through the property, as torch documents it
                weight = torch.empty_like(module.weight)
                module.weight = nn.init.orthogonal_(weight)
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                module.bias.zero_()


class _Down(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = spectral_norm(nn.Conv2d(inputs, inputs, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1))
        self.skip = spectral_norm(nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        main = self.conv2(F.leaky_relu(self.conv1(F.leaky_relu(x, 0.2)), 0.2))
        return F.avg_pool2d(main, 2) + self.skip(F.avg_pool2d(x, 2))
