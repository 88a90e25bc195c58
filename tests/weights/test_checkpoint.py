"""Every format reads as the tree that trusted readers give, without its classes."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import Record, module_tensors, read_checkpoint

GOLDEN = Path(__file__).parent / "golden"
trusted_load = torch.load  # noqa: TID251 - our own files, to compare with


def same(ours: Any, theirs: Any) -> bool:
    """Equal in type, value and dtype."""
    if isinstance(theirs, Tensor):
        return ours.dtype == theirs.dtype and torch.equal(ours, theirs.detach()) and not ours.requires_grad
    if isinstance(theirs, np.ndarray):
        return same(ours, torch.from_numpy(theirs))
    if isinstance(theirs, dict):
        return type(ours) is dict and list(ours) == list(theirs) and all(same(ours[k], v) for k, v in theirs.items())
    if isinstance(theirs, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return bool(ours == theirs)


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_torch_files(files: dict[str, Path], kind: str) -> None:
    ours, theirs = read_checkpoint(files[kind]), trusted_load(files[kind], weights_only=False)
    args = ours.pop("args")
    assert (args.module, args.name) == ("argparse", "Namespace") and args.state == vars(theirs.pop("args"))
    assert type(ours["fid"]) is float and ours["g_ema"]["complex"].dtype == torch.complex64
    assert same(ours, theirs)


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_shared_memory_stays_shared_and_the_file_as_it_is(files: dict[str, Path], kind: str) -> None:
    net = read_checkpoint(files[kind])["g_ema"]
    net["shared"].fill_(7)
    assert (net["row"] == 7).all() and (net["transposed"] == 7).all()
    assert not (read_checkpoint(files[kind])["g_ema"]["shared"] == 7).any()


def test_safetensors(files: dict[str, Path], tmp_path: Path) -> None:
    ours = read_checkpoint(files["safetensors"])
    assert same({k: ours[k] for k in sorted(ours)}, dict(sorted(read_checkpoint(files["zip"])["g_ema"].items())))
    renamed = tmp_path / "weights.bin"
    renamed.write_bytes(files["safetensors"].read_bytes())
    assert same(read_checkpoint(renamed), ours)


def test_whole_module(files: dict[str, Path]) -> None:
    ours = read_checkpoint(files["module"])
    assert isinstance(ours, Record) and (ours.module, ours.name) == ("model", "Generator")
    assert torch.equal(ours.state["weight"], torch.ones(3))  # an attribute, neither parameter nor buffer
    tensors = module_tensors(ours)
    plain = {"conv.weight", "conv.bias", "norm.weight", "norm.bias"}
    stored = plain | {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}
    assert set(tensors) == {f"{block}.{name}" for block in (0, 2) for name in stored}
    assert tensors["2.conv.weight"].shape == (3, 2, 3, 3) and tensors["2.conv.weight"].std() > 0


def test_module_tensors_are_the_state_dict(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Sequential(nn.Linear(3, 2)))
    torch.save(net, tmp_path / "whole.pt")
    assert same(module_tensors(read_checkpoint(tmp_path / "whole.pt")), dict(net.state_dict()))
    torch.save({"net": nn.Linear(1, 1).state_dict()}, tmp_path / "state.pt")
    with pytest.raises(MineganError, match="not a pickled torch module"):
        module_tensors(read_checkpoint(tmp_path / "state.pt"))


def test_a_garbled_list_of_passing_buffers_is_none() -> None:
    state = {"_parameters": {}, "_buffers": {"a": torch.ones(2)}, "_modules": {}, "_non_persistent_buffers_set": 3}
    assert list(module_tensors(Record("model", "Net", state, ()))) == ["a"]


def test_nvidia_pickle(files: dict[str, Path]) -> None:
    ours = read_checkpoint(files["nvidia"])
    assert list(ours) == ["G", "D", "G_ema", "augment_pipe", "training_set_kwargs"]
    generator = ours["G_ema"]
    assert (generator.module, generator.name, generator.args) == ("torch_utils.persistence", "Generator", ())
    assert generator.state["_init_kwargs"] == {"z_dim": 4, "channels": {"base": 8}}
    attributes = generator.state["attributes"]
    assert attributes["gain"] == 0.5 and attributes["cutoffs"].tolist() == [1.0, 1.5, 2.0]
    assert attributes["blocks"] == {"b4", "b8"} and ours["training_set_kwargs"] == {"path": "x"}
    assert generator.state["_modules"]["mapping"].name == "MappingNetwork"
    parts = ("", "mapping.", "synthesis.")
    shapes = {f"{part}{name}": shape for part in parts for name, shape in (("weight", (3, 4)), ("w_avg", (5,)))}
    assert {name: tuple(t.shape) for name, t in module_tensors(generator).items()} == shapes
    assert not torch.equal(module_tensors(generator)["weight"], module_tensors(ours["G"])["weight"])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_numpy(tmp_path: Path, protocol: int) -> None:
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "floats": np.linspace(0, 1, 7),
        "column major": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        "big-endian": np.arange(3, dtype=">f4"),
        "none": np.empty((0, 2), dtype=np.uint8),
        "long": np.random.default_rng(0).standard_normal(500),
    }
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps({**arrays, "flag": np.bool_(True), "count": np.int64(-3)}, protocol))
    ours = read_checkpoint(path)
    assert ours.pop("flag") is True and ours.pop("count") == -3
    assert same(ours, {name: value.astype(value.dtype.newbyteorder("=")) for name, value in arrays.items()})


def test_golden_files() -> None:
    gan = read_checkpoint(GOLDEN / "pgan-fb-16-oldkeys.pth")
    assert (gan["config"].module, gan["config"].name) == ("models.utils.config", "BaseConfig")
    assert gan["config"].state["depthOtherScales"] == [16, 8] and gan["config"].state["leakyReluLeak"] == 0.2
    assert gan["netG"]["scaleLayers.0.0.weight"].shape == (16, 16, 3, 3)
    assert read_checkpoint(GOLDEN / "biggan-ajbrock-32-state_dict.pth")["config"]["G_ch"] > 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"PK\x03\x04" + b"\0" * 60, "damaged zip archive"),
        (b"GIF89a", "no known format"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(MineganError, match=f"{path}.*{words}"):
        read_checkpoint(path)


def test_folders_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(MineganError, match="is a folder"):
        read_checkpoint(tmp_path)
    with pytest.raises(MineganError, match="No such file"):
        read_checkpoint(tmp_path / "none.pt")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MineganError, match="pipe, not a file"):
        read_checkpoint(tmp_path / "pipe")


@pytest.mark.parametrize("legacy", [False, True])
def test_unsupported_tensors_are_named(tmp_path: Path, legacy: bool) -> None:
    tensors = {
        "sparse": torch.eye(3).to_sparse(),
        "unsigned": torch.ones(2, dtype=torch.uint16),
    }
    for name, tensor in tensors.items():
        torch.save({"x": tensor}, tmp_path / name, _use_new_zipfile_serialization=not legacy)
        with pytest.raises(MineganError, match=f"{tmp_path / name} .*not supported"):
            read_checkpoint(tmp_path / name)


def test_zip64_and_unaligned_records(files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives beyond 4 GiB have wide sizes and offsets; other writers do not align."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 50)
    with zipfile.ZipFile(files["zip"]) as plain, zipfile.ZipFile(tmp_path / "wide.pt", "w") as wide:
        for name in plain.namelist():
            wide.writestr(name, plain.read(name))
    assert b"PK\x06\x06" in (tmp_path / "wide.pt").read_bytes()
    assert same(read_checkpoint(tmp_path / "wide.pt")["g_ema"], read_checkpoint(files["zip"])["g_ema"])


def test_compressed_zip_and_torchscript(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"x": torch.zeros(1000)}, buffer)
    with zipfile.ZipFile(buffer) as plain, zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(MineganError, match="compressed"):
        read_checkpoint(tmp_path / "packed.pt")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as script:
        script.writestr("script/data.pkl", b"\x80\x02N.")
        script.writestr("script/constants.pkl", b"\x80\x02N.")
    with pytest.raises(MineganError, match="TorchScript"):
        read_checkpoint(tmp_path / "script.pt")
