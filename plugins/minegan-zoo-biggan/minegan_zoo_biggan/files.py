"""From the path that a user gives to the networks in it. Imports `contracts`, `weights` and the readers.

| path | what is read |
|---|---|
| `G_ema.pth`, `G.pth` (or `G_ema_SUFFIX.pth` ...) or their folder | ajbrock; `D.pth` and `state_dict.pth` beside it |
| `config.json` with `pytorch_model.bin`, or that file | Hugging Face |
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import read_checkpoint
from minegan_zoo_biggan import ajbrock, huggingface
from minegan_zoo_biggan.checkpoint import Checkpoint, Hints, Tensors, is_state_dict
from minegan_zoo_biggan.recognise import looks_like

GENERATOR = re.compile(r"G(?P<ema>_ema)?(?!_optim)(?P<suffix>_.+)?\.pth")
MODEL, CONFIG = "pytorch_model.bin", "config.json"
CHECKPOINTS = {".pth", ".pt", ".pkl", ".model"}


def read(path: Path, hints: Hints) -> Checkpoint:
    """Raises MineganError when `path` holds no BigGAN, naming what it looks like instead."""
    file = _main_file(path, hints.ema)
    tree = read_checkpoint(file)
    if is_state_dict(tree) and "generator.gen_z.weight_orig" in tree:
        return huggingface.read(Tensors(tree, str(file)), _config_beside(file), hints)
    if is_state_dict(tree) and "blocks.0.0.conv1.weight" in tree and "linear.weight" in tree:
        if "output_layer.2.weight" not in tree:
            raise MineganError(f"{file} is a BigGAN discriminator: name the generator's file, such as G_ema.pth")
        return _ajbrock(file, tree, hints)
    raise MineganError(f"{file} is no BigGAN generator: it looks like {looks_like(tree)}")


def _ajbrock(file: Path, tree: Any, hints: Hints) -> Checkpoint:
    tensors = Tensors(tree, str(file))
    options = _options_beside(file)
    plan = ajbrock.generator_plan(tensors, options, hints)
    kept = ajbrock.state_dict(tensors, hints.standing)
    beside = _sibling(file, "D")
    if beside is None:
        return Checkpoint(plan, kept)
    critic = Tensors(read_checkpoint(beside), str(beside))
    return Checkpoint(
        plan, kept, ajbrock.discriminator_plan(critic, plan, options, hints), ajbrock.state_dict(critic, False)
    )


def _main_file(path: Path, ema: bool) -> Path:
    if path.is_dir():
        if (path / MODEL).is_file():
            return path / MODEL
        return _generator_in(path, ema)
    if not path.is_file():
        raise MineganError(f"{path}: there is no such file or folder")
    match = GENERATOR.fullmatch(path.name)
    if match is None or ema or not match["ema"]:
        return path
    raw = path.with_name(f"G{match['suffix'] or ''}.pth")
    if not raw.is_file():
        raise MineganError(f"{path} holds averaged weights and {raw.name} is not beside it: leave ema=False out")
    return raw


def _generator_in(folder: Path, ema: bool) -> Path:
    """G_ema.pth, or G.pth where raw weights are wanted or nothing else is there; a lone suffix is taken as it is."""
    found = {match["suffix"] or "": file for file, match in _generators(folder) if bool(match["ema"]) == ema}
    if ema and not found:
        found = {match["suffix"] or "": file for file, match in _generators(folder)}
    if "" in found:
        return found[""]
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise MineganError(f"{folder} holds several: name one of {', '.join(sorted(f.name for f in found.values()))}")
    wanted = "G_ema.pth, G.pth" if ema else "G.pth (raw weights)"
    others = sorted(file for file in folder.iterdir() if file.suffix in CHECKPOINTS)
    what = f"; {others[0].name} looks like {looks_like(read_checkpoint(others[0]))}" if others else ""
    raise MineganError(f"{folder} holds no BigGAN: expected {wanted} or {CONFIG} with {MODEL}{what}")


def _generators(folder: Path) -> list[tuple[Path, re.Match[str]]]:
    matches = ((file, GENERATOR.fullmatch(file.name)) for file in sorted(folder.iterdir()) if file.is_file())
    return [(file, match) for file, match in matches if match is not None]


def _sibling(file: Path, stem: str) -> Path | None:
    """`stem`.pth of the same suffix."""
    match = GENERATOR.fullmatch(file.name)
    if match is None:
        return None
    beside = file.with_name(f"{stem}{match['suffix'] or ''}.pth")
    return beside if beside.is_file() else None


def _options_beside(file: Path) -> dict[str, Any]:
    """The reference's training options; none where its state_dict.pth is not there."""
    beside = _sibling(file, "state_dict")
    if beside is None:
        return {}
    tree = read_checkpoint(beside)
    options = tree.get("config") if isinstance(tree, dict) else None
    if not isinstance(options, dict):
        raise MineganError(f"{beside} holds no training options under 'config': move it away to load without")
    return options


def _config_beside(file: Path) -> dict[str, Any] | None:
    """config.json, or NAME-config.json beside NAME-pytorch_model.bin, as the published files are called."""
    beside = file.with_name(file.name.replace(MODEL, CONFIG) if MODEL in file.name else CONFIG)
    return huggingface.read_config(beside) if beside.is_file() else None
