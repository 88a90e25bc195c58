"""Whether a run on few images copies them, collapses or overfits its critic: numbers, and what to change.

Distances are Euclidean between features, so they say what the extractor sees. May import metrics,
neighbours and pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from einops import rearrange
from torch import Tensor

from minegan_zoo import metrics
from minegan_zoo.neighbours import nearest
from minegan_zoo.pixels import to_float, to_uint8

Extract = Callable[[Tensor], Tensor]
"""Images uint8 (n, C, R, R) -> features (n, d)."""

PAIRS = 8
"""How many samples are shown beside their nearest training images: together they fill a grid of four columns."""
LEAST_FOR_KID = 5
"""Held-out or training images from which KID is measured; fewer make too few pairs."""
LEAST_FOR_COPIES = 20
"""Real distances from which near copies are counted: one in twenty may be the nearest."""
MOST = 4096
"""Of a larger set, so many evenly chosen images stand for its mean and leave-one-out distances."""

# Warnings begin where chance does not reach. Measured on draws of one class (ankle boots, the bundled features) as
# training, held-out and sample images; "worst" is the one draw in a hundred farthest from the value in the middle.

MEMORISED = 0.7
"""`memorisation` below it. Middle 1; worst 0.67 with 4 held-out images, 0.79 with 10, 0.86 with 50."""
COPIED = 0.35
"""`near_copies` above it. Middle 0.08 and worst 0.31 with 20 held-out images, 0.06 and 0.2 with 50."""
COLLAPSED = 0.6
"""`diversity` below it. Middle 1; worst 0.79 with 16 training images. Two images repeated have 0.5, three 0.67."""
OVERFIT = 0.5
"""`critic_overfit` above it: held-out images are scored nearer to the fakes than to the training images."""
ERRORS = 2.0
"""`critic_overfit` must also be so many of its standard errors above zero: few held-out images score unevenly."""
WORSE = 0.9
"""What was so before the first step is a fault of training only where it became worse by this factor."""

AGAINST_COPIES = (
    "Take fewer steps, add --augmentation ada unless there is one, free less of the sources (--strategy minegan++ or "
    "minegan-noft), or lower strategy.source_lr"
)


class Watch:
    """Compares samples with the training images and with images held out of them, whose features it computes once."""

    def __init__(self, extract: Extract, train: Tensor, held_out: Tensor | None = None) -> None:
        """Images are uint8: `train` (N, C, R, R), `held_out` (H, C, R, R); none held out is the same as None.

        Without them, each training image's distance to the nearest other one stands for theirs.
        """
        self.extract, self.train_images = extract, train
        self.train = extract(train)
        self.held_out = extract(held_out) if held_out is not None and len(held_out) else None
        if self.held_out is not None:
            self.usual, _ = nearest(self.held_out, self.train)
        elif len(train) > 1:
            self.usual, _ = nearest(_some(self.train), self.train, rank=2)
        else:
            self.usual = self.train.new_zeros(1)
        self.spread = mean_distance(self.train)

    def samples(self, images: Tensor) -> dict[str, float]:
        """Of samples (m, C, R, R) in [-1, 1], m > 1; what cannot be had (all real distances are 0) is left out.

        memorisation  median distance to the nearest training image over the held-out images' median: 1 as real
                      images, 0 copies; `memorisation_loo` without held-out images
        near_copies   share that is nearer to a training image than 95 % of the held-out images are
        diversity     mean distance between two samples over that between two training images
        kid           unbiased squared MMD to the held-out images
        """
        features = self.extract(to_uint8(images))
        distances, _ = nearest(features, self.train)
        name = "memorisation_loo" if self.held_out is None else "memorisation"
        found = _ratio(name, float(distances.quantile(0.5)), float(self.usual.quantile(0.5)))
        if len(self.usual) >= LEAST_FOR_COPIES:
            found["near_copies"] = float((distances < self.usual.quantile(0.05)).float().mean())
        found |= _ratio("diversity", mean_distance(features), self.spread)
        if self.held_out is not None and len(self.held_out) >= LEAST_FOR_KID:
            found["kid"] = metrics.kid(self.held_out, features, seed=0).value
        return found

    def to_training(self, images: Tensor) -> float | None:
        """KID of samples (m, C, R, R) in [-1, 1] to the training images: whether they came nearer, not how good they
        are. None where there are too few."""
        if len(self.train) < LEAST_FOR_KID:
            return None
        return metrics.kid(self.train, self.extract(to_uint8(images)), seed=0).value

    @staticmethod
    def critic(train_scores: Tensor, held_out_scores: Tensor, fake_scores: Tensor) -> dict[str, float]:
        """How far the critic takes held-out images for fakes (ADA, arXiv 2006.06676, eq. 1), from scores (n,).

        critic_overfit        (E[train] - E[held-out]) / (E[train] - E[fake]), in [-1, 1]: 0 none, 1 full. 0 where the
                              critic does not even score training images above fakes by more than the standard error
        critic_overfit_error  its standard error
        """
        if not len(held_out_scores):
            return {}
        train, held_out, fake = train_scores.double(), held_out_scores.double(), fake_scores.double()
        separation = float(train.mean() - fake.mean())
        if separation <= _error(train, fake):
            return {"critic_overfit": 0.0, "critic_overfit_error": 0.0}
        overfit = float(train.mean() - held_out.mean()) / separation
        error = _error(train, held_out) / separation
        return {"critic_overfit": min(max(overfit, -1.0), 1.0), "critic_overfit_error": error}

    def pairs(self, images: Tensor, count: int = PAIRS) -> Tensor:
        """`nearest_pairs` by this watch's features."""
        return _pairs(images, self.train_images, nearest(self.extract(to_uint8(images)), self.train), count)


