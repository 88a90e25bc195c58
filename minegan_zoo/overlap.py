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

    A model's memory is believed before what is given: of a folder it may have been trained on a part. Raises
    MineganError where that is no image at all, and where no training image has the real ones' form.
    """
    left_out = 0
    if training is not None and remembered:
        kept = [row for row, digest in enumerate(training.digests()) if digest in remembered]
        left_out = len(training) - len(kept)
        if not kept:
            raise MineganError(
                f"the model was trained on none of the {len(training)} images of {training.origin} that were given as "
                "its training images: give those of its run, or none, for it remembers which they were"
            )
        training = training.subset(kept)
    known = remembered | digests | (training.image_digests() if training else frozenset())
    alike = frozenset(digest for digest in known if digest.partition(":")[0] == real.form)
    if known and not alike:
        others = ", ".join(sorted({digest.partition(":")[0] for digest in known}))
        raise MineganError(f"training images were prepared as {others}, real ones as {real.form}: use one form")
    shared = sum(digest in alike for digest in real.digests()) if known else None
    return Overlap(alike, shared, len(known) - len(alike), training, left_out)
