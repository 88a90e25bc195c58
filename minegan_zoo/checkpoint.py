"""Resumable run states: a tree of tensors and plain values as safetensors + JSON, one folder a step.

May import contracts, config, atomic and weights.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from packaging.version import Version
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from minegan_zoo.atomic import written_aside
from minegan_zoo.contracts import MineganError

SCHEMA = 2
TOO_FAST = "Lower the strategy's learning rates (its options in _lr) or choose another objective"
"""What to do when numbers became non-finite."""


def save_state(folder: Path, step: int, state: Mapping[str, Any]) -> None:
    """Write `state` as folder/STEP, then delete the older ones: at every moment a whole state is there."""
    tensors: dict[str, Tensor] = {}
    skeleton = _pack(state, "", tensors)
    with written_aside(folder / f"{step:08d}") as aside:
        try:
            save_file(tensors, aside / "state.safetensors")
        except SafetensorError as error:
            raise OSError(str(error)) from error
        (aside / "state.json").write_text(json.dumps({"schema": SCHEMA, "step": step, "state": skeleton}), "utf-8")
    for older in sorted(folder.iterdir()):
        if older.name != f"{step:08d}":
            shutil.rmtree(older, ignore_errors=True)


def load_state(folder: Path) -> dict[str, Any] | None:
    """The newest whole state below `folder`, None where there is none; MineganError for one that cannot be used."""
    saved = sorted(path for path in folder.glob("*") if path.name.isdigit())
    if not saved:
        return None
    newest = saved[-1]
    try:
        facts = json.loads((newest / "state.json").read_text("utf-8"))
        tensors = load_file(newest / "state.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise MineganError(f"the state {newest} cannot be read ({error}): delete it to start this run anew") from error
    found = facts.get("schema") if isinstance(facts, dict) else None
    if found != SCHEMA:
        raise MineganError(
            f"the state {newest} has schema {found}, this version of minegan_zoo reads {SCHEMA}: resume it with the "
            "version that wrote it, or choose another folder"
        )
    state: dict[str, Any] = _unpack(facts["state"], tensors)
    return state


def check_weights(step: int, *modules: nn.Module) -> None:
    """MineganError for parameters that an update made non-finite: such a state must not replace the last good one."""
    for module in modules:
        for name, parameter in module.named_parameters():
            if not bool(parameter.isfinite().all()):
                raise MineganError(
                    f"the parameter {name} became non-finite at step {step}; the state before is kept. {TOO_FAST}"
                )


def non_finite(
    place: Path | None, step: int, facts: Mapping[str, float], state: Mapping[str, Any], batch: Mapping[str, Tensor]
) -> MineganError:
    """What to raise for a loss in the step after `step`; its state and batch are saved in `place`, if there is one."""
    told = ", ".join(f"{name} {value}" for name, value in facts.items())
    saved = "nothing was saved, as the run has no folder"
    if place is not None:
        written = {name: repr(value) for name, value in facts.items()}
        save_state(place, step, {**state, "batch": {**batch, "facts": written}})
        saved = f"the step's state and batch are in {place}"
    return MineganError(f"the loss became non-finite at step {step + 1} ({told}); {saved}. {TOO_FAST}")


def check_origin(state: Mapping[str, Any], installed: Mapping[str, str], target: str, place: Path) -> None:
    """MineganError for a state of other target images, of a plugin that is not here or of a newer version of one."""
    if state["target"] != target:
        raise MineganError(f"{place.parent} was trained on other target images: choose another folder for these")
    for package, version in state["versions"].items():
        if package not in installed:
            raise MineganError(f"the state in {place} was written with {package} {version}, which this run has not")
        if Version(version) > Version(installed[package]):
            raise MineganError(
                f"the state in {place} was written with {package} {version}, and {installed[package]} is installed: "
                f"upgrade it (pip install {package}=={version}) or choose another folder"
            )


@contextmanager
def belonging(place: Path) -> Iterator[None]:
    """Within, a state is taken apart; MineganError where it is not of this run."""
    try:
        yield
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        raise MineganError(
            f"the state in {place} is not of this run ({str(error).splitlines()[0]}): choose another folder, or delete "
            "it to start anew"
        ) from error


def _pack(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """JSON with {"tensor": path} where a tensor was; mappings become lists of pairs, so that keys keep their type."""
    if isinstance(value, Tensor):
        # a copy of its own: safetensors refuses tensors that share memory
        tensors[path] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": path}
    if isinstance(value, Mapping):
        return {"map": [[key, _pack(inner, f"{path}/{key}", tensors)] for key, inner in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_pack(inner, f"{path}/{index}", tensors) for index, inner in enumerate(value)]}
    return {"value": value}


def _unpack(packed: Any, tensors: Mapping[str, Tensor]) -> Any:
    ((kind, content),) = packed.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "map":
        return {key: _unpack(inner, tensors) for key, inner in content}
    if kind == "list":
        return [_unpack(inner, tensors) for inner in content]
    return content


def random_state() -> dict[str, Any]:
    """The global random state that objectives and augmentations draw from."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Undo what happened since `random_state`."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"] and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])


@contextmanager
def preserved_random_state() -> Iterator[None]:
    """Whatever draws from the global random state within leaves no trace."""
    state = random_state()
    try:
        yield
    finally:
        restore_random_state(state)
