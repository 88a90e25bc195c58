"""What a classifier says of the fakes. Imports contracts."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, isin, tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.metrics.score import Score

SPLITS = 10


def inception_score(logits: Tensor, seed: int) -> Score:
    """exp of the mean divergence of a sample's classes from all samples' classes, mean over 10 splits.

    Salimans et al., arXiv 1606.03498, section 4, by torch-fidelity; higher is better, at most the number of classes.
    """
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

    settings = {"isc_splits": min(SPLITS, len(logits))}
    found = isc_features_to_metric(logits, settings["isc_splits"], shuffle=True, rng_seed=seed % 2**32)
    return Score(found[KEY_METRIC_ISC_MEAN], found[KEY_METRIC_ISC_STD], settings)


def class_accuracy(logits: Tensor, classes: Sequence[int]) -> Score:
    """Share of samples whose likeliest class, of all that the classifier knows, is one of `classes`.

    Any of them: which one a conditional model was asked for does not count.
    """
    if wrong := [index for index in classes if not 0 <= index < logits.shape[1]]:
        raise MineganError(f"there is no class {wrong[0]}: the classifier has 0 to {logits.shape[1] - 1}")
    hits = isin(logits.argmax(1), tensor(list(classes)))
    return Score(float(hits.float().mean()), None, {"of_classes": logits.shape[1]})
