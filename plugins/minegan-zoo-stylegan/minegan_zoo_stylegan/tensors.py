"""A file's tensors under this plugin's names, every one of them accounted for. Imports contracts and torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from minegan_zoo.contracts import MineganError

SHOWN = 12


def renamed(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    key_of: Callable[[str], str],
    *,
    ignored: str,
    whose: str,
) -> dict[str, Tensor]:
    """The state dict of `network` (which may lie on the meta device) out of a file's.

    `key_of` gives the file's key for one of ours; keys that wholly match the pattern `ignored` need not be used. Shapes
    may differ by dimensions of 1. Raises MineganError with everything that is missing, unknown or misshapen.
    """
    expected = network.state_dict()
    keys = {name: key_of(name) for name in expected}
    used = set(keys.values())
    misshapen = [
        f"{key} {tuple(tensors[key].shape)}, where {tuple(expected[name].shape)} fits"
        for name, key in keys.items()
        if key in tensors and _core(tensors[key]) != _core(expected[name])
    ]
    problems = {
        "lacks": [key for key in keys.values() if key not in tensors],
        "holds unknown tensors": [key for key in tensors if key not in used and not re.fullmatch(ignored, key)],
        "holds tensors of unexpected shape": misshapen,
    }
    text = "; ".join(f"{what} {listed(which)}" for what, which in problems.items() if which)
    if text:
        raise MineganError(f"{whose} {text}")
    return {name: tensors[key].reshape(expected[name].shape) for name, key in keys.items()}


def _core(tensor: Tensor) -> list[int]:
    return [size for size in tensor.shape if size != 1]


def listed(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return ", ".join(keys[:SHOWN]) + more


def shape_of(tensors: Mapping[str, Tensor], key: str, dims: int, whose: str) -> torch.Size:
    """The shape of `tensors[key]`, checked to be there and to have so many dimensions, none of them empty."""
    if key not in tensors:
        raise MineganError(f"{whose} lacks {key}: the file is incomplete or of another kind")
    shape = tensors[key].shape
    if len(shape) != dims or not all(shape):
        raise MineganError(f"{whose}: {key} has the shape {tuple(shape)}, not {dims} dimensions")
    return shape


def counted(tensors: Mapping[str, Tensor], pattern: str, whose: str) -> int:
    """How many values the one group of `pattern` takes over the keys that it matches as a whole; at least one."""
    found = {match[1] for key in tensors if (match := re.fullmatch(pattern, key))}
    if not found:
        raise MineganError(f"{whose} has nothing like {pattern!r}: the file is incomplete or of another kind")
    return len(found)


def taps_of(kernels: Mapping[str, Tensor], gain: float, whose: str) -> tuple[float, ...]:
    """The taps, of sum 1, of the one filter that all these are: 2-D, times `gain`, or 1-D."""
    found: tuple[float, ...] | None = None
    for key, kernel in kernels.items():
        if kernel.ndim not in (1, 2):
            raise MineganError(f"{whose}: {key} has the shape {tuple(kernel.shape)}, where a filter was expected")
        line = kernel.double().sum(dim=0) / gain if kernel.ndim == 2 else kernel.double()
        whole = torch.outer(line, line) * gain if kernel.ndim == 2 else line
        fits = whole.shape == kernel.shape and torch.allclose(whole, kernel.double(), atol=1e-6)
        if not fits or not torch.allclose(line.sum(), line.new_ones(()), atol=1e-5):
            raise MineganError(f"{whose}: {key} is no separable low-pass filter of sum {gain:g}")
        taps = tuple(line.tolist())
        if found is not None and taps != found:
            raise MineganError(f"{whose}: {key} is another filter than the others; a network has one")
        found = taps
    if found is None:
        raise MineganError(f"{whose} holds no filter: the file is incomplete or of another kind")
    return found
