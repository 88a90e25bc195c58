"""Samples of whatever can be sampled, written as files. May import everything but the CLI."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Generator, Tensor

from minegan_zoo.api import load_source
from minegan_zoo.contracts import GeneratorSource, MineganError
from minegan_zoo.devices import device_of
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.recipe import Choose
from minegan_zoo.recorder import save_grid
from minegan_zoo.samplers import SourceSampler
from minegan_zoo.saved import is_model_folder, model_folder
from minegan_zoo.settings import SourceChoice
from minegan_zoo.sources import as_module


def sample_images(
    reference: str,
    n: int,
    seed: int | None,
    device: str | None,
    class_name: str | None = None,
    choose: Choose | None = None,
    psi: float | None = None,
) -> Tensor:
    """Images (n, C, H, W) in [-1, 1] of a run, model or source folder, `hf-hub:...`, `name` or `name=weights`.

    `class_name` is one of a mined model's classes; `choose` says how it chooses its sources, `psi` how wide its base
    noise is.
    """
    fresh = Generator().seed() if seed is None else seed
    model = open_model(reference, device, fresh)
    if isinstance(model, MinedGAN):
        return model.sample(n, seed, labels=_labels(model, class_name, n), choose=choose, psi=psi)
    if (class_name, choose, psi) != (None, None, None):
        raise MineganError(f"a class, a choice of sources and psi are for mined models, and {reference} is none")
    return SourceSampler(model).sample(n, fresh)


def open_model(reference: str, device: str | None = None, seed: int = 0) -> MinedGAN | GeneratorSource:
    """What a run, model or source folder, `hf-hub:...`, `name` or `name=weights` holds, on the device, in eval mode.

    Networks without weights are drawn at random, by `seed`.
    """
    place, folder = device_of(device), model_folder(reference)
    if is_model_folder(Path(folder)) or folder.startswith("hf-hub:"):
        return MinedGAN.load(folder).to(place)
    choice = SourceChoice.parse(reference)
    if choice.weights is None and Path(reference).exists():
        raise MineganError(
            f"{reference} holds no model: an unfinished run has none yet, and a checkpoint is sampled as "
            f"FAMILY={reference} (minegan-zoo inspect says which family reads it)"
        )
    if choice.weights is None and "/" in reference:
        raise MineganError(f"{reference} does not exist: give a run or model folder, or the name of a source")
    torch.manual_seed(seed)
    source = load_source(choice.name, choice.weights)
    as_module(source).to(place).eval()
    return source


def _labels(model: MinedGAN, class_name: str | None, n: int) -> Tensor | None:
    if class_name is None:
        return None
    if class_name not in model.class_names:
        known = ", ".join(model.class_names) or "none: it was mined without labels"
        raise MineganError(f"the model has no class {class_name!r}; its classes: {known}")
    return torch.full((n,), model.class_names.index(class_name))


def write_samples(images: Tensor, out: Path, *, separate: bool) -> Path:
    """One grid, or one PNG an image in the folder `out`."""
    if out.suffix not in ("", ".png") and not separate:
        raise MineganError(f"samples are written as PNG: name a file {out.with_suffix('.png')}")
    try:
        if not separate:
            out = out.with_suffix(".png") if out.suffix == "" else out
            out.parent.mkdir(parents=True, exist_ok=True)
            save_grid(images, out)
            return out
        folder = out.with_suffix("") if out.suffix == ".png" else out
        folder.mkdir(parents=True, exist_ok=True)
        for index, image in enumerate(images):
            save_grid(image[None], folder / f"{index:05d}.png")
        return folder
    except OSError as error:
        raise MineganError(f"cannot write samples to {out}: {error.strerror or error}") from error
