"""What every reader gives and every builder takes: a configuration and the tensors that fit it. Imports torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor, nn

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import load_strict

from .source import Sampling, StyleSource
from .tensors import listed


class Config(Protocol):
    """Everything about a generator and its discriminator but the tensors: a frozen dataclass of JSON values."""

    family: ClassVar[str]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self: ...

    def network(self, sampling: Sampling) -> StyleSource:
        """Networks whose parameters are not yet set."""

    def cropped(self, resolution: int | None, alpha: float | None) -> Self:
        """The network that ends at `resolution`, with the fade `alpha`; None leaves them as they are."""

    def shape(self) -> Mapping[str, Any]:
        """What options may repeat."""


@dataclass(frozen=True)
class Networks:
    """Tensors under this plugin's names; `critic` is None where there is no discriminator."""

    config: Config
    generator: Mapping[str, Tensor]
    critic: Mapping[str, Tensor] | None
    checkpoint_format: str = ""

    def cropped(self, resolution: int | None, alpha: float | None, whose: str) -> Networks:
        """What a smaller network needs of the tensors."""
        small = self.config.cropped(resolution, alpha)
        if small == self.config:
            return self
        network = blank_of(small, whose)
        critic = network.own_critic()
        return Networks(
            small,
            _selected(network, self.generator, whose),
            _selected(critic, self.critic, whose)
            if isinstance(critic, nn.Module) and self.critic is not None
            else None,
            self.checkpoint_format,
        )

    def check(self, options: Mapping[str, Any], whose: str) -> None:
        """Options that random networks need may repeat what the file says, not contradict it."""
        shape = self.config.shape()
        for name, value in options.items():
            if value is not None and value != shape.get(name, value):
                raise MineganError(f"{whose} has {name}={shape[name]}, not {value}: leave the option out")

    def check_fit(self, whose: str) -> None:
        """Whether the tensors fit the configuration, before memory is taken."""
        blank = blank_of(self.config, whose)
        critic = blank.own_critic()
        if critic is not None and self.critic is None:
            raise MineganError(f"{whose} describes a discriminator, but holds none: save the source again")
        for part, tensors in ((blank, self.generator), (critic, self.critic)):
            if isinstance(part, nn.Module) and tensors is not None:
                wanted = {name: value.shape for name, value in part.state_dict().items()}
                found = {name: value.shape for name, value in tensors.items()}
                if unfit := [name for name in wanted | found if wanted.get(name) != found.get(name)]:
                    raise MineganError(f"{whose} holds tensors that do not fit its description: {listed(unfit)}")

    def source(self, sampling: Sampling, whose: str) -> StyleSource:
        source = blank_of(self.config, whose, sampling)
        load_strict(source, _in_float32(self.generator), f"{whose} (generator)", adopt=True)
        critic = source.own_critic()
        if isinstance(critic, nn.Module) and self.critic is not None:
            load_strict(critic, _in_float32(self.critic), f"{whose} (discriminator)", adopt=True)
            critic.eval()
        source.finish_loading()
        source.checkpoint_format = self.checkpoint_format
        return source.eval()


def blank_of(config: Config, whose: str, sampling: Sampling | None = None) -> StyleSource:
    """The network of `config` without memory: names and shapes only."""
    try:
        with torch.device("meta"):
            return config.network(sampling or Sampling())
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise MineganError(f"{whose} describes an impossible network ({error}): it is damaged") from error


def _in_float32(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.float() for name, tensor in tensors.items()}


def _selected(network: nn.Module, tensors: Mapping[str, Tensor], whose: str) -> dict[str, Tensor]:
    names = network.state_dict()
    missing = [name for name in names if name not in tensors]
    if missing:
        raise MineganError(f"{whose} cannot be cropped or faded so: it lacks {', '.join(missing[:4])}")
    return {name: tensors[name] for name in names}


def random_source(config: Config, sampling: Sampling) -> StyleSource:
    """Both networks drawn from their initial distributions."""
    source = config.network(sampling)
    source.reset_parameters()
    critic = source.own_critic()
    if critic is not None:
        critic.reset_parameters()
    return source.eval()


def to_json(config: Config) -> dict[str, Any]:
    assert is_dataclass(config) and not isinstance(config, type)
    data: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return data


def with_tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a frozen dataclass from JSON."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
