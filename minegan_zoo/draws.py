"""One draw of base noise, and the images that were made of it. May import contracts only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minegan_zoo.contracts import Code


@dataclass(frozen=True)
class Draw:
    """One draw of base noise, with the codes that no miner makes (random classes, say) drawn for every source."""

    u: Tensor  # (n, noise_dim)
    labels: Tensor | None  # (n,)
    extras: Sequence[Code]  # a source: name -> (n, *shape)

    def part(self, rows: Tensor) -> Draw:
        """The draw's `rows` (m,) alone."""
        rows = rows.to(self.u.device)
        labels = None if self.labels is None else self.labels[rows]
        return Draw(self.u[rows], labels, [{k: v[rows] for k, v in code.items()} for code in self.extras])


@dataclass(frozen=True)
class Made:
    """What one source made of some rows of a draw."""

    rows: Tensor  # (m,) ascending
    images: Tensor  # (m, C, H, W) canonical
    code: Code

    def of(self, rows: Tensor) -> tuple[Tensor, Code]:
        """Images and code of some of them."""
        at = torch.isin(self.rows, rows)
        return self.images[at], {name: value[at] for name, value in self.code.items()}


@dataclass(frozen=True)
class Fakes:
    """The pairs of source and u that carry weight, run as one batch of m images."""

    images: Tensor  # (m, C, H, W) canonical
    source: Tensor  # (m,)
    row: Tensor  # (m,) the u of each image
    weight: Tensor  # (m,) sums to n
    codes: Mapping[int, Code]  # source -> name -> (m_i, *shape)
