"""Small modules that stand between a parameter and its use, and are folded into it in the end. Imports torch only.

They are torch's parametrizations, so any network takes them: a source's groups then hold an adapter's parameters
beside the ones it adapts.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.utils import parametrize


class Adapter(nn.Module):
    """Parameter -> what takes its place, of the same shape; the parameter itself at the start."""

    def forward(self, weight: Tensor) -> Tensor:
        raise NotImplementedError


def attach(module: nn.Module, name: str, adapter: Adapter) -> None:
    """Put `adapter` before the module's parameter `name`."""
    parametrize.register_parametrization(module, name, adapter.to(module.get_parameter(name)))


def fold(part: nn.Module) -> None:
    """Make every adapted parameter of a network a plain one with its adapted value."""
    for module in list(part.modules()):
        if parametrize.is_parametrized(module):
            chains = module.parametrizations.items()  # type: ignore[union-attr,operator]
            for name in [name for name, chain in chains if any(isinstance(step, Adapter) for step in chain)]:
                parametrize.remove_parametrizations(module, name)


def names_within(part: nn.Module, kind: type[nn.Module]) -> list[str]:
    """The names, as the network calls them, of the parameters of all modules of a kind."""
    return [
        f"{path}.{name}"
        for path, module in part.named_modules()
        if isinstance(module, kind)
        for name, _ in module.named_parameters()
    ]


def names_of(part: nn.Module, parameters: Iterable[nn.Parameter]) -> list[str]:
    """What a network calls these parameters of its own."""
    names = {parameter: name for name, parameter in part.named_parameters()}
    return [names[parameter] for parameter in parameters]
