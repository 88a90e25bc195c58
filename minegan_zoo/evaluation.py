"""Model -> samples -> features -> records: every number says how it was measured, and whether training saw its images.

May import config and data, metrics and extractors. Models are anything that samples.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from minegan_zoo.contracts import ImageSpec, MineganError
from minegan_zoo.data import ImageSet, load_images, to_uint8
from minegan_zoo.metrics import METRICS

if TYPE_CHECKING:
    from PIL import Image

CHUNK_BYTES = 2**28
"""How much of a model's output is held at once."""


class Sampler(Protocol):
    """Whatever gives n float32 images (n, C, H, W) in [-1, 1], the same ones for the same seed."""

    def sample(self, n: int, seed: int | None = None) -> Tensor: ...


@dataclass(frozen=True)
class MetricRecord:
    """One number, and all that is needed to measure it again."""

    metric: str
    """`fid_train` and the like where any real image was trained on."""
    value: float
    std: float | None
    """Over the metric's own resampling."""
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
    device: str

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


def evaluate(
    model: Sampler | Tensor,
    images: str | Path | Sequence[Image.Image | str | Path] | Tensor | ImageSet,
    *,
    metrics: Sequence[str] = ("fid", "kid"),
    extractor: str | None = None,
    samples: int | None = None,
    seed: int = 0,
    training_digests: frozenset[str] = frozenset(),
    allow_training: bool = False,
) -> dict[str, MetricRecord]:
    """Measure `model` against real `images`; metric name -> record.

    `model` samples images, or is a tensor of them, (n, C, H, W), float in [-1, 1] or uint8; `images` is anything that
    `load_images` reads, brought to the model's form. By default as many samples as there are real images, and at least
    1000. `training_digests` are the training set's `image_digests()`: real images among them are refused, unless
    `allow_training` is set, and then the metrics are named `fid_train` and so on. Raises MineganError for unknown
    names, too few images, or samples that are not finite.
    """
    from minegan_zoo.extractors import load_extractor

    _check_names(metrics)
    real = load_images(images, _form(model, seed))
    trained_on = _overlap(real, training_digests, allow_training)
    count = samples or (len(model) if isinstance(model, Tensor) else max(1000, len(real)))
    if min(count, len(real)) < 2:
        raise MineganError(f"{len(real)} real images and {count} samples: metrics need at least 2 of each")
    network = load_extractor(extractor)
    real_features = network.features(real.images)
    fake_features = torch.cat([network.features(chunk) for chunk in _chunks(model, count, seed, real.image)])
    records = {}
    for metric in metrics:
        score = METRICS[metric](real_features, fake_features, seed)
        name = f"{metric}_train" if trained_on else metric
        records[name] = MetricRecord(
            metric=name,
            value=score.value,
            std=score.std,
            tool=f"torch-fidelity {version('torch-fidelity')}",
            settings=score.settings,
            extractor=network.name,
            extractor_sha256=network.sha256,
            resize=f"{real.resize}; {network.resize}",
            quantisation="uint8",
            real_name=real.origin,
            real_digest=real.digest,
            real_count=len(real),
            fake_count=count,
            trained_on=trained_on,
            seed=seed,
            device=network.device,
        )
    return records


def _check_names(metrics: Sequence[str]) -> None:
    if isinstance(metrics, str):
        raise MineganError(f'metrics must be a sequence of names: ("{metrics}",)')
    for metric in metrics:
        if metric not in METRICS:
            close = difflib.get_close_matches(metric, METRICS)
            raise MineganError(f"no metric {metric}: {'did you mean ' + close[0] + '?' if close else list(METRICS)}")


def _form(model: Sampler | Tensor, seed: int) -> ImageSpec:
    shape = model.shape if isinstance(model, Tensor) else model.sample(1, seed=seed).shape
    if len(shape) != 4 or shape[1] not in (1, 3) or shape[2] != shape[3]:
        raise MineganError(f"the model's images must be (n, 1 or 3, R, R), not {tuple(shape)}")
    return ImageSpec(shape[1], shape[3])


def _overlap(real: ImageSet, training_digests: frozenset[str], allow_training: bool) -> int | None:
    """How many real images were trained on, None where that is unknown."""
    if not training_digests:
        return None
    mine = real.image_digests()
    form = next(iter(mine)).partition(":")[0]
    if others := sorted({digest.partition(":")[0] for digest in training_digests} - {form}):
        raise MineganError(f"training images were prepared as {', '.join(others)}, real ones as {form}: use one form")
    shared = len(mine & training_digests)
    if shared and not allow_training:
        raise MineganError(
            f"{shared} of {len(real)} real images of {real.origin} were trained on: evaluate on others, or ask for "
            "metrics on training images with allow_training=True; they are then named fid_train and so on"
        )
    return shared


def _chunks(model: Sampler | Tensor, count: int, seed: int, image: ImageSpec) -> Iterator[Tensor]:
    """uint8 fakes. A model's first chunk is its `sample(n, seed=seed)`; later ones have seeds 2**32 apart."""
    if isinstance(model, Tensor):
        if len(model) < count:
            raise MineganError(f"{count} samples asked for, but the tensor holds {len(model)}")
        yield model[:count] if model.dtype == torch.uint8 else _quantised(model[:count])
        return
    size = max(1, CHUNK_BYTES // (4 * image.channels * image.resolution**2))
    for index, start in enumerate(range(0, count, size)):
        yield _quantised(model.sample(min(size, count - start), seed=seed + (index << 32)))


def _quantised(images: Tensor) -> Tensor:
    if not images.isfinite().all():
        raise MineganError("the model's images are not finite: it diverged; go back to an earlier state")
    return to_uint8(images)
