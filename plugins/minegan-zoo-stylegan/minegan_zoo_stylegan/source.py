"""What all StyleGANs share as sources: latent spaces, truncation, noise, groups. Imports torch only."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Generator, Tensor, nn

from minegan_zoo.contracts import Critic, GeneratorSource, ImageSpec, LatentSpace, MineganError, Shared

from .mapping import Mapping, MappingConfig

if TYPE_CHECKING:
    from minegan_zoo.contracts import Code

Noise = Literal["const", "random", "none"]


@dataclass(frozen=True)
class Sampling:
    """Options that change images, not weights. `truncation_cutoff` = how many of the first ws are truncated."""

    truncation: float = 1.0
    truncation_cutoff: int | None = None
    noise: Noise = "const"

    def __post_init__(self) -> None:
        if self.noise not in ("const", "random", "none"):
            raise MineganError(f"noise must be const, random or none, not {self.noise!r}")


class Synthesis(Protocol):
    """What `StyleSource` needs of a synthesis network, which is an `nn.Module` as well."""

    image: ImageSpec
    num_ws: int
    w_dim: int
    noise_sizes: list[int]

    def __call__(self, ws: Tensor, noise: Sequence[Tensor | None]) -> Tensor: ...
    def noise_maps(self) -> list[Tensor]: ...
    def reset_parameters(self) -> None: ...
    def groups(self) -> dict[str, list[nn.Parameter]]: ...


class StyleSource(nn.Module, GeneratorSource):
    """z (and class) -> w -> one w per layer -> image.

    Latents: "z", "class" where there are classes, "w", "w+" (num_ws, w_dim), and "noise.k" (1, H, H) where the family
    has noise. Truncation acts between z and w; given w and w+ stay as they are.
    """

    w_mean: Tensor

    def __init__(
        self,
        mapping: MappingConfig,
        synthesis: Synthesis,
        *,
        sampling: Sampling,
        config: MappingType[str, Any],
        critic: Critic | None = None,
        stored_mean: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(synthesis, nn.Module):
            raise TypeError("a synthesis network is an nn.Module")
        self.mapping = Mapping(mapping)
        self.synthesis: Any = synthesis
        self.image, self.num_classes = synthesis.image, mapping.num_classes
        self.sampling, self.stored_mean = sampling, stored_mean
        self.register_buffer("w_mean", torch.zeros(synthesis.w_dim))
        self._config, self._critic = config, Shared(critic)
        self.latents = self._latents(mapping, synthesis)
        self._noise_keys = [f"noise.{k}" for k in range(len(synthesis.noise_sizes))]
        bases = (frozenset({"z", "class"} if self.num_classes else {"z"}), frozenset({"w"}), frozenset({"w+"}))
        noisy = tuple(base | set(self._noise_keys) for base in bases) if self._noise_keys else ()
        self.inputs = bases + noisy
        self.per_layer_keys = bases[-1]

    @staticmethod
    def _latents(mapping: MappingConfig, synthesis: Synthesis) -> dict[str, LatentSpace]:
        latents = {"z": LatentSpace((mapping.z_dim,), "normal")}
        if mapping.num_classes:
            latents["class"] = LatentSpace((mapping.embed,), "class-embedding")
        latents["w"] = LatentSpace((synthesis.w_dim,), "mapped")
        latents["w+"] = LatentSpace((synthesis.num_ws, synthesis.w_dim), "mapped")
        return latents | {
            f"noise.{k}": LatentSpace((1, size, size), "normal") for k, size in enumerate(synthesis.noise_sizes)
        }

    def finish_loading(self) -> None:
        """To be called once the weights are there: finds the mean w if it is needed and not stored."""
        if self.sampling.truncation != 1.0 and not self.stored_mean:
            self._find_mean()

    @torch.no_grad()
    def _find_mean(self) -> None:
        """The mean of 4096 mapped z from a fixed seed, classes uniform."""
        code = self._draw(4096, torch.Generator().manual_seed(0))
        self.w_mean.copy_(self.mapping(code["z"], code.get("class")).mean(dim=0))

    def _draw(self, n: int, rng: Generator) -> dict[str, Tensor]:
        device = self.w_mean.device
        code = {"z": torch.randn(n, *self.latents["z"].shape, generator=rng, device=rng.device).to(device)}
        if self.num_classes:
            labels = torch.randint(self.num_classes, (n,), generator=rng, device=rng.device)
            code["class"] = self.mapping.class_codes(labels)
        return code

    @torch.no_grad()
    def prior(self, n: int, keys: frozenset[str], rng: Generator) -> dict[str, Tensor]:
        """z and noise are N(0, 1), classes uniform; w and w+ are what such z and classes map to, truncated."""
        if unknown := keys - self.latents.keys():
            raise MineganError(f"no latent space {sorted(unknown)}: this source has {list(self.latents)}")
        code: dict[str, Tensor] = {}
        if keys & {"z", "class", "w", "w+"}:
            code = self._draw(n, rng)
            if keys & {"w", "w+"}:
                code["w+"] = self._map(code)
                code["w"] = code["w+"][:, 0]
        for key in self._noise_keys:
            if key in keys:
                noise = torch.randn(n, *self.latents[key].shape, generator=rng, device=rng.device)
                code[key] = noise.to(self.w_mean.device)
        return {key: code[key] for key in self.latents if key in keys}

    def class_codes(self, labels: Tensor) -> Tensor:
        """(n,) int64 -> (n, embed): the class embedding before its normalisation."""
        return self.mapping.class_codes(labels)

    def _map(self, code: Code) -> Tensor:
        """z (and class) -> truncated ws (n, num_ws, w_dim)."""
        w = self.mapping(code["z"], code.get("class"))
        ws: Tensor = w[:, None].expand(-1, self.synthesis.num_ws, -1)
        psi, cutoff = self.sampling.truncation, self.sampling.truncation_cutoff
        if psi == 1.0:
            return ws
        truncated = self.w_mean.lerp(ws, psi)
        return truncated if cutoff is None else torch.cat([truncated[:, :cutoff], ws[:, cutoff:]], dim=1)

    def _check(self, code: Code) -> None:
        if frozenset(code) not in self.inputs:
            accepted = "; ".join(", ".join(sorted(keys)) for keys in self.inputs[:3])
            noise = f", each with or without all of noise.0 ... {self._noise_keys[-1]}" if self._noise_keys else ""
            raise MineganError(f"synthesize got {sorted(code)}, but accepts {accepted}{noise}")
        for key, value in code.items():
            if value.shape[1:] != self.latents[key].shape:
                wanted = ("n", *self.latents[key].shape)
                raise MineganError(f"the code {key!r} must have the shape {wanted}, not {tuple(value.shape)}")

    def synthesize(self, code: Code) -> Tensor:
        self._check(code)
        if "z" in code:
            ws = self._map(code)
        elif "w" in code:
            ws = code["w"][:, None].expand(-1, self.synthesis.num_ws, -1)
        else:
            ws = code["w+"]
        image: Tensor = self.synthesis(ws, self._noise(code, ws))
        return image.float()

    def _noise(self, code: Code, ws: Tensor) -> Sequence[Tensor | None]:
        if self._noise_keys and self._noise_keys[0] in code:
            return [code[key] for key in self._noise_keys]
        if self.sampling.noise == "none":
            return [None] * len(self._noise_keys)
        if self.sampling.noise == "const":
            maps: list[Tensor] = self.synthesis.noise_maps()
            return maps
        return [torch.randn(len(ws), 1, size, size, device=ws.device) for size in self.synthesis.noise_sizes]

    def groups(self) -> dict[str, list[nn.Parameter]]:
        body: dict[str, list[nn.Parameter]] = self.synthesis.groups()
        return {"mapping": list(self.mapping.parameters())} | body

    def own_critic(self) -> Critic | None:
        return self._critic.value

    def config(self) -> MappingType[str, Any]:
        return self._config

    def reset_parameters(self) -> None:
        self.mapping.reset_parameters()
        self.synthesis.reset_parameters()
        if self.stored_mean or self.sampling.truncation != 1.0:
            self._find_mean()
