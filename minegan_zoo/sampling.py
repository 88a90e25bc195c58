"""Samples of whatever can be sampled, written as files. May import everything but the CLI."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Generator, Tensor

from minegan_zoo.api import MODEL, load_source
from minegan_zoo.contracts import MineganError
from minegan_zoo.minegan import CHUNK, MinedGAN
from minegan_zoo.recorder import save_grid
from minegan_zoo.saved import is_model_folder
from minegan_zoo.sources import as_module


def sample_images(reference: str, n: int, seed: int | None, device: str | None) -> Tensor:
    """Images (n, C, H, W) in [-1, 1] of a run folder, a model folder, `hf-hub:...`, `name` or `name=weights`."""
    inside = Path(reference) / MODEL
    folder = str(inside) if is_model_folder(inside) else reference
    if is_model_folder(Path(folder)) or folder.startswith("hf-hub:"):
        return MinedGAN.load(folder).to(_device(device)).sample(n, seed)
    if Path(reference).exists() and "=" not in reference:
        raise MineganError(
            f"{reference} holds no mined model; a source folder is sampled as FAMILY={reference}, an unfinished run "
            "has no model yet"
        )
    name, _, weights = reference.partition("=")
    source = load_source(name, weights or None)
    as_module(source).to(_device(device)).eval()
    rng = Generator()
    rng.seed() if seed is None else rng.manual_seed(seed)
    sizes = [CHUNK] * (n // CHUNK) + ([n % CHUNK] if n % CHUNK else [])
    with torch.no_grad():
        images = [source.synthesize(source.prior(size, source.inputs[0], rng)).float().cpu() for size in sizes]
    return torch.cat(images).clamp(-1, 1)


def write_samples(images: Tensor, out: Path, *, separate: bool) -> Path:
    """One grid, or one PNG an image in the folder `out`."""
    try:
        if not separate:
            out.parent.mkdir(parents=True, exist_ok=True)
            save_grid(images, out.with_suffix(".png") if out.suffix == "" else out)
            return out
        folder = out.with_suffix("") if out.suffix == ".png" else out
        folder.mkdir(parents=True, exist_ok=True)
        for index, image in enumerate(images):
            save_grid(image[None], folder / f"{index:05d}.png")
        return folder
    except OSError as error:
        raise MineganError(f"cannot write samples to {out}: {error.strerror or error}") from error


def _device(name: str | None) -> torch.device:
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