def warnings(facts: Mapping[str, float], start: Mapping[str, float] | None = None) -> list[str]:
    """What is wrong and what to change, from the numbers of `Watch`, in sentences "TITLE: TEXT".

    `start` are the untrained model's numbers: what was so before the first step is no fault of the steps. The same
    trouble has the same title whatever its numbers are, so a title need be said once.
    """
    start = start or {}
    found = []
    others = "the other training images lie" if "memorisation_loo" in facts else "held-out images lie"
    near, near_before = (
        min(numbers.get("memorisation", 1.0), numbers.get("memorisation_loo", 1.0)) for numbers in (facts, start)
    )
    if near < min(MEMORISED, WORSE * near_before):
        found.append(
            f"samples copy the training images: they lie at {near:.2f} of the distance at which {others}. "
            f"{AGAINST_COPIES}"
        )
    elif facts.get("near_copies", 0.0) > max(COPIED, start.get("near_copies", 0.0) / WORSE):
        found.append(
            f"some samples copy training images: {facts['near_copies']:.0%} lie nearer to one than 95% of real images "
            f"do. {AGAINST_COPIES}"
        )
    diversity, diversity_before = (numbers.get("diversity", 1.0) for numbers in (facts, start))
    if diversity < min(COLLAPSED, WORSE * diversity_before):
        found.append(
            f"diversity collapsed: samples differ {diversity:.2f} times as much from each other as the "
            "target's images do. Take fewer steps, lower the strategy's learning rates (its options in _lr), add "
            "--augmentation ada or diffaugment unless there is one, or try another --objective"
        )
    elif diversity < COLLAPSED:
        found.append(
            f"diversity is low from the start: samples differ {diversity:.2f} times as much from each other as the "
            f"target's images do, those of the untrained model {diversity_before:.2f} times. Take more steps, or other "
            "sources or another --miner where more steps do not help"
        )
    overfit, error = facts.get("critic_overfit", 0.0), facts.get("critic_overfit_error", 0.0)
    if overfit > max(OVERFIT, ERRORS * error):
        found.append(
            f"the critic overfits: it scores held-out images {overfit:.2f} of the way from training images to fakes. "
            "Add --augmentation ada unless there is one, lower strategy.critic_lr, take fewer steps, or give more "
            "images"
        )
    return found


def nearest_pairs(samples: Tensor, train: Tensor, count: int = PAIRS, extract: Extract | None = None) -> Tensor:
    """The `count` samples nearest to a training image, each followed by that image: (2 * count, C, R, R) in [-1, 1].

    `samples` (m, C, R, R) in [-1, 1], `train` uint8; the nearest pair first; by pixels without `extract`.
    """
    extract = extract or _pixels
    return _pairs(samples, train, nearest(extract(to_uint8(samples)), extract(train)), count)


def mean_distance(points: Tensor) -> float:
    """Between two different rows of (n, d), on average; NaN for fewer than two."""
    return float(torch.pdist(_some(points)).mean())


def _pairs(samples: Tensor, train: Tensor, found: tuple[Tensor, Tensor], count: int) -> Tensor:
    distances, indices = found
    chosen = distances.argsort(stable=True)[:count]
    copied = to_float(train[indices[chosen].to(train.device)]).to(samples)
    return rearrange([samples[chosen.to(samples.device)], copied], "pair n c h w -> (n pair) c h w")


def _some(rows: Tensor) -> Tensor:
    if len(rows) <= MOST:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, MOST, dtype=torch.float64, device=rows.device).round().long()]


def _pixels(images: Tensor) -> Tensor:
    return rearrange(images.float(), "n c h w -> n (c h w)")


def _ratio(name: str, value: float, usual: float) -> dict[str, float]:
    return {name: value / usual} if usual > 0 and math.isfinite(value) else {}


def _error(a: Tensor, b: Tensor) -> float:
    """Standard error of the difference of two means."""
    return math.sqrt(float(a.var(correction=0) / len(a) + b.var(correction=0) / len(b)))
