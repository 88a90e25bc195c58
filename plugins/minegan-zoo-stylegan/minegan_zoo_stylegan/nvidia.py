"""What NVIDIA's StyleGAN2-ADA and StyleGAN3 pickles share. Imports this package, contracts, weights and torch.

Networks are recorded with their attributes, so nothing is taken from defaults. Ignored by rule: `resample_filter` of
layers that do not resample, everything about half precision (all runs in float32), `augment_pipe`,
`training_set_kwargs`, and a D that is not StyleGAN2's discriminator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import Record, module_tensors

from .critic import CriticConfig
from .mapping import MappingConfig
from .tensors import counted, listed, shape_of, taps_of

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
        if not isinstance(children, dict) or not all(isinstance(name, str) for name in children):
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
        try:
            return module_tensors(self.record)
        except MineganError as error:
            raise MineganError(f"{self.path}: {error}") from error


def mapping_config(part: Part) -> MappingConfig:
    """A MappingNetwork, of a generator or of a discriminator's labels, which has no z."""
    tensors = part.tensors()
    count = counted(tensors, r"fc(\d+)\.weight", part.path)
    shapes = [shape_of(tensors, f"fc{i}.weight", 2, part.path) for i in range(count)]
    embed, num_classes = shape_of(tensors, "embed.weight", 2, part.path) if part.has("embed") else (0, 0)
    if shapes[0][1] < embed:
        raise MineganError(f"{part.path}: fc0 takes {shapes[0][1]} values, fewer than the class embedding's {embed}")
    layers = [part.child(f"fc{i}") for i in range(count)]
    kinds = {(layer.fact("bias_gain", float), layer.fact("activation", str)) for layer in layers}
    if len(kinds) > 1:
        raise MineganError(f"{part.path} has layers of several kinds, {sorted(kinds)}; such networks are not supported")
    ((lr, activation),) = kinds
    return MappingConfig(
        z_dim=shapes[0][1] - embed,
        widths=tuple(shape[0] for shape in shapes),
        num_classes=num_classes,
        embed=embed,
        lr=lr,
        activation=activation,
    )


def critic_config(part: Part) -> CriticConfig:
    """StyleGAN2's Discriminator, which StyleGAN3 uses too."""
    tensors = part.tensors()
    names = block_names(part, 8, {"mapping", "b4"})
    head, last = part.child("b4"), part.child(names[-1])
    width, planes = shape_of(tensors, "b4.conv.weight", 4, part.path)[:2]
    deviation = head.child("mbstd") if head.has("mbstd") else None
    if planes < width or (planes > width) != (deviation is not None):
        raise MineganError(f"{head.path} has {planes} inputs of its convolution and {width} channels: it is damaged")
    whole_batch = deviation is None or deviation.state().get("group_size") is None
    return CriticConfig(
        channels=shape_of(tensors, f"{names[-1]}.fromrgb.weight", 4, part.path)[1],
        widths=(width, *(shape_of(tensors, f"{name}.conv0.weight", 4, part.path)[0] for name in names)),
        architecture=architecture_of(last),
        filter_taps=block_taps(tensors, names, part.path),
        activation=last.child("conv0").fact("activation", str),
        head_activation=head.child("conv").fact("activation", str),
        clamp=last.child("conv0").number_or_none("conv_clamp"),
        deviation_group=None if whole_batch or deviation is None else deviation.fact("group_size", int),
        deviation_planes=planes - width,
        labels=mapping_config(part.child("mapping")) if part.has("mapping") else None,
    )


def block_names(part: Part, first: int, others: set[str]) -> list[str]:
    """b4, b8, ... from `first` up; MineganError where one is missing or there is anything else but `others`."""
    found = [name for name in part.children() if name not in others]
    names = [f"b{first << i}" for i in range(len(found))]
    if not names or set(names) != set(found):
        raise MineganError(f"{part.path} has the parts {listed(found)} where {', '.join(names)} were expected")
    return names


def block_taps(tensors: Mapping[str, Tensor], names: Sequence[str], whose: str) -> tuple[float, ...]:
    """The filter that all blocks share."""
    keys = [f"{name}.resample_filter" for name in names]
    if missing := [key for key in keys if key not in tensors]:
        raise MineganError(f"{whose} lacks {listed(missing)}: the file is incomplete or of another kind")
    return taps_of({key: tensors[key] for key in keys}, 1.0, whose)


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
