"""A state that this installation did not write, or cannot read, is refused with the reason and left as it is."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import minegan_zoo as mz
from minegan_zoo.contracts import MineganError

IMAGES = torch.linspace(0, 1, 6 * 3 * 16 * 16).view(6, 3, 16, 16)
OPTIONS = {"fid_samples": 0, "miner.width": 8}


def mine(out: Path, images: torch.Tensor = IMAGES, **changed: Any) -> None:
    mz.mine("progan.tiny", images, out=out, steps=2, batch=2, device="cpu", options=OPTIONS | changed)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    mine(out)
    return out


def _other_schema(facts: dict[str, Any]) -> None:
    facts["schema"] += 1


def _versions(facts: dict[str, Any]) -> dict[str, list[Any]]:
    """Package -> the pair of it and its version, as the state holds them."""
    (versions,) = (inner["map"] for key, inner in facts["state"]["map"] if key == "versions")
    return {pair[0]: pair for pair in versions}


def _newer_plugin(facts: dict[str, Any]) -> None:
    _versions(facts)["minegan-zoo-progan"][1] = {"value": "99.0"}


def _absent_plugin(facts: dict[str, Any]) -> None:
    _versions(facts)["minegan-zoo-progan"][:] = ["minegan-zoo-other", {"value": "1.0"}]


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "newer schema": (_other_schema, "has schema 3, this version of minegan_zoo reads 2"),
    "newer plugin": (_newer_plugin, "pip install minegan-zoo-progan==99.0"),
    "absent plugin": (_absent_plugin, "was written with minegan-zoo-other 1.0, which this run has not"),
}


def bytes_of(out: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize("change", REFUSED)
def test_a_newer_or_foreign_state_is_refused_with_the_reason(change: str, finished: Path, tmp_path: Path) -> None:
    alter, reason = REFUSED[change]
    out = shutil.copytree(finished, tmp_path / "run")
    (state,) = (out / "state").iterdir()
    facts = json.loads((state / "state.json").read_text())
    alter(facts)
    (state / "state.json").write_text(json.dumps(facts))
    before = bytes_of(out)
    with pytest.raises(MineganError, match=re.escape(reason)):
        mine(out)
    assert bytes_of(out) == before


def test_a_state_of_other_images_is_refused(finished: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "run")
    with pytest.raises(MineganError, match="was trained on other target images: choose another folder"):
        mine(out, IMAGES.flip(0) ** 2)


def test_a_state_of_another_architecture_is_refused(finished: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "run")
    (state,) = (out / "state").iterdir()
    shutil.rmtree(out)
    mine(out, **{"miner.width": 16})
    (other,) = (out / "state").iterdir()
    shutil.rmtree(other)
    shutil.copytree(next((finished / "state").iterdir()), out / "state" / state.name)
    with pytest.raises(MineganError, match="is not of this run"):
        mine(out, **{"miner.width": 16})


def test_a_truncated_state_is_refused(finished: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "run")
    (tensors,) = (out / "state").rglob("*.safetensors")
    tensors.write_bytes(tensors.read_bytes()[:-100])
    with pytest.raises(MineganError, match=r"cannot be read .*: delete it to start this run anew"):
        mine(out)
