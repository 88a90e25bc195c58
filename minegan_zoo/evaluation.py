"""Model -> samples -> features -> records: every number says how it was measured, and whether training saw its images.

May import contracts, data, minegan, mined_source, overlap, records, samplers, sources, metrics and extractors.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from minegan_zoo.contracts import GeneratorSource, MineganError
from minegan_zoo.data import ImageSet, load_images
from minegan_zoo.metrics import METRICS, Evidence, Metric
from minegan_zoo.mined_source import title_of
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.overlap import Overlap, find_overlap
from minegan_zoo.records import MetricRecord
from minegan_zoo.samplers import Sampler, SourceSampler, draw_uint8, image_of
from minegan_zoo.sources import as_module

if TYPE_CHECKING:
    from PIL import Image

    from minegan_zoo.extractors import Extractor


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
    overlap is to be checked, `training_digests` their `image_digests()`); a mined model remembers its own, and of
    `training` only those that it remembers count. Real images that were trained on are refused, unless `allow_training`
    is set, and then the metrics are named `fid_train` and so on.
    `classes` are the target's, by name or index, for `class_accuracy`; `checkpoint` says which weights these are;
    `device` is the extractor's.
    Raises MineganError for unknown names, too few images, samples that are not finite, or what a metric needs and
    nobody gave.
    """
    from minegan_zoo.extractors import LPIPS, load_extractor

    _check_call(model, metrics, samples, seed)
    wanted = _chosen(metrics)
    measured = model
    remembered = model.trained_on if isinstance(model, MinedGAN | GeneratorSource) else frozenset[str]()
    model = SourceSampler(model) if isinstance(model, GeneratorSource) else model
    real = load_images(images, image_of(model, seed))
    train = None if training is None else load_images(training, real.image)
    overlap = find_overlap(real, train, remembered, training_digests)
    _refuse(real, overlap, allow_training)
    _check_needs(wanted, overlap)
    count = _count(model, real) if samples is None else samples
    if min(count, len(real)) < 2:
        raise MineganError(
            f"metrics need at least 2 images and 2 samples: {real.origin} has {len(real)}, samples: {count}"
        )
    network = load_extractor(extractor, device, logits=any(metric.logits for metric in wanted.values()))
    lpips = load_extractor(LPIPS, device) if any(metric.lpips for metric in wanted.values()) else None
    chosen_classes = _class_indices(classes, network) if any(metric.classes for metric in wanted.values()) else ()
    chunks = draw_uint8(model, count, seed, real.image)
    evidence = _gather(chunks, real, overlap.training, network, lpips, seed=seed, classes=chosen_classes)

    named = _identity(measured)
    records = {}
    for name, metric in wanted.items():
        score, used = metric.measure(evidence), lpips if metric.lpips and lpips else network
        name = f"{name}_train" if overlap.shared and metric.judges_by_real else name
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
            trained_on=overlap.shared,
            seed=seed,
            device=str(used.device),
            training_count=len(overlap.digests),
            training_digest=_digest(sorted(overlap.digests)) if overlap.digests else None,
            training_unchecked=overlap.unchecked,
            training_left_out=overlap.left_out,
            real_skipped=len(real.skipped),
            classes=", ".join(_class_titles(chosen_classes, network)) if metric.classes else "",
            model=named[0],
            model_sha256=named[1],
            checkpoint=checkpoint or named[2],
            features=evidence.real.shape[1] if used is network else 0,
            unseen="" if used.sees_colour or real.image.channels == 1 else "colour",
        )
    return records


def _check_call(model: object, metrics: object, samples: object, seed: object) -> None:
    """MineganError for what is of another kind than `evaluate` takes."""
    if isinstance(model, str | Path):
        raise MineganError(f"evaluate takes a model, not a path: give minegan_zoo.MinedGAN.load({str(model)!r})")
    if not isinstance(model, Tensor | GeneratorSource | Sampler):
        raise MineganError(
            f"evaluate takes a model with sample(n, seed), a source or a tensor of images, not {type(model).__name__}"
        )
    if isinstance(metrics, str) or not isinstance(metrics, Sequence):
        raise MineganError(f"metrics must be a sequence of names, as ('fid', 'kid'), not {metrics!r}")
    for name, value in (("samples", samples), ("seed", seed)):
        if not isinstance(value, int) and not (name == "samples" and value is None):
            raise MineganError(f"{name} must be a whole number, not {value!r}")


def _identity(model: Sampler | GeneratorSource | Tensor) -> tuple[str, str, str]:
    """What a record says of a model: its name, the sha256 of its tensors, and which weights these are."""
    from minegan_zoo.extractors import bytes_of, tensors_digest

    if isinstance(model, Tensor):
        digest = hashlib.sha256()
        for image in model:  # one by one: a copy of thousands would not fit
            digest.update(bytes_of(image))
        return "images", digest.hexdigest(), "none"
    if isinstance(model, MinedGAN):
        sources = ", ".join(map(title_of, model.sources))
        return f"{type(model).__name__} of {sources}", tensors_digest(model), "last, averaged"
    if isinstance(model, GeneratorSource):
        return title_of(model), tensors_digest(as_module(model)), "as loaded"
    return type(model).__name__, "", ""


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


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
    for metric in metrics:
        if metric not in METRICS:
            low = str(metric).lower()
            close = [name for name in METRICS if low in name] or difflib.get_close_matches(low, METRICS)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(METRICS)}"
            if isinstance(metric, str) and all(part.strip() in METRICS for part in metric.split(",")):
                hint = "give each name for itself (--metric may be repeated)"
            raise MineganError(f"no metric {metric!r}: {hint}")
    return {name: METRICS[name] for name in metrics}


def _check_needs(wanted: Mapping[str, Metric], overlap: Overlap) -> None:
    for name, metric in wanted.items():
        if metric.train and overlap.training is None:
            raise MineganError(f"{name} compares samples with the training images: give them as training= (--training)")
        if metric.held_out and overlap.shared:
            raise MineganError(
                f"{name} compares samples with held-out images, but {overlap.shared} of the real ones were trained on"
            )


def _refuse(real: ImageSet, overlap: Overlap, allow_training: bool) -> None:
    """MineganError where real images were trained on, unless that is allowed."""
    if overlap.shared and not allow_training:
        raise MineganError(
            f"{overlap.shared} of {len(real)} real images of {real.origin} were trained on: evaluate on others, or ask "
            "for metrics on training images with allow_training=True (--allow-training): they are then named "
            "fid_train and so on"
        )


def _class_titles(classes: Sequence[int], network: Extractor) -> list[str]:
    names = network.class_names
    return [f"{index} ({names[index]})" if index < len(names) else str(index) for index in classes]


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
