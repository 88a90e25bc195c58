"""Say what a checkpoint is, and turn it into a source folder. May import everything but the CLI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from minegan_zoo.contracts import GeneratorSource, MineganError
from minegan_zoo.registry import generators
from minegan_zoo.run_folder import MODEL
from minegan_zoo.saved import is_model_folder, model_folder
from minegan_zoo.sources import as_module, load_source, save_source
from minegan_zoo.weights import is_source_folder, read_source


def open_checkpoint(path: Path, family: str | None = None) -> GeneratorSource:
    """The source that a checkpoint holds, its family found by asking every installed one.

    Of a run that pretrained one, its model. Raises MineganError with every family's answer where none can read it.
    """
    if not path.exists():
        raise MineganError(f"there is no file or folder {path}")
    if is_model_folder(Path(model_folder(str(path)))):
        raise MineganError(f"{path} is no checkpoint but a mined model: minegan-zoo sample draws from it")
    path = _place(path)
    answers = []
    for name in [family] if family else _candidates(path):
        try:
            return load_source(name, path)
        except MineganError as error:
            answers.append(f"{name}: {error}")
    raise MineganError(f"no installed family can read {path}:\n  " + "\n  ".join(answers))


def inspect_checkpoint(path: Path, family: str | None = None) -> dict[str, Any]:
    """What a checkpoint is, as JSON values: family, image, latent spaces, classes, parameters, critic, groups."""
    source = open_checkpoint(path, family)
    critic = source.own_critic()
    return {
        "family": source.loaded_from.name if source.loaded_from else "",
        "format": "source folder" if is_source_folder(_place(path)) else source.checkpoint_format or "not stated",
        "image": str(source.image),
        "classes": source.num_classes,
        "latents": {name: f"{space.shape} {space.prior}" for name, space in source.latents.items()},
        "parameters": sum(parameter.numel() for parameter in as_module(source).parameters()),
        "critic_parameters": sum(p.numel() for p in as_module(critic).parameters()) if critic else 0,
        "groups": list(source.groups()),
    }


def convert_checkpoint(path: Path, out: Path, family: str | None = None, dtype: torch.dtype | None = None) -> None:
    """Write the source folder `out`: the same images bit for bit, unless `dtype` narrows the tensors."""
    save_source(open_checkpoint(path, family), out, dtype=dtype)


def _place(path: Path) -> Path:
    """Where a run folder keeps the source that it pretrained; any other path as it stands."""
    return path / MODEL if is_source_folder(path / MODEL) else path


def _candidates(path: Path) -> list[str]:
    """Families that may know `path`: a source folder names its own."""
    if is_source_folder(path):
        return [read_source(path).family]
    return [name for name in generators.list() if "." not in name]
