"""One number, how it was measured, and what its reader should know. Imports nothing of ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MetricRecord:
    """One number, and all that is needed to measure it again."""

    metric: str
    """`fid_train` and the like where any real image was trained on."""
    value: float
    std: float | None
    """Over the metric's own subsets."""
    tool: str
    settings: Mapping[str, float]
    extractor: str
    extractor_sha256: str
    resize: str
    """First of the real images, then of both for the extractor."""
    quantisation: str
    real_name: str
    real_digest: str
    real_count: int
    fake_count: int
    trained_on: int | None
    """How many of the real images are among the training images, pixel for pixel; None where nobody said which those
    are."""
    seed: int
    """Of the samples and of the metric's subsets."""
    device: str
    training_count: int = 0
    """Different training images that the real ones were compared with."""
    training_digest: str | None = None
    """sha256 over those images' digests, sorted."""
    training_unchecked: int = 0
    """Training images of the model's sources that were prepared to another form, so that nobody can compare them."""
    training_left_out: int = 0
    """Images that were given as training images and that the model does not remember."""
    real_skipped: int = 0
    """Files among the real images that could not be read."""
    classes: str = ""
    """Index and, where it is known, name of those asked for, where the metric is about classes."""
    model: str = ""
    """Its kind and what it was made of, where it says so."""
    model_sha256: str = ""
    """Over the names and bytes of its tensors, or over given images; empty for what has neither."""
    checkpoint: str = ""
    """Which weights these are: "last, averaged" of what a run has left, unless who measured says otherwise."""
    features: int = 0
    """Numbers an image that the extractor gives; 0 for those of LPIPS, which are not counted."""
    unseen: str = ""
    """What of the images the extractor does not look at: "colour"."""
    dtype: str = "float32"
    """Of the features."""

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


A_SPLIT = 100
"""Samples a split, below which an inception score says little: of n it is at most n."""


def notes(records: Mapping[str, MetricRecord]) -> list[str]:
    """What tells on the numbers of one evaluation and is no mistake, in sentences."""
    one = next(iter(records.values()))
    fewest = min(one.real_count, one.fake_count)
    found = [
        f"{record.extractor} does not see {record.unseen}: what differs in it alone counts for nothing; pixels, "
        "timm:MODEL and inception-v3-compat do (--extractor)"
        for record in records.values()
        if record.unseen
    ][:1]
    found += [
        f"FID needs more images than the {record.features} numbers of {record.extractor}, and there are {fewest}: "
        "compare it with the FID of as many images only, or look at KID"
        for name, record in records.items()
        if name.startswith("fid") and fewest <= record.features
    ]
    splits = records["inception_score"].settings["isc_splits"] if "inception_score" in records else 1
    if one.fake_count < A_SPLIT * splits and "inception_score" in records:
        found.append(
            f"inception_score is a mean over {splits:g} splits, here of {one.fake_count / splits:g} samples, which is "
            f"the most that it can be: take {A_SPLIT * splits:g} samples or more (--samples)"
        )
    if one.real_skipped:
        found.append(f"{one.real_skipped} files of {one.real_name} could not be read and are left out")
    if one.training_left_out:
        found.append(
            f"{one.training_left_out} of the training images given are none that the model was trained on (held out, "
            "or beyond its limit): they are left out"
        )
    if one.training_unchecked:
        found.append(
            f"{one.training_unchecked} training images of its sources were prepared to another form: whether these "
            "real images are among them was not checked"
        )
    return found
