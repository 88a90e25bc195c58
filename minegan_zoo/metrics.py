"""Distances between two sets of features, by torch-fidelity, which is imported inside functions. Imports contracts.

Every metric takes features (n, d) of the real and of the fake images and a seed, and is entered in `METRICS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Score:
    value: float
    std: float | None = None
    """Over the metric's own resampling, where it has one; says nothing about training again."""
    settings: Mapping[str, float] = field(default_factory=dict)


def fid(real: Tensor, fake: Tensor, seed: int) -> Score:
    """Frechet distance of Gaussians fitted to both sets (Heusel et al., arXiv 1706.08500, eq. 6); lower is better."""
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    statistics = fid_features_to_statistics(fake), fid_features_to_statistics(real)
    return Score(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])


def kid(real: Tensor, fake: Tensor, seed: int) -> Score:
    """Squared MMD with a cubic kernel, unbiased, mean over up to 100 subsets (arXiv 1801.01401, eq. 4).

    Lower is better; a little below zero is possible. The subsets are as large as both sets allow, at most 1000; `std`
    is zero where they are the whole of both.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

    size = min(1000, len(real), len(fake))
    # a subset of everything is the same every time
    settings = {"kid_subsets": 1 if size == len(real) == len(fake) else 100, "kid_subset_size": size}
    found = kid_features_to_metric(fake, real, rng_seed=seed, verbose=False, **settings)
    return Score(found[KEY_METRIC_KID_MEAN], found[KEY_METRIC_KID_STD], settings)


def precision(real: Tensor, fake: Tensor, seed: int) -> Score:
    """Share of fakes within reach of the real images (Kynkaanniemi et al., arXiv 1904.06991, eq. 2); k = 3."""
    return _within_reach(real, fake, "precision")


def recall(real: Tensor, fake: Tensor, seed: int) -> Score:
    """Share of real images within reach of the fakes (Kynkaanniemi et al., arXiv 1904.06991, eq. 2); k = 3."""
    return _within_reach(real, fake, "recall")


def _within_reach(real: Tensor, fake: Tensor, key: str) -> Score:
    from torch_fidelity.metric_prc import prc_features_to_metric

    settings = {"prc_neighborhood": min(3, len(real) - 1, len(fake) - 1)}
    return Score(prc_features_to_metric(fake, real, save_cpu_ram=True, verbose=False, **settings)[key], None, settings)


METRICS: Mapping[str, Callable[[Tensor, Tensor, int], Score]] = {
    "fid": fid,
    "kid": kid,
    "precision": precision,
    "recall": recall,
}
