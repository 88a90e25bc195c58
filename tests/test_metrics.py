"""Metrics equal closed forms: on Gaussians, on lines, on sets made for the purpose. All on features, no network."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.metrics import (
    METRICS,
    Evidence,
    authenticity,
    class_accuracy,
    density_coverage,
    fid,
    inception_score,
    intra_cluster,
    kid,
    kmmd_rbf_median,
    mean_variance,
    memorisation,
    precision_recall,
)


def normal(n: int, d: int, seed: int, mean: float = 0.0) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + mean


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


# Distances


def exactly(n: int, mean: np.ndarray, covariance: np.ndarray) -> Tensor:
    """Features whose sample mean and covariance are exactly these."""
    noise = np.random.default_rng(0).normal(size=(n, len(mean)))
    noise -= noise.mean(0)
    white = noise @ np.linalg.inv(np.linalg.cholesky(np.cov(noise, rowvar=False))).T
    return torch.from_numpy(white @ np.linalg.cholesky(covariance).T + mean)


def test_fid_is_the_closed_form_on_gaussians() -> None:
    """|m1 - m2|^2 + sum over shared axes of (sqrt(a) - sqrt(b))^2, for covariances that commute."""
    rng = np.random.default_rng(1)
    axes, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    a, b = rng.uniform(0.5, 4, 8), rng.uniform(0.5, 4, 8)
    mean = rng.normal(size=8)
    real = exactly(100, np.zeros(8), axes * a @ axes.T)
    fake = exactly(90, mean, axes * b @ axes.T)
    wanted = mean @ mean + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert fid(real, fake).value == pytest.approx(wanted, rel=1e-9)
    assert fid(real, real).value == pytest.approx(0, abs=1e-9)
    with pytest.raises(MineganError, match="at most 4096 numbers, not 5000"):
        fid(torch.zeros(2, 5000), torch.zeros(2, 5000))


def unbiased_mmd(real: Tensor, fake: Tensor, kernel_of: object) -> float:
    def off_diagonal_mean(x: Tensor) -> Tensor:
        values = kernel_of(x, x)  # type: ignore[operator]
        return (values.sum() - values.diag().sum()) / (len(x) * (len(x) - 1))

    return float(off_diagonal_mean(real) + off_diagonal_mean(fake) - 2 * kernel_of(real, fake).mean())  # type: ignore[operator]


def cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def test_kid_is_the_unbiased_mmd_of_the_cubic_kernel() -> None:
    real, fake = normal(30, 5, 0), normal(25, 5, 1, 0.5)
    # subsets of min(30, 25) take every fake, and of the real ones 25: the mean over many is near the whole's
    score = kid(real, fake, 0)
    assert score.settings == {"kid_subsets": 100, "kid_subset_size": 25}
    assert score.std is not None
    assert abs(score.value - unbiased_mmd(real, fake, cubic)) < 4 * score.std / math.sqrt(100)
    equal = kid(fake, real[:25], 0)
    assert equal.value == pytest.approx(unbiased_mmd(fake, real[:25], cubic), rel=1e-9)
    assert equal.std == pytest.approx(0, abs=1e-12)


def test_kid_of_gaussians() -> None:
    """E (t + 1)^3 with t = x y / d, of N(0, I) and N(m, I), where a = |m|^2 / d; t's odd moments are 0 where m is."""
    d, mean = 4, 0.7
    a = mean**2
    real = 1 + 3 / d
    crossed = 1 + 3 * (1 + a) / d
    fake = 1 + 3 * a + 3 * ((1 + 2 * a) / d + a**2) + (a**3 + 6 * a**2 / d + 3 * a / d + 6 * a / d**2)
    scores = [kid(normal(1000, d, seed), normal(1000, d, seed + 100, mean), 0).value for seed in range(12)]
    assert np.mean(scores) == pytest.approx(real + fake - 2 * crossed, rel=0.08)


def test_subsets_are_at_most_a_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    means = {"kernel_inception_distance_mean": 0.5, "kernel_inception_distance_std": 0.1}
    monkeypatch.setattr("torch_fidelity.metric_kid.kid_features_to_metric", lambda *_, **__: means)  # slow
    score = kid(torch.zeros(1100, 2), torch.zeros(1200, 2), 0)
    assert (score.value, score.std, score.settings["kid_subset_size"]) == (0.5, 0.1, 1000)


def test_kmmd_is_the_unbiased_mmd_of_the_gaussian_kernel_of_median_width() -> None:
    real, fake = normal(40, 6, 0), normal(40, 6, 1, 0.4)
    score = kmmd_rbf_median(real, fake, 0)
    sigma = torch.pdist(real).median()
    assert score.settings["kid_kernel_rbf_sigma"] == pytest.approx(float(sigma), rel=1e-12)
    wanted = unbiased_mmd(real, fake, lambda x, y: torch.exp(-(torch.cdist(x, y) ** 2) / (2 * sigma**2)))
    assert score.value == pytest.approx(wanted, rel=1e-6)
    with pytest.raises(MineganError, match="equal features"):
        kmmd_rbf_median(torch.ones(9, 3), torch.randn(9, 3), 0)


