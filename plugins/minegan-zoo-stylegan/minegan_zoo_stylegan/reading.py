"""Finds the file, tells its format and reads it. Imports this package, contracts and weights.

Top-level entries that are ignored by rule: optimisers, training arguments, augmentation, and weights that were
not asked for (raw beside averaged ones).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import Record, is_source_folder, read_checkpoint, read_source

from .networks import Config, Networks
from .recognise import looks_like
from .tensors import listed

SUFFIXES = {".pkl", ".pt", ".pth", ".model"}


@dataclass(frozen=True)
class Layout:
    """A training state's names: averaged and raw generator, discriminator, further entries used, entries ignored."""

    averaged: str
    raw: str
    critic: str
    used: tuple[str, ...]
    ignored: tuple[str, ...]


NVIDIA = Layout("G_ema", "G", "D", (), ("augment_pipe", "training_set_kwargs"))
ROSINALITY1 = Layout("g_running", "generator", "discriminator", (), ("g_optimizer", "d_optimizer"))
ROSINALITY2 = Layout("g_ema", "g", "d", ("latent_avg",), ("g_optim", "d_optim", "args", "ada_aug_p"))


def read(path: Path, config: type[Config], *, ema: bool, mapping_lr: float | None) -> Networks:
    """What `path`, a file or folder, holds of the family of `config`; MineganError where it is of another."""
    if is_source_folder(path):
        return _from_folder(path, config)
    file = _file_in(path, config.family) if path.is_dir() else path
    tree = read_checkpoint(file)
    likely = looks_like(tree)
    if likely.family != config.family:
        whose = f"{file} looks like {likely.words}"
        raise MineganError(f"{whose}: load it as {likely.family}" if likely.family else f"{whose}, not {config.family}")
    networks = _networks(tree, likely.layout, config.family, ema, mapping_lr, file)
    whose = "NVIDIA" if likely.layout == "nvidia" else "rosinality"
    return replace(networks, checkpoint_format=f"{whose} {config.family}")


def _networks(tree: Any, layout: str, family: str, ema: bool, mapping_lr: float | None, file: Path) -> Networks:
    if layout == "nvidia":
        return _nvidia(tree, family, ema, file)
    if family == "stylegan":
        from . import rosinality1

        generator, critic, _ = _states(tree, ROSINALITY1, ema, file)
        return rosinality1.read(generator, critic, str(file))
    from . import rosinality2

    generator, critic, rest = _states(tree, ROSINALITY2, ema, file)
    return rosinality2.read(generator, critic, rest.get("latent_avg"), mapping_lr, str(file))


def _from_folder(path: Path, config: type[Config]) -> Networks:
    saved = read_source(path)
    if saved.family != config.family or saved.config is None:
        raise MineganError(f"{path} holds a {saved.family}, not a {config.family}: load it as {saved.family}")
    try:
        described = config.from_json(saved.config)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MineganError(f"{path}: source.json describes no {config.family} of this version ({error})") from error
    networks = Networks(described, saved.generator, saved.discriminator)
    networks.check_fit(str(path))
    return networks


def _file_in(folder: Path, family: str) -> Path:
    """The only checkpoint or the last of numbered ones; those with a name go before files that are only numbered.

    What rosinality's training leaves as `NNNNNN` is less than what has a name: bare generators beside `train_step-N`,
    snapshots without the mean w beside a converted `stylegan2.pt`.
    """
    files = sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES)
    named = [file for file in files if not file.stem.isdecimal()]
    numbers = {file: re.fullmatch(r"(.*?)(\d+)", file.stem) for file in named or files}
    if len(numbers) == 1:
        return next(iter(numbers))
    places = {file: (match[1], int(match[2])) for file, match in numbers.items() if match}
    if places and len(places) == len(numbers) and len({name for name, _ in places.values()}) == 1:
        return max(places, key=lambda file: places[file][1])
    found = listed([file.name for file in files]) or "no checkpoint"
    for file in [file for file in sorted(folder.iterdir()) if file.suffix in SUFFIXES | {".bin"}][:3]:
        likely = looks_like(read_checkpoint(file))
        if likely.family not in ("", family):
            whose = f"{folder} holds {file.name}, which looks like {likely.words}"
            raise MineganError(f"{whose}: load it as {likely.family}")
    raise MineganError(f"{folder} holds {found}: name the one file to load")


def _pick(tree: Mapping[str, Any], layout: Layout, ema: bool, file: Path) -> Any:
    known = {layout.averaged, layout.raw, layout.critic, *layout.used, *layout.ignored}
    if unknown := [str(key) for key in tree if key not in known]:
        raise MineganError(f"{file} holds entries that its format does not know: {listed(unknown)}")
    name = layout.averaged if ema else layout.raw
    if tree.get(name) is None:
        other = layout.raw if ema else layout.averaged
        advice = f"load its {other} with ema={not ema}" if tree.get(other) is not None else "nor any other generator"
        raise MineganError(f"{file} holds no {'averaged' if ema else 'raw'} weights ({name}); {advice}")
    return tree[name]


def _states(
    tree: Mapping[str, Any], layout: Layout, ema: bool, file: Path
) -> tuple[dict[str, Tensor], dict[str, Tensor] | None, Mapping[str, Any]]:
    """Generator, discriminator and the other entries of a file of state dicts; a bare one is the averaged generator."""
    if not any(name in tree for name in (layout.averaged, layout.raw)):
        tree = {layout.averaged: tree}
    generator = _state(_pick(tree, layout, ema, file), f"{file}, generator")
    critic = tree.get(layout.critic)
    for name in layout.used:
        if name in tree and not isinstance(tree[name], Tensor):
            raise MineganError(f"{file}: {name} is no tensor; the file is damaged")
    return generator, None if critic is None else _state(critic, f"{file}, {layout.critic}"), tree


def _state(value: Any, whose: str) -> dict[str, Tensor]:
    if not isinstance(value, dict) or not all(isinstance(tensor, Tensor) for tensor in value.values()):
        raise MineganError(f"{whose} is no state dict: the file is damaged or of another kind")
    return {str(key): tensor for key, tensor in value.items()}


def _nvidia(tree: Any, family: str, ema: bool, file: Path) -> Networks:
    from . import nvidia, nvidia2, nvidia3

    tree = {NVIDIA.averaged: tree} if isinstance(tree, Record) else tree
    generator = nvidia.Part(_pick(tree, NVIDIA, ema, file), f"{file}: {NVIDIA.averaged if ema else NVIDIA.raw}")
    recorded = tree.get(NVIDIA.critic)
    critic = None
    if recorded is not None:
        critic = nvidia.Part(recorded, f"{file}: {NVIDIA.critic}")
        critic = critic if critic.has("b4") else None
    return nvidia3.read(generator, critic) if family == "stylegan3" else nvidia2.read(generator, critic)
