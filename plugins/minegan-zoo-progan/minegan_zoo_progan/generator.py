"""The ProGAN generator as a `GeneratorSource`. Imports contracts and this package's architecture and layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from minegan_zoo.contracts import GeneratorSource, MineganError, Shared

from .architecture import GeneratorPlan, ProGANPlan
from .critic import ProGANCritic
from .layers import Embedding, EnlargingConv2d, EqualConv2d, EqualLinear, pixel_norm
from .layout import fast_layout

if TYPE_CHECKING:
    from minegan_zoo.contracts import Code


@dataclass(frozen=True)
class Activation:
    """Leaky ReLU and pixel norm, in the dialect's order. Overwrites its input."""

    leak: float
    norm_first: bool

    def __call__(self, x: Tensor) -> Tensor:
        if self.norm_first:
            return F.leaky_relu_(pixel_norm(x), self.leak)
        return pixel_norm(F.leaky_relu_(x, self.leak))


class StartBlock(nn.Module):
    """(n, latent) -> (n, width, 4, 4)."""

    def __init__(self, plan: GeneratorPlan, inputs: int) -> None:
        super().__init__()
        width, style = plan.widths[0], plan.style
        self.activate = Activation(plan.leak, plan.style.norm_first)
        self.dense = EqualLinear(
            inputs,
            width * 16,
            style.start_gain if plan.equalized else None,
            style.scaled_bias,
            biases=width if style.start_bias == "channel" else None,
        )
        self.conv = EqualConv2d(width, width, 3, _gain(plan), style.scaled_bias)

    def forward(self, latent: Tensor) -> Tensor:
        x = rearrange(self.dense(latent), "n (c h w) -> n c h w", h=4, w=4)
        return self.activate(self.conv(self.activate(x)))


