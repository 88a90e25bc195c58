"""One row of a table: trained or drawn, measured, and written as JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import shutil
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minegan_zoo.data import ImageSet, hold_out
from minegan_zoo.extractors import BUNDLED_SHA256
from minegan_zoo.run_folder import MODEL
from minegan_zoo.samplers import Sampler
from minegan_zoo.saved import open_any
from minegan_zoo.settings import Training

from .commit import commit
from .images import Splits, read_splits
from .measuring import SHEET, Together, measure, save_sheet
from .places import Places
from .protocol import TASKS, Protocol, Spec
from .sources import choice, run_folder
from .training import settings_of, train

SCHEMA = 1
"""Of a result's JSON; part of what a result depends on."""


def digest(spec: Spec, protocol: Protocol) -> str:
    """Of the run with the library's defaults, the sources' recipes, and how it is measured.

    Not of code: whoever changes what a method or a metric computes raises `SCHEMA`, or repeats its rows.
    """
    settings: dict[str, Any] = {
        "schema": SCHEMA,
        "task": dataclasses.asdict(TASKS[spec.task]),
        "samples": protocol.samples,
        "extractor": BUNDLED_SHA256,
        "metrics": [protocol.metrics, protocol.second, protocol.second_metrics],
        "sources": [protocol.recipes[name].digest() for name in spec.sources],
    }
    if spec.method == "replay":
        settings["hold_out"] = Training().hold_out
    if spec.trains:
        settings |= {"config": settings_of(spec, protocol), "over_steps": [protocol.points, protocol.over_steps]}
    return hashlib.sha256(json.dumps([dataclasses.asdict(spec), settings], sort_keys=True).encode()).hexdigest()[:16]


def result_path(spec: Spec, places: Places) -> Path:
    return places.results / f"{spec.name}.json"


def is_done(spec: Spec, protocol: Protocol, places: Places) -> bool:
    """Whether its result is there, and of this very run."""
    try:
        found = json.loads(result_path(spec, places).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return bool(found["digest"] == digest(spec, protocol))


def perform(spec: Spec, protocol: Protocol, places: Places) -> dict[str, Any]:
    """Carry out one row, or go on with it; writes and gives its result."""
    begun = time.monotonic()
    task = TASKS[spec.task]
    splits = read_splits(task.dataset, task.classes, places.data, places.cache)
    real = splits.real(spec.split)
    sources = {name: _weights_digest(name, protocol, places) for name in spec.sources}
    # a run of other weights is another, though its digest is the same
    work = places.work / "-".join([digest(spec, protocol), *(weights[:8] for weights in sources.values())])
    model: Sampler | Tensor
    training: ImageSet | None
    if spec.trains:
        shots = splits.shots(spec.shots, spec.seed)
        trained = train(spec, protocol, places.cache, shots, real, work)
        model, training, facts = trained.model, trained.target, trained.facts
    else:
        model, training = _reference(spec, protocol, places, splits)
        facts = {}
    checkpoint = "last, averaged" if spec.trains else "none"
    result = {
        "digest": digest(spec, protocol),
        **dataclasses.asdict(spec),
        "rates": dict(spec.rates),
        "spaces": measure(model, real, task, protocol, seed=spec.seed, training=training, checkpoint=checkpoint),
        **facts,
        "sources": sources,
        "seconds": round(time.monotonic() - begun, 1),
        "commit": commit(),
        "versions": {name: version(name) for name in ("minegan-zoo", "torch", "torch-fidelity")}
        | {"python": platform.python_version()},
    }
    _write(result, model, result_path(spec, places), sheet=spec.seed == 0 and spec.split == "test")
    shutil.rmtree(work, ignore_errors=True)
    return result


def _reference(
    spec: Spec, protocol: Protocol, places: Places, splits: Splits
) -> tuple[Sampler | Tensor, ImageSet | None]:
    """Images of a row without training, and the training images that they are compared with."""
    if spec.method == "replay":
        shots, _ = hold_out(splits.shots(spec.shots, spec.seed), Training().hold_out, spec.seed)
        return shots.images[torch.arange(protocol.samples) % len(shots)], shots
    if spec.method == "other-real":
        return splits.validation[torch.arange(protocol.samples) % len(splits.validation)], None
    choices = [choice(name, protocol.recipes[name], places.cache) for name in spec.sources]
    return Together([source for one in choices for source in open_any(one.name, one.weights)]), None


def _weights_digest(name: str, protocol: Protocol, places: Places) -> str:
    """Of the generator that was trained here: another processor makes a slightly different one by the same recipe."""
    folder = run_folder(name, protocol.recipes[name], places.cache) / MODEL
    return hashlib.sha256((folder / "generator.safetensors").read_bytes()).hexdigest()


def _write(result: Mapping[str, Any], model: Sampler | Tensor, path: Path, *, sheet: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if sheet:
        count = SHEET[0] * SHEET[1]
        images = model[:count] if isinstance(model, Tensor) else model.sample(count, seed=result["seed"])
        save_sheet(images, path.with_suffix(".webp"))
    aside = path.with_suffix(".partial")
    aside.write_text(json.dumps(_rounded(result), indent=1) + "\n", "utf-8")
    aside.replace(path)


def _rounded(value: Any) -> Any:
    """To six digits: more would only differ from machine to machine."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list | tuple) else value
