"""What the rules have in common: the way to break one, and how a source is built, fed and compared.

May import contracts only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from minegan_zoo.contracts import GeneratorEntry, GeneratorSource

STIR = 0.05
TOLERANCE = 1e-4


class RuleBroken(AssertionError):
    """A plugin breaks a rule: what was observed, and how to mend it."""

    def __init__(self, observed: str, fix: str) -> None:
        super().__init__(f"observed: {observed}\nfix: {fix}")


def build(entry: GeneratorEntry, seed: int = 0) -> GeneratorSource:
    """The entry's default build without weights, in eval mode, every parameter stirred a little.

    Stirring stands for some training: a path that begins closed (a noise strength of zero) keeps the rules too.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        source = entry.build(None)
        module(source).eval()
        with torch.no_grad():
            for parameter in module(source).parameters():
                parameter.add_(STIR * torch.randn_like(parameter))
    return source


def module(part: Any) -> nn.Module:
    """`part` as the module that it must be."""
    if not isinstance(part, nn.Module):
        name = type(part).__name__
        raise RuleBroken(f"{name} is no torch.nn.Module", f"mix the contract in: class {name}(nn.Module, ...)")
    return part


def draw(source: GeneratorSource, n: int, keys: frozenset[str] | None = None, seed: int = 0) -> dict[str, Tensor]:
    """n rows of the source's prior for `keys`, by default the default key set."""
    keys = source.inputs[0] if keys is None else keys
    return source.prior(n, keys, torch.Generator().manual_seed(seed))


def paint(source: GeneratorSource, code: Mapping[str, Tensor]) -> Tensor:
    """Images without gradient. Noise drawn at every call is the same here, so that one rule alone is broken by it."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        return source.synthesize(code)


def pictures(part: Any, n: int) -> Tensor:
    """n random images as `part.image` declares them, on the device of its parameters."""
    shape = (n, part.image.channels, part.image.resolution, part.image.resolution)
    device = next(iter(module(part).parameters())).device
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)).mul(2).sub(1).to(device)


def close(a: Tensor, b: Tensor) -> bool:
    """Equal but for what the order of summation does to float32."""
    return a.shape == b.shape and bool((a - b).abs().max() <= TOLERANCE * (1 + b.abs().max()))


def same_images(a: GeneratorSource, b: GeneratorSource, fix: str) -> None:
    """Both sources give the same images for the same code, for every key set."""
    for keys in a.inputs:
        code = draw(a, 2, keys)
        before, after = paint(a, code), paint(b, code)
        if not close(before, after):
            raise RuleBroken(f"images differ by up to {_gap(before, after):.2g} for the keys {named(keys)}", fix)


def partition(parts: Mapping[str, list[Parameter]], whole: nn.Module, what: str) -> None:
    """The groups hold each parameter of `whole` exactly once, and nothing else."""
    names = {id(parameter): name for name, parameter in whole.named_parameters()}
    grouped = [(group, parameter) for group, members in parts.items() for parameter in members]
    foreign = {group for group, parameter in grouped if id(parameter) not in names}
    counts = [id(parameter) for _, parameter in grouped]
    missing = [name for key, name in names.items() if key not in counts]
    twice = sorted({names[key] for key in counts if counts.count(key) > 1 and key in names})
    empty = [group for group, members in parts.items() if not members]
    fix = f"let groups() list every parameter of the {what} in exactly one group"
    if missing:
        raise RuleBroken(f"no group of the {what} holds {', '.join(missing[:5])}", fix)
    if twice:
        raise RuleBroken(f"{', '.join(twice[:5])} of the {what} is in two groups", fix)
    if foreign:
        raise RuleBroken(f"{named(foreign)} of the {what} hold tensors that are not its parameters", fix)
    if empty:
        raise RuleBroken(f"{named(empty)} of the {what} hold nothing", f"leave empty groups out of the {what}")


def named(names: frozenset[str] | set[str] | list[str]) -> str:
    """Names as a message shows them."""
    return "{" + ", ".join(sorted(names)) + "}"


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max()) if a.shape == b.shape else float("inf")
