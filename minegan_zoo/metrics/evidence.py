"""What metrics look at, and the table of them: each says what it needs. Imports the metrics themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from minegan_zoo.metrics.classes import class_accuracy, inception_score
from minegan_zoo.metrics.copies import authenticity, memorisation
from minegan_zoo.metrics.distances import fid, kid, kmmd_rbf_median
from minegan_zoo.metrics.diversity import Rows, intra_cluster, mean_variance
from minegan_zoo.metrics.neighbourhoods import density_coverage, precision_recall
from minegan_zoo.metrics.score import Score

NOTHING = Tensor()
FIDELITY, OURS = "torch-fidelity", "minegan-zoo"


@dataclass(frozen=True, eq=False)
class Evidence:
    """Features of every set, (n, d) on the CPU; what no metric asked for is empty."""

    real: Tensor
    fake: Tensor
    seed: int
    train: Tensor = NOTHING
    logits: Tensor = NOTHING
    """(m, classes) of the fakes."""
    classes: tuple[int, ...] = ()
    """The target's, among the logits'."""
    perceptual_fake: Rows = NOTHING
    """Features whose squared distances are LPIPS."""
    perceptual_train: Tensor = NOTHING

    @cached_property
    def precision_recall(self) -> tuple[Score, Score]:
        return precision_recall(self.real, self.fake)

    @cached_property
    def density_coverage(self) -> tuple[Score, Score]:
        return density_coverage(self.real, self.fake)


@dataclass(frozen=True)
class Metric:
    measure: Callable[[Evidence], Score]
    tool: str = OURS
    """The distribution that does the arithmetic."""
    judges_by_real: bool = True
    """Whether real images that were trained on would flatter the model."""
    train: bool = False
    held_out: bool = False
    """Whether the real images must be held out of training."""
    logits: bool = False
    classes: bool = False
    lpips: bool = False


METRICS: Mapping[str, Metric] = {
    "fid": Metric(lambda e: fid(e.real, e.fake), FIDELITY),
    "kid": Metric(lambda e: kid(e.real, e.fake, e.seed), FIDELITY),
    "kmmd_rbf_median": Metric(lambda e: kmmd_rbf_median(e.real, e.fake, e.seed), FIDELITY),
    "precision": Metric(lambda e: e.precision_recall[0], FIDELITY),
    "recall": Metric(lambda e: e.precision_recall[1], FIDELITY),
    "density": Metric(lambda e: e.density_coverage[0]),
    "coverage": Metric(lambda e: e.density_coverage[1]),
    "mean_variance": Metric(lambda e: mean_variance(e.real, e.fake), judges_by_real=False),
    "inception_score": Metric(lambda e: inception_score(e.logits, e.seed), FIDELITY, judges_by_real=False, logits=True),
    "class_accuracy": Metric(
        lambda e: class_accuracy(e.logits, e.classes), judges_by_real=False, logits=True, classes=True
    ),
    "memorisation": Metric(lambda e: memorisation(e.train, e.real, e.fake), train=True, held_out=True),
    "authenticity": Metric(lambda e: authenticity(e.train, e.real, e.fake), train=True, held_out=True),
    "intra_cluster_distance": Metric(
        lambda e: intra_cluster(e.fake, e.train, e.seed), judges_by_real=False, train=True
    ),
    "intra_lpips": Metric(
        lambda e: intra_cluster(e.perceptual_fake, e.perceptual_train, e.seed, squared=True),
        judges_by_real=False,
        train=True,
        lpips=True,
    ),
}
