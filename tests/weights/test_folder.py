"""The project's own folder: what is written is what is read, wholly or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import SavedSource, is_source_folder, read_source, write_source


def saved(scale: float = 1.0) -> SavedSource:
    tied = torch.arange(6.0).reshape(2, 3) * scale
    return SavedSource(
        family="stylegan2",
        config={"resolution": 32},
        options={"truncation": 0.7},
        generator={"a": tied, "b": tied.t(), "c": tied, "n": torch.tensor(3)},
        discriminator={"d": torch.ones(2)},
    )


def test_round_trip(tmp_path: Path) -> None:
    write_source(tmp_path / "deep" / "one", saved())
    back = read_source(tmp_path / "deep" / "one")
    assert is_source_folder(tmp_path / "deep" / "one")
    assert (back.family, back.config, back.options) == ("stylegan2", {"resolution": 32}, {"truncation": 0.7})
    for name, value in saved().generator.items():
        assert torch.equal(back.generator[name], value) and back.generator[name].dtype == value.dtype
    assert back.discriminator is not None and torch.equal(back.discriminator["d"], torch.ones(2))


def test_half_precision_on_disk_only(tmp_path: Path) -> None:
    write_source(tmp_path / "half", saved(), dtype=torch.float16)
    write_source(tmp_path / "full", saved())
    back = read_source(tmp_path / "half")
    assert back.generator["a"].dtype == torch.float32 and back.generator["n"].dtype == torch.int64
    size = {kind: (tmp_path / kind / "generator.safetensors").stat().st_size for kind in ("half", "full")}
    assert size["full"] - size["half"] >= 3 * 6 * 2 - 8
    with pytest.raises(MineganError, match=r"a reaches .*float16 cannot hold"):
        write_source(tmp_path / "large", saved(scale=1e6), dtype=torch.float16)
    assert not (tmp_path / "large").exists()


def test_replaces_sources_only(tmp_path: Path) -> None:
    write_source(tmp_path / "one", saved())
    write_source(tmp_path / "one", saved(scale=2))
    assert read_source(tmp_path / "one").generator["a"][1, 2] == 10
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(MineganError, match="not a source folder"):
        write_source(tmp_path / "mine", saved())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "one"]


@pytest.mark.parametrize("limit", [100, 1000, 40_000, 120_000])
def test_full_disk_leaves_what_was_there(tmp_path: Path, limit: int) -> None:
    """A limit on file size stands for the full disk: writes fail half-way with an OSError."""
    write_source(tmp_path / "one", saved())
    code = f"""
import resource, signal, sys, torch
from pathlib import Path
from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import SavedSource, write_source
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
for name in ("one", "two"):
    try:
        write_source(Path({str(tmp_path)!r}, name), SavedSource("f", None, {{}}, {{"a": torch.ones(200, 200)}}))
    except MineganError as error:
        assert "cannot write" in str(error)
    else:
        sys.exit("wrote beyond the limit")
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"OMP_NUM_THREADS": "1"})
    assert [p.name for p in tmp_path.iterdir()] == ["one"]
    assert torch.equal(read_source(tmp_path / "one").generator["a"], saved().generator["a"])


@pytest.mark.parametrize(
    "facts",
    ["", "[1]", "{}", '{"schema": 2}', '{"schema": 1, "family": 3, "config": null, "options": {}}', "[" * 100_000],
)
def test_garbled_facts(tmp_path: Path, facts: str) -> None:
    write_source(tmp_path / "one", saved())
    (tmp_path / "one" / "source.json").write_text(facts)
    with pytest.raises(MineganError, match=r"source\.json"):
        read_source(tmp_path / "one")


def test_garbled_tensors_and_options(tmp_path: Path) -> None:
    write_source(tmp_path / "one", saved())
    whole = (tmp_path / "one" / "generator.safetensors").read_bytes()
    (tmp_path / "one" / "generator.safetensors").write_bytes(whole[:-1])
    with pytest.raises(MineganError, match=r"generator\.safetensors"):
        read_source(tmp_path / "one")
    with pytest.raises(MineganError, match="not JSON"):
        write_source(tmp_path / "two", SavedSource("f", {"x": {1, 2}}, {}, {}))
    assert json.loads((tmp_path / "one" / "source.json").read_text())["schema"] == 1