def test_kmmd_of_gaussians() -> None:
    """E k(x, y) = (s / (s + 2))^(d / 2) exp(-|m|^2 / (2 (s + 2))), where s = sigma^2 and m is the means' difference."""
    d, mean = 8, 0.5
    scores = [kmmd_rbf_median(normal(1000, d, seed), normal(1000, d, seed + 10, mean), 0) for seed in range(6)]
    s = np.mean([score.settings["kid_kernel_rbf_sigma"] for score in scores]) ** 2
    wanted = 2 * (s / (s + 2)) ** (d / 2) * (1 - math.exp(-(mean**2) * d / (2 * (s + 2))))
    assert np.mean([score.value for score in scores]) == pytest.approx(wanted, rel=0.08)
    assert abs(kmmd_rbf_median(normal(1000, d, 0), normal(1000, d, 2), 0).value) < wanted / 30


# Neighbourhoods


def test_precision_and_recall_tell_a_collapsed_from_a_spread_model() -> None:
    real = normal(200, 4, 0)
    collapsed, spread = real[:1] + 1e-3 * normal(200, 4, 1), 10 * normal(200, 4, 2)
    of_collapsed, of_spread, of_itself = (precision_recall(real, fake) for fake in (collapsed, spread, real))
    assert of_collapsed[0].value == 1 and of_collapsed[1].value < 0.02
    assert of_spread[0].value < 0.2 and of_spread[1].value > 0.8
    assert of_itself[0].value == of_itself[1].value == 1


def test_density_and_coverage_by_hand() -> None:
    """Reaches of 0, 1, 3, 7 with k = 1 are 1, 1, 2, 4; only what is nearer than that counts."""
    real = column(0, 1, 3, 7)
    density, coverage = density_coverage(real, column(0.5, 4, 4.5), neighbours=1)
    # 0.5 is within reach of 0 and 1; 4 of 3 and 7; 4.5 of 3 and 7
    assert density.value == pytest.approx(6 / 3) and coverage.value == 1
    density, coverage = density_coverage(real, column(2), neighbours=1)  # of 3 alone: 1 from 1 is not nearer than 1
    assert density.value == 1 and coverage.value == 0.25
    assert density_coverage(real, real)[0].settings == {"neighbours": 3}


@pytest.mark.parametrize("d", [2, 16])
def test_density_and_coverage_of_one_distribution(d: int) -> None:
    """Density 1; coverage 1 - (n-1)...(n-k) / ((2n-1)...(2n-k)) whatever the distribution is (Naeem et al., app. B)."""
    n, k = 1000, 5
    wanted = 1 - math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))
    found = [density_coverage(normal(n, d, seed), normal(n, d, seed + 10)) for seed in range(4)]
    assert np.mean([coverage.value for _, coverage in found]) == pytest.approx(wanted, abs=0.01)
    assert np.mean([density.value for density, _ in found]) == pytest.approx(1, abs=0.06)


def test_density_and_coverage_do_not_depend_on_where_features_lie() -> None:
    real, fake = normal(300, 8, 1).float(), normal(300, 8, 2).float()  # as extractors give them
    near, far = density_coverage(real, fake), density_coverage(real + 1e3, fake + 1e3)
    assert [each.value for each in far] == pytest.approx([each.value for each in near], abs=5e-3)


def test_density_and_coverage_equal_the_check_of_the_authors_package() -> None:
    """10 000 draws of N(0, I) in 1000 dimensions, k = 5: prdc's README has 1.0555 and .9735, without a seed.

    Over seeds density has a standard deviation of about 0.05, coverage of 0.004.
    """
    rng = torch.Generator().manual_seed(0)
    density, coverage = density_coverage(*torch.randn(2, 10_000, 1000, generator=rng))
    assert density.value == pytest.approx(1.0555, abs=0.1) and coverage.value == pytest.approx(0.9735, abs=0.01)


def test_coverage_sees_a_dropped_mode_and_density_an_outlier_does_not_blow_up() -> None:
    real = torch.cat([normal(100, 3, 0), normal(100, 3, 1, 50)])
    _, coverage = density_coverage(real, normal(200, 3, 2))
    assert 0.4 < coverage.value <= 0.5
    far = torch.cat([normal(199, 3, 0), column(1000).expand(1, 3)])  # its ball of radius 1700 holds everything
    between = normal(200, 3, 3, 300)
    assert precision_recall(far, between)[0].value == 1 and density_coverage(far, between)[0].value == 0.2


# Diversity


