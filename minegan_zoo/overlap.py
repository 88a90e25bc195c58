"""Whether training saw the images that a model is measured against. May import contracts and data."""

from __future__ import annotations

from dataclasses import dataclass

from minegan_zoo.contracts import MineganError
from minegan_zoo.data import ImageSet


@dataclass(frozen=True, eq=False)
class Overlap:
    """What is known of a model's training images, beside the real ones that it is measured against."""

    digests: frozenset[str]
    """Of those that can be compared: prepared to the real images' form."""
    shared: int | None
    """How many real images are among them; None where nobody said which they are."""
    unchecked: int
    """Training images of a source that were prepared to another form."""
    training: ImageSet | None
    """The given training images, without those that a model that remembers its own was not trained on."""
    left_out: int
    """How many these are."""


def find_overlap(
    real: ImageSet, training: ImageSet | None, remembered: frozenset[str], digests: frozenset[str]
) -> Overlap:
    """`remembered` by the model; `training` and `digests` are given, the first in the real images' form.

    Of given training images a model's memory is believed first: of a folder it may have been trained on a part. What it
    remembers of images in another form cannot be compared. Raises MineganError where none of the given images is among
    those that it remembers, and for digests that are all of another form.
    """
    own, given = _alike(remembered, real), _alike(digests, real)
    if digests and not given:
        others = ", ".join(sorted({digest.partition(":")[0] for digest in digests}))
        raise MineganError(f"training images were prepared as {others}, real ones as {real.form}: use one form")
    left_out = 0
    of_training = training.digests() if training is not None else []
    if training is not None and own:
        kept = [row for row, digest in enumerate(of_training) if digest in own]
        left_out = len(training) - len(kept)
        if not kept:
            raise MineganError(
                f"the model was trained on none of the {len(training)} images of {training.origin} that were given as "
                "its training images: give those of its run, or none, for it remembers which they were"
            )
        training = training.subset(kept)
    known = own | given | (frozenset() if own else frozenset(of_training))
    shared = sum(digest in known for digest in real.digests()) if known else None
    return Overlap(known, shared, len(remembered) - len(own), training, left_out)


def _alike(digests: frozenset[str], real: ImageSet) -> frozenset[str]:
    """Those of images in the real ones' form."""
    return frozenset(digest for digest in digests if digest.partition(":")[0] == real.form)
