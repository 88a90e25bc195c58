"""Finding files, inferring what they hold, and refusing what does not fit."""

from __future__ import annotations

import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.sources import load_source
from minegan_zoo.weights import read_checkpoint

GOLDEN = Path(__file__).parent / "golden"
VARIANTS = GOLDEN / "variants"
STYLEGAN = GOLDEN / "stylegan1-rosinality-128" / "train_step-5.model"
ROSINALITY = GOLDEN / "stylegan2-rosinality-32" / "stylegan2.pt"
SNAPSHOT = ROSINALITY.with_name("000100.pt")
ADA = GOLDEN / "stylegan2ada-32" / "network-snapshot-000100.pkl"
ALIAS_FREE = GOLDEN / "stylegan3-t-32" / "network-snapshot-000100.pkl"
FILES = {"stylegan": STYLEGAN, "stylegan2": ROSINALITY, "stylegan2 of NVIDIA": ADA, "stylegan3": ALIAS_FREE}


def image(source: Any) -> Tensor:
    with torch.no_grad():
        return source.synthesize(source.prior(2, source.inputs[0], torch.Generator().manual_seed(0)))


def rewritten(file: Path, copy: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a file of state dicts with `change` applied to it in place."""
    tree = read_checkpoint(file)
    tree = {key: dict(value) if isinstance(value, dict) else value for key, value in tree.items()}
    tree.pop("args", None)
    change(tree)
    torch.save(tree, copy)
    return copy


@pytest.mark.parametrize("name", FILES)
def test_wrong_family_is_named(name: str) -> None:
    family = name.split()[0]
    for other in {"stylegan", "stylegan2", "stylegan3"} - {family}:
        with pytest.raises(MineganError, match=rf"looks like .*load it as {family}$"):
            load_source(other, FILES[name])


def test_other_projects_are_named(tmp_path: Path) -> None:
    trees = {
        "progan": {"netG": {}, "avgG": {}, "config": None},
        "biggan-deep": {"blocks.0.0.conv4.weight": torch.zeros(1)},
        "biggan": {"blocks.0.0.conv1.weight": torch.zeros(1)},
        "no GAN known here": {"state": {"weight": torch.zeros(1)}},
    }
    for words, tree in trees.items():
        torch.save(tree, tmp_path / "x.pt")
        for path in (tmp_path / "x.pt", tmp_path):
            with pytest.raises(MineganError, match=words):
                load_source("stylegan2", path)
    torch.save({"netG": {}, "avgG": {}}, tmp_path / "a.pt")
    with pytest.raises(MineganError, match=r"holds a\.pt, which looks like .* load it as progan"):
        load_source("stylegan2", tmp_path)


def test_folders_hold_one_checkpoint_or_numbered_ones(tmp_path: Path) -> None:
    with pytest.raises(MineganError, match="no checkpoint"):
        load_source("stylegan2", tmp_path)
    shutil.copy(
        GOLDEN / "stylegan2ada-16-cond" / "network-snapshot-000100.pkl", tmp_path / "network-snapshot-000100.pkl"
    )
    assert load_source("stylegan2", tmp_path).num_classes == 6
    shutil.copy(ADA, tmp_path / "network-snapshot-001000.pkl")
    assert load_source("stylegan2", tmp_path).num_classes == 0
    shutil.copy(ROSINALITY, tmp_path / "stylegan2.pt")
    with pytest.raises(MineganError, match=r"network-snapshot-000100\.pkl.*stylegan2\.pt.*name the one file"):
        load_source("stylegan2", tmp_path)


def test_folders_as_their_projects_leave_them() -> None:
    assert load_source("stylegan3", ALIAS_FREE.parent).own_critic() is not None
    assert load_source("stylegan", STYLEGAN.parent, resolution=8).own_critic() is not None  # not the bare generator
    assert load_source("stylegan2", ROSINALITY.parent).stored_mean  # not the snapshot, which has none


def test_averaged_and_raw_weights(tmp_path: Path) -> None:
    raw_only = rewritten(ROSINALITY, tmp_path / "raw.pt", lambda tree: tree.pop("g_ema"))
    with pytest.raises(MineganError, match=r"no averaged weights \(g_ema\); load its g with ema=False"):
        load_source("stylegan2", raw_only)
    assert torch.equal(
        image(load_source("stylegan2", raw_only, ema=False)), image(load_source("stylegan2", ROSINALITY, ema=False))
    )
    torch.save(read_checkpoint(ROSINALITY)["g_ema"], tmp_path / "bare.pt")
    bare = load_source("stylegan2", tmp_path / "bare.pt")
    assert bare.own_critic() is None and torch.equal(image(bare), image(load_source("stylegan2", ROSINALITY)))
    with pytest.raises(MineganError, match="no raw weights"):
        load_source("stylegan2", tmp_path / "bare.pt", ema=False)


def test_mean_of_files_that_hold_none() -> None:
    narrow = load_source("stylegan2", SNAPSHOT, truncation=0.0)
    keys = frozenset({"w"})
    mean = load_source("stylegan2", SNAPSHOT).prior(4096, keys, torch.Generator().manual_seed(5))["w"].mean(dim=0)
    found = narrow.prior(1, keys, torch.Generator())["w"][0]
    torch.testing.assert_close(found, mean, atol=0.15, rtol=0)
    assert torch.equal(
        found, load_source("stylegan2", SNAPSHOT, truncation=0.0).prior(1, keys, torch.Generator())["w"][0]
    )


def test_shapes_are_inferred() -> None:
    source = load_source("stylegan2", VARIANTS / "ada-classes.pkl")
    spaces = {key: space.shape for key, space in source.latents.items() if not key.startswith("noise.")}
    assert spaces == {"z": (8,), "class": (7,), "w": (10,), "w+": (6, 10)} and source.num_classes == 5
    assert source.config()["mapping"] | {"activation": ""} == {
        "z_dim": 8, "widths": [11, 11, 10], "num_classes": 5, "embed": 7, "lr": 0.1, "activation": "", "bias_gain": True
    }  # fmt: skip
    assert load_source("stylegan2", VARIANTS / "ada-quiet.pkl").inputs == (
        frozenset({"z"}),
        frozenset({"w"}),
        frozenset({"w+"}),
    )
    assert load_source("stylegan3", VARIANTS / "sg3-rclasses.pkl", variant="r").latents["w+"].shape == (7, 10)
    assert load_source("stylegan", STYLEGAN).image.resolution == 1024


def test_options_may_repeat_the_file_but_not_contradict_it() -> None:
    load_source("stylegan2", ADA, channels=3, z_dim=24, mapping_layers=8, architecture="skip", resolution=32)
    for options in ({"channels": 1}, {"architecture": "resnet"}, {"mapping_lr": 0.1}, {"num_classes": 2}):
        with pytest.raises(MineganError, match="leave the option out"):
            load_source("stylegan2", ADA, **options)
    with pytest.raises(MineganError, match="32x32 only"):
        load_source("stylegan3", ALIAS_FREE, resolution=16)


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "missing": (lambda tree: tree["g_ema"].pop("convs.3.noise.weight"), r"lacks convs\.3\.noise\.weight"),
    "unknown": (lambda tree: tree["g_ema"].update(more=torch.zeros(3)), "unknown tensors more"),
    "unknown entry": (lambda tree: tree.update(iwt={"a": torch.zeros(3)}), "does not know: iwt"),
    "misshapen": (
        lambda tree: tree["g_ema"].update({"convs.1.activate.bias": torch.zeros(7)}),
        r"convs\.1\.activate\.bias \(7,\), where \(20,\) fits",
    ),
    "critic": (lambda tree: tree["d"].pop("final_linear.1.bias"), r"d lacks final_linear\.1\.bias"),
    "critic's unknown": (lambda tree: tree["d"].update(more=torch.zeros(3)), "d holds unknown tensors more"),
    "no state dict": (lambda tree: tree.update(d=[1, 2]), "d is no state dict"),
    "mean": (lambda tree: tree.update(latent_avg=torch.zeros(7)), r"latent_avg \(7,\)"),
    "filter": (
        lambda tree: tree["g_ema"].update({"convs.2.conv.blur.kernel": torch.eye(4)}),
        r"convs\.2\.conv\.blur\.kernel is no separable",
    ),
    "empty": (lambda tree: tree["g_ema"].clear(), "style"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_every_tensor_counts(what: str, tmp_path: Path) -> None:
    change, message = BROKEN[what]
    with pytest.raises(MineganError, match=message):
        load_source("stylegan2", rewritten(ROSINALITY, tmp_path / "x.pt", change))


def test_every_tensor_of_stylegan_counts(tmp_path: Path) -> None:
    file = rewritten(STYLEGAN, tmp_path / "x.model", lambda tree: tree["g_running"].pop("generator.to_rgb.8.conv.bias"))
    with pytest.raises(MineganError, match=r"lacks generator\.to_rgb\.8\.conv\.bias"):
        load_source("stylegan", file, resolution=16)  # although that size is cut off
    blur = "generator.progression.2.conv1.2.weight"
    file = rewritten(
        STYLEGAN, tmp_path / "x.model", lambda tree: tree["g_running"].update({blur: torch.rand(20, 1, 3, 3)})
    )
    with pytest.raises(MineganError, match="filters channels differently"):
        load_source("stylegan", file)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_refused_or_load(name: str, tmp_path: Path) -> None:
    """Truncated anywhere: refused. A bit flipped anywhere: refused, or the flip lies within the tensors' data."""
    whole, family = FILES[name].read_bytes(), name.split()[0]
    options = {"resolution": 16} if family == "stylegan" else {}
    random.seed(0)
    loaded = 0
    for round_ in range(24):
        data = bytearray(whole)
        if round_ % 4 == 0:
            del data[random.randrange(len(data)) :]
        else:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        (tmp_path / "x.pt").write_bytes(data)
        try:
            source = load_source(family, tmp_path / "x.pt", **options)
        except MineganError:
            continue
        assert round_ % 4 and source.image.resolution in (16, 32)
        loaded += 1
    assert loaded < 24


def test_hostile_pickle_runs_nothing(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"G_ema": Trap(), "G": None, "D": None}))
    with pytest.raises(MineganError):
        load_source("stylegan2", tmp_path / "x.pkl")
    assert not (tmp_path / "sprung").exists()
