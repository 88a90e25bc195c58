"""How much the fakes differ among themselves. Imports contracts and neighbours."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Generator, Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.metrics.score import Score
from minegan_zoo.neighbours import nearest

CLUSTER_SIZE = 50
"""Of a larger cluster, so many are compared."""
AT_ONCE = 64
"""Rows whose features are asked for at a time."""


class Rows(Protocol):
    """Features (n, d) that may be made when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor) -> Tensor: ...


def mean_variance(real: Tensor, fake: Tensor) -> Score:
    """The variance of each feature over the fakes, averaged over the features; higher is more diverse.

    The MineGAN paper (arXiv 1912.05270, section 5) reports a mean variance, MV, but neither formula nor code; this is
    the plain reading of its name. The settings hold the real images' own, to compare it with.
    """
    return Score(_mean_variance(fake), None, {"of_real": _mean_variance(real)})


def _mean_variance(features: Tensor) -> float:
    return float(features.double().var(0).mean())


def intra_cluster(fake: Rows, train: Tensor, seed: int, *, squared: bool = False) -> Score:
    """Mean distance between two fakes that are nearest to the same training image, then mean over those; `std` too.

    Ojha et al., CVPR 2021, arXiv 2104.06820, section 4: fakes (m, d) fall to the nearest of `train` (N, d), of a
    cluster 50 are chosen by `seed`; clusters of fewer than two are left out. `squared` distances make LPIPS of the
    features of `lpips-vgg16`. Higher is more diverse, but noise is diverse as well: read it beside a distance.
    """
    cluster = torch.cat([nearest(fake[rows], train)[1] for rows in torch.arange(len(fake)).split(AT_ONCE)])
    rng, means = Generator().manual_seed(seed), []
    for index in range(len(train)):
        members = (cluster == index).nonzero()[:, 0]
        chosen = members[torch.randperm(len(members), generator=rng)[:CLUSTER_SIZE]]
        if len(chosen) > 1:
            distances = torch.pdist(fake[chosen])
            means.append((distances**2 if squared else distances).mean())
    if not means:
        raise MineganError(f"no two of {len(fake)} samples are nearest to the same training image: take more samples")
    every = torch.stack(means).double()
    settings = {"clusters": len(every), "training_images": len(train), "cluster_size": CLUSTER_SIZE}
    return Score(float(every.mean()), float(every.std(correction=0)), settings)
