"""A *source folder*: how this project keeps a generator and its discriminator on disk. Imports contracts and atomic.

    source.json                 {"schema": 1, "family": ..., "config": {...}, "options": {...}}
    generator.safetensors       the generator's state dict
    discriminator.safetensors   its own critic's state dict, where it has one

Tensors may be float16 on disk; in memory they are at least float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from minegan_zoo.atomic import written_aside
from minegan_zoo.contracts import MineganError

SCHEMA = 1
FACTS = "source.json"
GENERATOR = "generator.safetensors"
DISCRIMINATOR = "discriminator.safetensors"


@dataclass(frozen=True)
class SavedSource:
    """What a source folder holds: `config` rebuilds both networks' architecture, `options` are the builder's."""

    family: str
    config: dict[str, Any] | None
    options: dict[str, Any]
    generator: dict[str, Tensor]
    discriminator: dict[str, Tensor] | None = None


def is_source_folder(path: Path) -> bool:
    """Whether `path` is a folder written by `write_source`."""
    return (path / FACTS).is_file() and (path / GENERATOR).is_file()


def family_of(path: Path) -> str:
    """The generator that wrote a source folder, which reads it. Raises MineganError where the folder does not say."""
    return str(_read_facts(path / FACTS)["family"])


def read_source(path: Path) -> SavedSource:
    """Read a source folder; half-precision tensors come back as float32. Raises MineganError on any defect."""
    facts = _read_facts(path / FACTS)
    discriminator = read_safetensors(path / DISCRIMINATOR) if (path / DISCRIMINATOR).exists() else None
    return SavedSource(
        family=facts["family"],
        config=facts["config"],
        options=facts["options"],
        generator=_at_least_float32(read_safetensors(path / GENERATOR)),
        discriminator=None if discriminator is None else _at_least_float32(discriminator),
    )


def write_source(folder: Path, source: SavedSource, dtype: torch.dtype | None = None) -> None:
    """Write a source folder aside and rename it: a full disk or a kill never leaves half of one.

    `dtype` is what floating-point tensors become on disk (None: as they are). An earlier source folder of that name is
    replaced; any other folder that holds files is refused.
    """
    if folder.exists() and not is_source_folder(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise MineganError(f"{folder} exists and is not a source folder: name another place or remove it first")
    facts = {"schema": SCHEMA, "family": source.family, "config": source.config, "options": source.options}
    try:
        text = json.dumps(facts, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise MineganError(f"{folder}: config or options of {source.family} are not JSON: {error}") from error
    with written_aside(folder) as aside:
        _write_safetensors(aside / GENERATOR, source.generator, dtype)
        if source.discriminator is not None:
            _write_safetensors(aside / DISCRIMINATOR, source.discriminator, dtype)
        (aside / FACTS).write_text(text + "\n", "utf-8")


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file, mapped from disk rather than copied."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise MineganError(f"{path}: cannot be read as safetensors ({error}): fetch or convert it again") from error


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise MineganError(f"{path}: not readable as a source's facts ({error})") from error
    if not isinstance(facts, dict) or facts.get("schema") != SCHEMA:
        raise MineganError(f"{path}: not schema {SCHEMA}: it was written by another version of minegan_zoo")
    kinds = {"family": str, "config": dict | None, "options": dict}
    wrong = [key for key, kind in kinds.items() if key not in facts or not isinstance(facts[key], kind)]
    if wrong:
        raise MineganError(f"{path}: lacks or garbles {', '.join(wrong)}")
    return facts


def _at_least_float32(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.float() if t.is_floating_point() and t.itemsize < 4 else t for name, t in tensors.items()}


def _write_safetensors(path: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype | None) -> None:
    stored: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        value = tensor.detach().cpu()
        if dtype is not None and value.is_floating_point() and value.dtype != dtype:
            value = value.to(dtype)
            if not value.isfinite().all() and tensor.isfinite().all():
                raise MineganError(f"{path.name}: {name} reaches {tensor.abs().max():.3g}, which {dtype} cannot hold")
        if value.untyped_storage().data_ptr() in seen:  # tied weights: the format wants each its own
            value = value.clone()
        seen.add(value.untyped_storage().data_ptr())
        stored[name] = value.contiguous()
    try:
        save_file(stored, path)
        with safe_open(path, framework="pt"):  # a short write shows here, not months later
            pass
    except SafetensorError as error:
        raise OSError(str(error)) from error
