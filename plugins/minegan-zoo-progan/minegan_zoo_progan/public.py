"""Finds and reads the public checkpoints of this family: which file of a folder, and which format.

Imports contracts, weights and this package's readers.
"""

from __future__ import annotations

import re
from pathlib import Path

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import Record, read_checkpoint

from . import gan_zoo, rosinality
from .families import family_of
from .tensors import SHOWN, Checkpoint

AVERAGED, RAW, CRITIC = "g_running.state_dict.pt", "generator.state_dict.pt", "discriminator.state_dict.pt"
FORMATS = "pytorch_GAN_zoo's PGAN, rosinality's progressive-gan and source folders"


def read(weights: Path, ema: bool) -> Checkpoint:
    """The checkpoint at `weights`, a file or a folder as its project distributes it.

    A folder may hold rosinality's `NNNNNN.model` files (the last is taken) or `g_running.state_dict.pt` (with `ema`
    False `generator.state_dict.pt`), and `discriminator.state_dict.pt` beside them; or one `.pth`/`.pt` file of
    pytorch_GAN_zoo, or several that one run saved as `NAME_sSCALE_iITERATION.pt` (the last is taken).
    """
    file = _generator_file(weights, ema) if weights.is_dir() else weights
    tree = rosinality.unwrapped(read_checkpoint(file))
    if gan_zoo.recognises(tree):
        return gan_zoo.read(tree, file.name, ema)
    if rosinality.recognises(tree):
        if not ema and isinstance(tree, Record):
            raise MineganError(f"{file.name} holds averaged weights only: leave ema at True")
        beside = weights / CRITIC
        critic = read_checkpoint(beside) if weights.is_dir() and beside.is_file() else None
        return rosinality.read(tree, critic, file.name, CRITIC)
    likely = family_of(tree) or "no family known here"
    raise MineganError(f"progan: {file} is no ProGAN checkpoint, it looks like {likely}. Readable here: {FORMATS}")


def _generator_file(folder: Path, ema: bool) -> Path:
    if not ema and (folder / RAW).is_file():
        return folder / RAW
    numbered = sorted((file for file in folder.glob("*.model") if file.stem.isdigit()), key=lambda file: int(file.stem))
    if numbered:
        return numbered[-1]
    if (folder / AVERAGED).is_file():
        return folder / AVERAGED
    files = sorted(
        file
        for file in folder.iterdir()
        if file.suffix in {".pth", ".pt", ".model"} and file.name != CRITIC and not file.stem.endswith("_refVectors")
    )
    if len(files) == 1:
        return files[0]
    runs = [re.fullmatch(r"(.+)_s(\d+)_i(\d+)", file.stem) for file in files]
    stages = {file: (int(run[2]), int(run[3])) for file, run in zip(files, runs, strict=True) if run}
    if files and len(stages) == len(files) and len({run[1] for run in runs if run}) == 1:
        return max(files, key=stages.__getitem__)
    found = ", ".join(file.name for file in files[:SHOWN]) or "no .pth, .pt or .model file"
    others = [file for file in folder.iterdir() if file.suffix in {".pth", ".pt", ".pkl", ".bin"}]
    likely = next(filter(None, (family_of(read_checkpoint(file)) for file in sorted(others)[:3])), None)
    advice = f"it looks like {likely}" if likely else "give the one file to load"
    raise MineganError(f"progan: {folder} holds {found}; {advice}")
