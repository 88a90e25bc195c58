"""What NVIDIA's StyleGAN2-ADA and StyleGAN3 pickles share. Imports this package, contracts, weights and torch.

Networks are recorded with their attributes, so nothing is taken from defaults. Ignored by rule: `resample_filter` of
layers that do not resample, everything about half precision (all runs in float32), `augment_pipe`,
`training_set_kwargs`, and a D that is not StyleGAN2's discriminator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import Record, module_tensors

from .critic import CriticConfig
from .mapping import MappingConfig
from .tensors import shape_of, taps_of

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """A recorded module; `path` is for messages."""

    record: Any
    path: str

    def state(self) -> Mapping[str, Any]:
        if not isinstance(self.record, Record) or not isinstance(self.record.state, dict):
            raise MineganError(f"{self.path} is no recorded network: the file is damaged or of another kind")
        return self.record.state

    def children(self) -> Mapping[str, Any]:
        children = self.state().get("_modules")
        if not isinstance(children, dict):
            raise MineganError(f"{self.path} is no recorded network: the file is damaged or of another kind")
        return children

    def child(self, name: str) -> Part:
        if self.children().get(name) is None:
            raise MineganError(f"{self.path} has no {name}: the file is damaged or of another kind")
        return Part(self.children()[name], f"{self.path}.{name}")

    def has(self, name: str) -> bool:
        return self.children().get(name) is not None

    def fact(self, name: str, kind: type[T]) -> T:
        """An attribute, of the type `kind`; whole numbers do for float."""
        value = self.state().get(name)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind):
            raise MineganError(f"{self.path} has {name}={value!r:.80}, where a {kind.__name__} was expected")
        return value

    def number_or_none(self, name: str) -> float | None:
        return None if self.state().get(name) is None else self.fact(name, float)

    def tensors(self) -> dict[str, Tensor]:
        return module_tensors(self.record)


def mapping_config(part: Part) -> MappingConfig:
    """A MappingNetwork, of a generator or (z_dim 0) of a discriminator's labels."""
    tensors = part.tensors()
    layers = [part.child(f"fc{i}") for i in range(part.fact("num_layers", int))]
    num_classes = part.fact("c_dim", int)
    config = MappingConfig(
        z_dim=part.fact("z_dim", int),
        widths=tuple(shape_of(tensors, f"fc{i}.weight", 2, part.path)[0] for i in range(len(layers))),
        num_classes=num_classes,
        embed=shape_of(tensors, "embed.weight", 2, part.path)[0] if num_classes else 0,
    )
    if not layers:
        raise MineganError(f"{part.path} has no layers; such networks are not supported")
    kinds = {(layer.fact("bias_gain", float), layer.fact("activation", str)) for layer in layers}
    if len(kinds) > 1:
        raise MineganError(f"{part.path} has layers of several kinds, {sorted(kinds)}; such networks are not supported")
    ((lr, activation),) = kinds
    return MappingConfig(config.z_dim, config.widths, config.num_classes, config.embed, lr, activation)


def critic_config(part: Part) -> CriticConfig:
    """StyleGAN2's Discriminator, which StyleGAN3 uses too."""
    tensors = part.tensors()
    resolutions = sorted(int(name[1:]) for name in part.children() if name[1:].isdecimal() and name != "b4")
    if not resolutions or resolutions != [8 << i for i in range(len(resolutions))]:
        raise MineganError(f"{part.path} has blocks of the sizes {resolutions}, not 8, 16, ...")
    blocks = [part.child(f"b{resolution}") for resolution in resolutions]
    head, top = part.child("b4"), f"b{resolutions[-1]}"
    widths = [shape_of(tensors, f"b{resolution}.conv0.weight", 4, part.path)[0] for resolution in resolutions]
    deviation = head.child("mbstd") if head.has("mbstd") else None
    group = deviation.state().get("group_size") if deviation else None
    return CriticConfig(
        channels=shape_of(tensors, f"{top}.fromrgb.weight", 4, part.path)[1],
        widths=(shape_of(tensors, "b4.conv.weight", 4, part.path)[0], *widths),
        architecture=architecture_of(blocks[-1]),
        filter_taps=taps_of(
            {f"{name}.resample_filter": tensors[f"{name}.resample_filter"] for name in map("b{}".format, resolutions)},
            1.0,
            part.path,
        ),
        activation=blocks[-1].child("conv0").fact("activation", str),
        head_activation=head.child("conv").fact("activation", str),
        clamp=blocks[-1].child("conv0").number_or_none("conv_clamp"),
        deviation_group=None if group is None else int(group),
        deviation_planes=deviation.fact("num_channels", int) if deviation else 0,
        labels=mapping_config(part.child("mapping")) if part.has("mapping") else None,
    )


def architecture_of(block: Part) -> Any:
    name = block.fact("architecture", str)
    if name not in ("orig", "skip", "resnet"):
        raise MineganError(f"{block.path} has the architecture {name!r}; orig, skip and resnet are known")
    return name


def critic_key(name: str) -> str:
    """The file's key of a tensor of our discriminator."""
    first, _, rest = name.partition(".")
    if first == "head":
        return "b4." + rest.replace("hidden.", "fc.")
    if first == "labels":
        return "mapping." + rest.replace("layers.", "fc")
    index, _, rest = rest.partition(".")
    return f"b{8 << int(index)}.{rest}"
