"""Which images of one set lie within reach of the other's, by k nearest neighbours. Imports neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

from minegan_zoo.metrics.score import Score
from minegan_zoo.neighbours import FAST, nearest, rows_at_once


def precision_recall(real: Tensor, fake: Tensor, neighbours: int = 3) -> tuple[Score, Score]:
    """Shares of fakes within reach of real images, and of real within reach of fakes; by torch-fidelity.

    Kynkaanniemi et al., arXiv 1904.06991, eq. 2: within the distance to the k-th nearest of its own set.
    """
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

    settings = {"prc_neighborhood": min(neighbours, len(real) - 1, len(fake) - 1)}
    found = prc_features_to_metric(fake, real, save_cpu_ram=True, verbose=False, **settings)
    return Score(found[KEY_METRIC_PRECISION], None, settings), Score(found[KEY_METRIC_RECALL], None, settings)


def density_coverage(real: Tensor, fake: Tensor, neighbours: int = 5) -> tuple[Score, Score]:
    """How many real images a fake lies within reach of, over k; and the share of real images that have a fake there.

    Naeem et al., arXiv 2002.09797, eqs. 3 and 4: within reach is nearer than a real image's k-th nearest other one.
    Density is not bounded by 1. Where both sets are one distribution, density is 1 and coverage about 1 - 2^-k.
    """
    settings = {"neighbours": min(neighbours, len(real) - 1)}
    centre = real.mean(0)
    real, fake = real - centre, fake - centre  # the fast mode rounds by how large features are
    reach, _ = nearest(real, real, rank=settings["neighbours"] + 1, mode=FAST)  # the first is the image itself
    pairs, covered = 0, torch.zeros(len(real), dtype=torch.bool)
    for rows in fake.split(rows_at_once(real)):
        within = torch.cdist(real, rows, compute_mode=FAST) < reach[:, None]
        pairs += int(within.sum())
        covered |= within.any(1)
    density = pairs / (settings["neighbours"] * len(fake))
    return Score(density, None, settings), Score(float(covered.float().mean()), None, settings)
