"""The BigGAN generator (Brock et al., 2019, arXiv 1809.11096) as a source. Imports `contracts`, `blocks` and theirs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from einops import rearrange
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import GeneratorSource, ImageSpec, MineganError, Shared
from minegan_zoo_biggan.architecture import GeneratorPlan, latent_spaces, to_json
from minegan_zoo_biggan.blocks import Attention, DeepGeneratorBlock, GeneratorBlock, activation
from minegan_zoo_biggan.discriminator import Discriminator
from minegan_zoo_biggan.norm import BatchNorm, BatchStatistics
from minegan_zoo_biggan.spectral import ImageConv2d, Linear, SpectralNorm, Table

if TYPE_CHECKING:
    from minegan_zoo.contracts import Code

TRUNCATED_AT = 2.0
"""A truncated prior is `truncation` times a normal cut at +-2, as BigGAN's released samplers draw it."""


class BigGAN(nn.Module, GeneratorSource):
    """{z, class} or {z, class+} -> images; {z} alone where there are no classes.

    "class" is the shared class embedding, or the soft one-hot where batch norm holds per-class tables; "class+" holds
    one for everything that is conditioned: the blocks, in a deep network the first layer before them. With parts of
    several classes in an image it reaches what no class makes, as a StyleGAN's W+ does (arXiv 1904.03189).
    """

    lr_scale = 1 / 16
    finetuned_psi = 1.12

    def __init__(self, plan: GeneratorPlan, critic: Discriminator | None = None, truncation: float = 1.0) -> None:
        super().__init__()
        if not 0 < truncation <= 1:
            raise MineganError(f"BigGAN's truncation is above 0 and at most 1, not {truncation}")
        self.plan, self.truncation, self._critic = plan, truncation, Shared(critic)
        self.act = activation(plan.activation)
        self.image = ImageSpec(plan.channels, plan.resolution)
        self.num_classes = plan.num_classes
        self.latents = latent_spaces(
            dim_z=plan.dim_z,
            class_dim=plan.class_dim,
            conditioned=plan.conditioned,
            prior="truncated" if truncation < 1 or plan.statistics > 0 else "normal",
            scale=truncation,
        )
        self.inputs = (frozenset({"z", "class"}), frozenset({"z", "class+"}))
        self.per_layer_keys = self.inputs[1]
        if not plan.num_classes:
            self.latents = {"z": self.latents["z"]}
            self.inputs, self.per_layer_keys = (frozenset({"z"}),), frozenset()

        first = plan.blocks[0].inputs
        self.shared = Table(plan.classes, plan.shared_dim, "none", plan.sn_eps) if plan.shared_dim else None
        self.linear = Linear(plan.start_dim, first * plan.bottom**2, plan.spectral, plan.sn_eps)
        self.blocks = nn.ModuleList(nn.ModuleList(self._block(index)) for index in range(len(plan.blocks)))
        last = plan.blocks[-1].outputs
        rgb = ImageConv2d(last, plan.rgb_rows or plan.channels, plan.channels, plan.spectral, plan.sn_eps)
        self.output_layer = nn.ModuleDict({"0": BatchNorm(last, plan), "2": rgb})
        for module in self.modules():
            if isinstance(module, BatchStatistics):
                module.truncation = truncation

    def _block(self, index: int) -> list[nn.Module]:
        block = self.plan.blocks[index]
        layers: list[nn.Module] = [(DeepGeneratorBlock if self.plan.deep else GeneratorBlock)(block, self.plan)]
        if index == 0 and self.plan.attention_first:
            layers.insert(0, Attention(block.inputs, self.plan))
        if block.attention:
            layers.append(Attention(block.outputs, self.plan))
        return layers

    def reset_parameters(self) -> None:
        """Orthogonal weights, as in the reference; the shared embedding's too."""
        for module in self.modules():
            if isinstance(module, SpectralNorm | BatchStatistics | Attention):
                module.reset_parameters()

    def prior(self, n: int, keys: frozenset[str], rng: Generator) -> dict[str, Tensor]:
        """z: N(0, 1), truncated for a truncation below 1; class: the code of a random label; class+: in every row."""
        code: dict[str, Tensor] = {}
        for key in sorted(keys):
            if key not in self.latents:
                raise MineganError(f"this BigGAN has no latent space {key!r}: it has {', '.join(self.latents)}")
            if key in ("class", "class+"):
                labels = torch.randint(self.num_classes, (n,), generator=rng, device=rng.device)
                code[key] = self._shaped(self.class_codes(labels), key)
            else:
                code[key] = self._noise(n, rng).to(self.linear.weight.device)
        return code

    def _shaped(self, codes: Tensor, key: str) -> Tensor:
        """Class codes (n, d) as the space `key` has them."""
        return codes if key == "class" else codes[:, None].repeat(1, self.plan.conditioned, 1)

    def _noise(self, n: int, rng: Generator) -> Tensor:
        shape = (n, self.plan.dim_z)
        if self.latents["z"].prior == "normal":
            return torch.randn(shape, generator=rng, device=rng.device)
        # The inverse of the normal's distribution function, between its values at -2 and 2
        span = math.erf(TRUNCATED_AT / math.sqrt(2))
        uniform = torch.rand(shape, generator=rng, device=rng.device, dtype=torch.float64)
        z = math.sqrt(2) * torch.erfinv((2 * uniform - 1) * span)
        return (self.truncation * z).float()

    def class_codes(self, labels: Tensor) -> Tensor:
        """Labels (n,) or class probabilities (n, num_classes) -> (n, class width), with a graph to the embedding."""
        if not self.num_classes:
            return super().class_codes(labels)
        if not labels.is_floating_point() and bool(((labels < 0) | (labels >= self.num_classes)).any()):
            raise MineganError(f"BigGAN's labels lie in 0 ... {self.num_classes - 1}, got {labels.unique().tolist()}")
        labels = labels.to(self.linear.weight.device)
        if self.shared is None:
            return labels if labels.is_floating_point() else F.one_hot(labels, self.num_classes).float()
        codes: Tensor = self.shared(labels)
        return codes

    def synthesize(self, code: Code) -> Tensor:
        if frozenset(code) not in self.inputs:
            known = " or ".join(", ".join(sorted(keys)) for keys in self.inputs)
            raise MineganError(f"this BigGAN takes {known}, not {', '.join(sorted(code))}")
        for key, value in code.items():
            if value.shape[1:] != self.latents[key].shape:
                shape = ", ".join(map(str, ("n", *self.latents[key].shape)))
                raise MineganError(f"BigGAN's {key!r} has shape ({shape}), not {tuple(value.shape)}")
        z = code["z"].float()
        label = code["class" if "class" in code else "class+"].float() if self.num_classes else self._only_class(len(z))
        start, conditions = self._conditions(z, label)
        h = self._feature_map(self.linear(start))
        for layers, condition in zip(self.blocks, conditions, strict=True):
            for layer in layers:  # type: ignore[attr-defined]
                h = layer(h) if isinstance(layer, Attention) else layer(h, condition)
        rgb = self.output_layer["2"](self.act(self.output_layer["0"](h)))
        return torch.tanh(rgb.float()).contiguous()

    def _feature_map(self, start: Tensor) -> Tensor:
        width = self.plan.bottom
        if self.plan.hub_order:
            return rearrange(start, "n (h w c) -> n c h w", h=width, w=width).contiguous()
        return rearrange(start, "n (c h w) -> n c h w", h=width, w=width)

    def _only_class(self, n: int) -> Tensor:
        device = self.linear.weight.device
        return torch.ones(n, 1, device=device) if self.shared is None else self.shared.weight.expand(n, -1)

    def _conditions(self, z: Tensor, label: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the first layer and what each block sees, from a label (n, d) or one for each of them (n, rows, d)."""
        rows = self.plan.conditioned
        if self.plan.deep:
            labels = label.unbind(1) if label.ndim == 3 else (label,)
            seen = [torch.cat([z, one] if self.plan.hub_order else [one, z], dim=1) for one in labels]
            start, *conditions = seen if label.ndim == 3 else seen * rows
            return start, conditions
        labels = label.unbind(1) if label.ndim == 3 else (label,) * rows
        if not self.plan.hier:
            return z, list(labels)
        start, *chunks = torch.split(z, self.plan.chunk, dim=1)
        return start, [torch.cat([one, chunk], dim=1) for one, chunk in zip(labels, chunks, strict=True)]

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """shared, linear, block.0 ... block.N (each with its attention), output."""
        parts: dict[str, nn.Module | None] = {"shared": self.shared, "linear": self.linear}
        parts |= {f"block.{index}": layers for index, layers in enumerate(self.blocks)}
        parts["output"] = self.output_layer
        return {name: list(part.parameters()) for name, part in parts.items() if part is not None}

    def own_critic(self) -> Discriminator | None:
        return self._critic.value

    def config(self) -> dict[str, Any]:
        critic = self.own_critic()
        return {
            "generator": to_json(self.plan),
            "discriminator": None if critic is None else to_json(critic.plan),
            "truncation": self.truncation,
        }
