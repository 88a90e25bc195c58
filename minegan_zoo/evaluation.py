"""Model -> samples -> features -> records: every number says how it was measured, and whether training saw its images.

May import contracts, data, minegan, samplers, metrics and extractors.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from minegan_zoo.contracts import GeneratorSource, MineganError
from minegan_zoo.data import ImageSet, load_images
from minegan_zoo.metrics import METRICS, Evidence, Metric
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.samplers import Sampler, SourceSampler, draw_uint8, image_of

if TYPE_CHECKING:
    from PIL import Image

    from minegan_zoo.extractors import Extractor


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
    classes: str = ""
    """Those asked for, where the metric is about classes."""
    checkpoint: str = ""
    """Which weights these are, in the words of who measured: "last, averaged"."""
    dtype: str = "float32"
    """Of the features."""

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


def evaluate(
    model: Sampler | GeneratorSource | Tensor,
    images: str | Path | Sequence[Image.Image | str | Path] | Tensor | ImageSet,
    *,
    metrics: Sequence[str] = ("fid", "kid"),
    extractor: str | None = None,
    samples: int | None = None,
    seed: int = 0,
    training: str | Path | Sequence[Image.Image | str | Path] | Tensor | ImageSet | None = None,
    training_digests: frozenset[str] = frozenset(),
    allow_training: bool = False,
    classes: Sequence[str | int] = (),
    checkpoint: str = "",
    device: str | torch.device | None = None,
) -> dict[str, MetricRecord]:
    """Measure `model` against real `images`; metric name -> record. `minegan_zoo.metrics` says what each one is.

    `model` is a mined model or anything else that samples, a source as it is, or a tensor of images, (n, C, H, W),
    float in [-1, 1] or uint8; `images` is anything that `load_images` reads, brought to the model's form. By default as
    many samples as there are real images, and at least 1000. `training` are the training images (or, where only the
    overlap is to be checked, `training_digests` their `image_digests()`); a mined model remembers its own. Real images
    among them are refused, unless `allow_training` is set, and then the metrics are named `fid_train` and so on.
    `classes` are the target's, by name or index, for `class_accuracy`; `checkpoint` says which weights these are;
    `device` is the extractor's.
    Raises MineganError for unknown names, too few images, samples that are not finite, or what a metric needs and
    nobody gave.
    """
    from minegan_zoo.extractors import LPIPS, load_extractor

    if isinstance(model, str | Path):
        raise MineganError(f"evaluate takes a model, not a path: give minegan_zoo.MinedGAN.load({str(model)!r})")
    wanted = _chosen(metrics)
    remembered = model.trained_on if isinstance(model, MinedGAN) else frozenset()
    model = SourceSampler(model) if isinstance(model, GeneratorSource) else model
    real = load_images(images, image_of(model, seed))
    train = None if training is None else load_images(training, real.image)
    digests = training_digests | remembered | (train.image_digests() if train else frozenset())
    trained_on = _overlap(real, digests, allow_training)
    _check_needs(wanted, train, trained_on)
    count = _count(model, real) if samples is None else samples
    if min(count, len(real)) < 2:
        raise MineganError(
            f"metrics need at least 2 images and 2 samples: {real.origin} has {len(real)}, samples: {count}"
        )
    network = load_extractor(extractor, device, logits=any(metric.logits for metric in wanted.values()))
    lpips = load_extractor(LPIPS, device) if any(metric.lpips for metric in wanted.values()) else None
    chosen_classes = _class_indices(classes, network) if any(metric.classes for metric in wanted.values()) else ()
    chunks = draw_uint8(model, count, seed, real.image)
    evidence = _gather(chunks, real, train, network, lpips, seed=seed, classes=chosen_classes)

    records = {}
    for name, metric in wanted.items():
        score, used = metric.measure(evidence), lpips if metric.lpips and lpips else network
        name = f"{name}_train" if trained_on and metric.judges_by_real else name
        records[name] = MetricRecord(
            metric=name,
            value=score.value,
            std=score.std,
            tool=f"{metric.tool} {version(metric.tool)}",
            settings=score.settings,
            extractor=used.name,
            extractor_sha256=used.sha256,
            resize=f"{real.resize}; {used.resize}",
            quantisation="uint8",
            real_name=real.origin,
            real_digest=real.digest,
            real_count=len(real),
            fake_count=count,
            trained_on=trained_on,
            seed=seed,
            device=str(used.device),
            training_count=len(digests),
            training_digest=hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest() if digests else None,
            classes=", ".join(map(str, classes)) if metric.classes else "",
            checkpoint=checkpoint,
        )
    return records


def _count(model: Sampler | Tensor, real: ImageSet) -> int:
    """How many samples to measure where nobody says."""
    return len(model) if isinstance(model, Tensor) else max(1000, len(real))


def _gather(
    chunks: Iterable[Tensor],
    real: ImageSet,
    train: ImageSet | None,
    network: Extractor,
    lpips: Extractor | None,
    *,
    seed: int,
    classes: tuple[int, ...],
) -> Evidence:
    """Features of samples, which come in chunks, uint8, and of real and training images."""
    layers, kept = [], []
    for chunk in chunks:
        layers.append(network.layers(chunk))
        kept += [chunk] if lpips else []
    fake, *logits = (torch.cat(layer) for layer in zip(*layers, strict=True))
    evidence = Evidence(
        real=network.features(real.images),
        fake=fake,
        seed=seed,
        train=network.features(train.images) if train else torch.empty(0),
        logits=logits[0] if logits else torch.empty(0),
        classes=classes,
    )
    if lpips is None or train is None:
        return evidence
    perceptual = _Embedded(torch.cat(kept), lpips), lpips.features(train.images)
    return dataclasses.replace(evidence, perceptual_fake=perceptual[0], perceptual_train=perceptual[1])


class _Embedded:
    """The features of images, made when they are asked for."""

    def __init__(self, images: Tensor, extractor: Extractor) -> None:
        self.images, self.extractor = images, extractor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor) -> Tensor:
        return self.extractor.features(self.images[rows])


def _chosen(metrics: Sequence[str]) -> dict[str, Metric]:
    if isinstance(metrics, str):
        raise MineganError(f'metrics must be a sequence of names: ("{metrics}",)')
    for metric in metrics:
        if metric not in METRICS:
            close = [name for name in METRICS if metric in name] or difflib.get_close_matches(metric, METRICS)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(METRICS)}"
            raise MineganError(f"no metric {metric!r}: {hint}")
    return {name: METRICS[name] for name in metrics}


def _check_needs(wanted: Mapping[str, Metric], train: ImageSet | None, trained_on: int | None) -> None:
    for name, metric in wanted.items():
        if metric.train and train is None:
            raise MineganError(f"{name} compares samples with the training images: give them as training= (--training)")
        if metric.held_out and trained_on:
            raise MineganError(
                f"{name} compares samples with held-out images, but {trained_on} of the real ones were trained on"
            )


def _class_indices(classes: Sequence[str | int], network: Extractor) -> tuple[int, ...]:
    known = network.class_names
    if isinstance(classes, str) or not classes:
        example = f'("{known[-1]}",)' if known else "(207,)"
        raise MineganError(f"class_accuracy needs the target's classes, a sequence such as classes={example}")
    lower = [name.lower() for name in known]
    found = []
    for each in classes:
        if isinstance(each, str) and not known and each.isdecimal():
            each = int(each)
        if isinstance(each, str) and each.lower() not in lower:
            raise MineganError(f"{network.name} knows no class {each}; by name it knows {', '.join(known) or 'none'}")
        found.append(lower.index(each.lower()) if isinstance(each, str) else each)
    return tuple(found)


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
            "metrics on training images with allow_training=True (--allow-training): they are then named "
            "fid_train and so on"
        )
    return shared