def test_mean_variance_of_gaussians() -> None:
    scales = torch.tensor([1.0, 2.0, 3.0])
    score = mean_variance(normal(4000, 3, 0), normal(4000, 3, 1) * scales + 9)
    assert score.value == pytest.approx(14 / 3, rel=0.05)
    assert score.settings["of_real"] == pytest.approx(1, rel=0.05)


def test_intra_cluster_distance_by_hand() -> None:
    train = column(0, 10, 20)
    fake = column(-1, 1, 2, 9, 12, 21)  # distances 2, 3, 1; 3; 20 has one only
    score = intra_cluster(fake, train, 0)
    assert score.value == pytest.approx((2 + 3) / 2) and score.std == pytest.approx(0.5)
    assert score.settings == {"clusters": 2, "training_images": 3, "cluster_size": 50}
    assert intra_cluster(fake, train, 0, squared=True).value == pytest.approx(((4 + 9 + 1) / 3 + 9) / 2)
    assert intra_cluster(train, train[:1].repeat(1, 1), 0).settings["clusters"] == 1
    with pytest.raises(MineganError, match="take more samples"):
        intra_cluster(train, train, 0)


def test_large_clusters_are_cut_by_seed() -> None:
    fake, train = normal(400, 3, 0), torch.zeros(1, 3, dtype=torch.float64)
    values = [intra_cluster(fake, train, seed).value for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]
    assert intra_cluster(fake[:50], train, 0).value == pytest.approx(float(torch.pdist(fake[:50]).mean()))


# Copies


def test_memorisation_and_authenticity_by_hand() -> None:
    train, held_out = column(0, 1, 10, 14), column(2, 3, 16)  # nearest at 1, 2, 2; own nearest at 1, 1, 4, 4
    score = memorisation(train, held_out, column(0.5, 11, 0))
    assert score.value == 0.25 and score.settings["held_out_median"] == 2
    found = authenticity(train, held_out, column(-2, 0.5, 11, 20))  # 2 > 1, .5 < 1, 1 < 4, 6 > 4
    assert found.value == 0.5
    assert found.settings["of_held_out"] == pytest.approx(1 / 3)  # 1 from 1 is not farther than 1; 2 > 1; 2 < 4
    assert memorisation(train, held_out, train).value == authenticity(train, held_out, train).value == 0
    with pytest.raises(MineganError, match="hold out others"):
        memorisation(train, train, held_out)
    with pytest.raises(MineganError, match="at least 2"):
        authenticity(train[:1], held_out, held_out)


def test_new_draws_are_no_copies() -> None:
    train, held_out, fresh = normal(300, 8, 0), normal(300, 8, 1), normal(300, 8, 2)
    assert memorisation(train, held_out, fresh).value == pytest.approx(1, abs=0.05)
    score = authenticity(train, held_out, fresh)
    assert score.value == pytest.approx(score.settings["of_held_out"], abs=0.1)
    blurred = train + 0.1 * normal(300, 8, 3)
    assert memorisation(train, held_out, blurred).value < 0.3 and authenticity(train, held_out, blurred).value < 0.1


# Classes


def test_inception_score_at_its_ends() -> None:
    certain = 100 * torch.eye(4).repeat(50, 1)
    assert inception_score(certain, 0).value == pytest.approx(4, rel=0.2)  # splits of 20 miss the exact balance
    assert inception_score(torch.zeros(50, 4), 0).value == pytest.approx(1)
    assert inception_score(certain[:1].repeat(40, 1), 0).value == pytest.approx(1)
    few = inception_score(certain[:3], 0)
    assert few.settings == {"isc_splits": 3} and few.value == pytest.approx(1)


def test_class_accuracy() -> None:
    logits = torch.eye(4)[[0, 0, 1, 2, 3]]
    assert class_accuracy(logits, [0]).value == pytest.approx(0.4)
    assert class_accuracy(logits, [0, 2, 3]).value == pytest.approx(0.8)
    with pytest.raises(MineganError, match="no class 4: the classifier has 0 to 3"):
        class_accuracy(logits, [4])


# All of them


def test_the_same_seed_gives_the_same_scores_and_leaves_the_random_state_alone() -> None:
    real, fake = normal(60, 3, 0), normal(50, 3, 1)
    evidence = [
        Evidence(real, fake, seed, normal(9, 3, 2), normal(50, 4, 3), (1,), fake, normal(9, 3, 2)) for seed in (5, 5, 6)
    ]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    scores = [{name: metric.measure(each) for name, metric in METRICS.items()} for each in evidence]
    assert torch.equal(torch.get_rng_state(), before)
    assert scores[0] == scores[1]
    changed = {name for name in METRICS if scores[2][name].value != pytest.approx(scores[0][name].value, rel=1e-9)}
    assert changed == {"kid", "kmmd_rbf_median", "inception_score"}
