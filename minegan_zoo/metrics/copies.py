"""Whether the fakes are copies of the training images. Imports contracts and neighbours.

Distances are Euclidean between features, so they say what the extractor sees.
"""

from __future__ import annotations

from torch import Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.metrics.score import Score
from minegan_zoo.neighbours import nearest


def memorisation(train: Tensor, held_out: Tensor, fake: Tensor) -> Score:
    """Median distance of fakes to the nearest training image over that of held-out images: 1 as real ones, 0 copies.

    The number that `minegan_zoo.watch` follows during a run.
    """
    ours, usual = (float(nearest(points, train)[0].quantile(0.5)) for points in (fake, held_out))
    if usual == 0:
        raise MineganError("most held-out images equal a training image to this extractor: hold out others")
    return Score(ours / usual, None, {"median": ours, "held_out_median": usual, "training_images": len(train)})


def authenticity(train: Tensor, held_out: Tensor, fake: Tensor) -> Score:
    """Share of fakes farther from their nearest training image than that one is from its own nearest.

    Alaa et al., ICML 2022, arXiv 2102.08921, section 5. Copies have 0. How high new images are depends on the number
    of training images: the settings hold the value of the held-out ones.
    """
    if len(train) < 2:
        raise MineganError("authenticity needs at least 2 training images")
    own, _ = nearest(train, train, rank=2)
    of_fake, of_held_out = (_authentic(points, train, own) for points in (fake, held_out))
    return Score(of_fake, None, {"of_held_out": of_held_out, "training_images": len(train)})


def _authentic(points: Tensor, train: Tensor, own: Tensor) -> float:
    distances, indices = nearest(points, train)
    return float((distances > own[indices]).float().mean())
