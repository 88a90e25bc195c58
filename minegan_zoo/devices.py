"""The device that a run or its samples are computed on. May import contracts."""

from __future__ import annotations

import torch

from minegan_zoo.contracts import MineganError


def device_of(name: str | None) -> torch.device:
    """`cpu`, `cuda`, or for None the better one that is there; MineganError for one that is not."""
    if name not in (None, "cpu", "cuda"):
        raise MineganError(f"device must be cpu or cuda, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise MineganError("no CUDA device is there: leave the device out, or set it to cpu")
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