class Block(nn.Module):
    """(n, inputs, r, r) -> (n, outputs, 2r, 2r): two convolutions, the first of the enlarged input."""

    def __init__(self, plan: GeneratorPlan, inputs: int, outputs: int) -> None:
        super().__init__()
        self.activate = Activation(plan.leak, plan.style.norm_first)
        self.conv0 = EnlargingConv2d(inputs, outputs, 3, _gain(plan), plan.style.scaled_bias)
        self.conv1 = EqualConv2d(outputs, outputs, 3, _gain(plan), plan.style.scaled_bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.activate(self.conv1(self.activate(self.conv0(fast_layout(x)))))


def _gain(plan: GeneratorPlan) -> float | None:
    return math.sqrt(2) if plan.equalized else None


class ProGAN(nn.Module, GeneratorSource):
    """Progressive GAN (Karras et al., arXiv 1710.10196): z, and a class code where it is conditional -> images.

    Below alpha 1 the image is `alpha` parts of the highest resolution and `1 - alpha` of the one beneath, upsampled.
    RGB layers are kept for the plan's `rgb_layers` highest resolutions, in use or not, so that nothing of a file is
    lost; randomly built networks hold only those in use.
    """

    def __init__(self, plan: GeneratorPlan, critic: ProGANCritic | None = None) -> None:
        super().__init__()
        self.plan = plan
        self.image = plan.image
        self.latents = plan.latents
        self.inputs = (frozenset(plan.latents),)
        if plan.num_classes == 1:  # how rosinality's code trains without labels
            self.inputs += (frozenset({"z"}),)
        self.num_classes = plan.num_classes
        self.embedding = Embedding(plan.num_classes, plan.class_dim) if plan.class_dim else None
        latent = sum(space.shape[0] for space in plan.latents.values())
        self.blocks = nn.ModuleDict({"4": StartBlock(plan, latent)})
        for resolution, inputs, outputs in zip(plan.resolutions[1:], plan.widths, plan.widths[1:], strict=False):
            self.blocks[str(resolution)] = Block(plan, inputs, outputs)
        rgb_gain = None if plan.style.plain_rgb or not plan.equalized else plan.style.linear_gain
        self.to_rgb = nn.ModuleDict(
            {
                str(resolution): EqualConv2d(width, plan.channels, 1, rgb_gain, plan.style.scaled_bias)
                for resolution, width in zip(plan.resolutions, plan.widths, strict=True)
                if resolution in plan.rgb_resolutions
            }
        )
        self._critic = Shared(critic)

    def synthesize(self, code: Code) -> Tensor:
        if frozenset(code) not in self.inputs:
            wanted = " or ".join(" + ".join(sorted(keys)) for keys in self.inputs)
            raise MineganError(f"progan: the code holds {', '.join(sorted(code))}; this network takes {wanted}")
        plan = self.plan
        x = self._latent(code)
        levels = len(plan.widths)
        image: Tensor | None = None
        for level, resolution in enumerate(plan.resolutions):
            x = self.blocks[str(resolution)](x)
            if plan.fades and level == levels - 2:
                image = F.interpolate(self.to_rgb[str(resolution)](x), scale_factor=2.0, mode="nearest")
        new = self.to_rgb[str(plan.image.resolution)](x)
        image = new if image is None else plan.alpha * new + (1.0 - plan.alpha) * image
        return (image.tanh() if plan.tanh else image).float().contiguous()

    def _latent(self, code: Code) -> Tensor:
        """(n, start block's inputs): pixel norm on z, or on z and class together where the dialect does so."""
        z = code["z"]
        if not self.num_classes:
            return pixel_norm(z)
        classes = code["class"] if "class" in code else self.class_codes(z.new_zeros(len(z), dtype=torch.int64))
        if self.plan.style.joint_norm:
            return pixel_norm(torch.cat([z, classes], dim=1))
        return torch.cat([pixel_norm(z), classes], dim=1)

    @torch.no_grad()
    def prior(self, n: int, keys: frozenset[str], rng: torch.Generator) -> dict[str, Tensor]:
        """z on the sphere of unit mean square (normal where `latents` says so), uniformly drawn classes."""
        unknown = sorted(keys - frozenset(self.latents))
        if unknown:
            raise MineganError(f"progan: no latent space {', '.join(unknown)}; it has {', '.join(self.latents)}")
        device = next(self.parameters()).device
        code: dict[str, Tensor] = {}
        for name, space in self.latents.items():
            if name not in keys:
                continue
            if name == "class":
                labels = [torch.randint(size, (n,), generator=rng, device=rng.device) for size in self.plan.attributes]
                code[name] = self.class_codes(torch.stack(labels, dim=1).to(device))
                continue
            z = torch.randn(n, *space.shape, generator=rng, device=rng.device)
            if space.prior == "sphere":
                z = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True))
            code[name] = z.to(device)
        return code

    def class_codes(self, labels: Tensor) -> Tensor:
        """(n,) int64 -> the class embedding's rows, or one-hot vectors; (n, attributes) where there are several."""
        sizes = self.plan.attributes
        if not sizes:
            raise MineganError("progan: this network is unconditional, it has no class codes")
        labels = labels[:, None] if labels.ndim == 1 else labels
        if labels.ndim != 2 or labels.shape[1] != len(sizes):
            raise MineganError(f"progan: labels must be (n, {len(sizes)}), one column an attribute, not {labels.shape}")
        limits = torch.tensor(sizes, device=labels.device)
        if bool(((labels < 0) | (labels >= limits)).any()):
            raise MineganError(f"progan: labels must be at least 0 and below {', '.join(map(str, sizes))}")
        if self.embedding is not None:
            rows: Tensor = self.embedding(labels[:, 0])
            return rows
        columns = [F.one_hot(labels[:, i], size) for i, size in enumerate(sizes)]
        return torch.cat(columns, dim=1).to(next(self.parameters()))

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """`class` (the embedding, if any), then `4x4`, `8x8`, ...: each resolution with its RGB layer."""
        groups = {} if self.embedding is None else {"class": list(self.embedding.parameters())}
        for name, block in self.blocks.items():
            rgb = list(self.to_rgb[name].parameters()) if name in self.to_rgb else []
            groups[f"{name}x{name}"] = [*block.parameters(), *rgb]
        return groups

    def own_critic(self) -> ProGANCritic | None:
        return self._critic.value

    def full_plan(self) -> ProGANPlan:
        """What rebuilds this network and its critic."""
        critic = self.own_critic()
        return ProGANPlan(self.plan, None if critic is None else critic.plan)

    def config(self) -> dict[str, Any]:
        return self.full_plan().config()

    def reset_parameters(self) -> None:
        """Weights and class embedding from N(0, 1), or torch's default where not equalised; biases zero."""
        for module in self.modules():
            if isinstance(module, EqualConv2d | EqualLinear | Embedding):
                module.reset_parameters()
