"""Distances between two sets of features, by torch-fidelity, which is imported inside functions. Imports contracts."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.metrics.score import Score

WIDEST = 4096
"""Numbers a feature from which a covariance is formed; the eigenvalues of wider ones take minutes."""
SUBSETS, SUBSET_SIZE = 100, 1000
MEDIAN_OF = 2000
"""Images whose distances give the median heuristic's sigma."""


def fid(real: Tensor, fake: Tensor) -> Score:
    """Frechet distance of Gaussians fitted to both sets (Heusel et al., arXiv 1706.08500, eq. 6); lower is better."""
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    if real.shape[1] > WIDEST:
        raise MineganError(
            f"FID takes features of at most {WIDEST} numbers, not {real.shape[1]}: use another extractor, or kid"
        )
    statistics = fid_features_to_statistics(fake), fid_features_to_statistics(real)
    return Score(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])


def kid(real: Tensor, fake: Tensor, seed: int) -> Score:
    """Squared MMD with a cubic kernel, unbiased, mean over up to 100 subsets (arXiv 1801.01401, eq. 4).

    Lower is better; a little below zero is possible. The subsets are as large as both sets allow, at most 1000; `std`
    is zero where they are the whole of both.
    """
    return _mmd(real, fake, seed, "poly")


def kmmd_rbf_median(real: Tensor, fake: Tensor, seed: int) -> Score:
    """KMMD: squared MMD with the kernel exp(-|x - y|^2 / (2 sigma^2)), unbiased, over the subsets of `kid`.

    The MineGAN paper (arXiv 1912.05270, section 5) reports a KMMD with a Gaussian kernel, but neither its width nor
    code. Here sigma is the median distance between two different real images (of 2000 at most, by `seed`), not of the
    pooled sets as in Gretton et al. (JMLR 2012, section 8): so all models are measured with one kernel.
    """
    chosen = real
    if len(real) > MEDIAN_OF:
        chosen = real[torch.randperm(len(real), generator=Generator().manual_seed(seed))[:MEDIAN_OF]]
    sigma = float(torch.pdist(chosen).median())
    if sigma == 0:
        raise MineganError("at least half of the real images have equal features: KMMD needs different ones")
    return _mmd(real, fake, seed, "rbf", sigma)


def _mmd(real: Tensor, fake: Tensor, seed: int, kernel: str, sigma: float | None = None) -> Score:
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

    size = min(SUBSET_SIZE, len(real), len(fake))
    # a subset of everything is the same every time
    subsets = {"kid_subsets": 1 if size == len(real) == len(fake) else SUBSETS, "kid_subset_size": size}
    width = {} if sigma is None else {"kid_kernel_rbf_sigma": sigma}
    found = kid_features_to_metric(
        fake, real, kid_kernel=kernel, rng_seed=seed % 2**32, verbose=False, **subsets, **width
    )
    return Score(found[KEY_METRIC_KID_MEAN], found[KEY_METRIC_KID_STD], subsets | width)
