"""The projection discriminator (Miyato and Koyama, 2018) as a critic. Imports `contracts`, `blocks` and theirs."""

from __future__ import annotations

from torch import Tensor, nn

from minegan_zoo.contracts import Critic, ImageSpec, MineganError
from minegan_zoo_biggan.architecture import DiscriminatorPlan
from minegan_zoo_biggan.blocks import Attention, DeepDiscriminatorBlock, DiscriminatorBlock, activation, conv
from minegan_zoo_biggan.spectral import Linear, SpectralNorm, Table, full_precision


class Discriminator(nn.Module, Critic):
    """score = linear(h) + embed(label) . h, where h is summed over positions; no minibatch statistics."""

    lr_scale = 1 / 2

    def __init__(self, plan: DiscriminatorPlan) -> None:
        super().__init__()
        self.plan, self.act = plan, activation(plan.activation)
        self.image = ImageSpec(plan.channels, plan.resolution)
        self.num_classes = plan.num_classes
        self.input_conv = conv(plan, plan.channels, plan.blocks[0][0].inputs, 3) if plan.deep else None
        self.blocks = nn.ModuleList(nn.ModuleList(self._stage(index)) for index in range(len(plan.blocks)))
        width = plan.blocks[-1][-1].outputs
        self.linear = Linear(width, 1, plan.spectral, plan.sn_eps)
        self.embed = Table(plan.num_classes, width, plan.spectral, plan.sn_eps) if plan.num_classes else None

    def _stage(self, index: int) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for block in self.plan.blocks[index]:
            if self.plan.deep:
                layers.append(DeepDiscriminatorBlock(block, self.plan))
            else:
                layers.append(DiscriminatorBlock(block, self.plan, first=index == 0))
            if block.attention:
                layers.append(Attention(block.outputs, self.plan))
        return layers

    def reset_parameters(self) -> None:
        for module in self.modules():
            if isinstance(module, SpectralNorm | Attention):
                module.reset_parameters()

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.forward_head(self.forward_features(images), labels)

    def forward_features(self, images: Tensor) -> Tensor:
        """(n, C, H, W) -> h (n, width), float32."""
        h = images if self.input_conv is None else self.input_conv(images)
        for stage in self.blocks:
            for layer in stage:  # type: ignore[attr-defined]
                h = layer(h)
        return self.act(h.float()).sum((2, 3))

    def forward_head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """h (n, width) -> (n,); without labels linear(h) alone."""
        if labels is not None and self.embed is None:
            raise MineganError("this BigGAN discriminator has no classes: leave the labels out")
        with full_precision(features):
            score: Tensor = self.linear(features).squeeze(1)
            if labels is not None and self.embed is not None:
                score = score + (self.embed(labels) * features).sum(1)
        return score

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """input (deep only), block.0 ... block.N, linear, embed (conditional only)."""
        parts: dict[str, nn.Module | None] = {"input": self.input_conv}
        parts |= {f"block.{index}": stage for index, stage in enumerate(self.blocks)}
        parts |= {"linear": self.linear, "embed": self.embed}
        return {name: list(part.parameters()) for name, part in parts.items() if part is not None}
