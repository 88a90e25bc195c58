"""Nearest neighbours by Euclidean distance, in bounded memory. Imports nothing of ours."""

from __future__ import annotations

import torch
from torch import Tensor

AT_ONCE = 2**24
"""Distances held in memory at a time: 64 MiB."""
EXACT, FAST = "donot_use_mm_for_euclid_dist", "use_mm_for_euclid_dist"
"""Modes of `torch.cdist`."""


def nearest(points: Tensor, among: Tensor, rank: int = 1, mode: str = EXACT) -> tuple[Tensor, Tensor]:
    """Distance (n,) of each point (n, d) to the `rank`-nearest `among` (N, d), and that one's index (n,).

    With `mode=EXACT` equal points have distance 0; `FAST` is about ten times as fast, but rounds.
    """
    distances, indices = [], []
    for rows in points.split(rows_at_once(among)):
        found = torch.cdist(rows, among, compute_mode=mode).topk(rank, largest=False)
        distances.append(found.values[:, -1])
        indices.append(found.indices[:, -1])
    return torch.cat(distances), torch.cat(indices)


def rows_at_once(among: Tensor) -> int:
    """How many points' distances to all of `among` are held at a time."""
    return max(1, AT_ONCE // len(among))
