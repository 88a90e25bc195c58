"""Checkpoints are read strictly: what does not fit is named, and a file of another family says which."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import minegan_zoo_progan as plugin
import pytest
import torch

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import read_checkpoint

GOLDEN = Path(__file__).parent / "golden"
ROSINALITY = GOLDEN / "progan-rosinality-one-label"
Tree = dict[str, Any]


def gan_zoo(case: str = "pgan-fb-16-fade") -> Tree:
    """The golden checkpoint as plain values: config as a dict, which the reference accepts as well."""
    tree = read_checkpoint(GOLDEN / case / "model.pth")
    assert isinstance(tree, dict)
    return {**tree, "config": dict(tree["config"].state)}


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Any], Path]:
    def written(tree: Any, name: str = "model.pth") -> Path:
        torch.save(tree, tmp_path / name)
        return tmp_path / name

    return written


def test_a_config_may_be_a_dict(save: Callable[[Any], Path]) -> None:
    tree = gan_zoo()
    z = {"z": torch.randn(2, 16)}
    reference = plugin.build(GOLDEN / "pgan-fb-16-fade").synthesize(z)
    assert torch.equal(plugin.build(save(tree)).synthesize(z), reference)


def test_without_config_and_average_the_reference_defaults_hold(save: Callable[[Any], Path]) -> None:
    tree = gan_zoo("pgan-fb-32")
    z = {"z": torch.randn(2, 24)}
    raw = plugin.build(GOLDEN / "pgan-fb-32", ema=False).synthesize(z)
    alone = plugin.build(save(tree["netG"]))
    assert alone.own_critic() is None
    assert torch.equal(alone.synthesize(z), raw)
    assert torch.equal(plugin.build(save({"netG": tree["netG"], "netD": tree["netD"]})).synthesize(z), raw)
    bent = plugin.build(save(tree["netG"]), leak=0.1, tanh=True, equalized=False)
    assert bent.plan.leak == 0.1 and bent.synthesize(z).abs().max() <= 1


@pytest.mark.parametrize("part", ["netG", "avgG", "netD"])
def test_missing_and_left_over_tensors_are_listed(save: Callable[[Any], Path], part: str) -> None:
    tree = gan_zoo()
    ema = part == "avgG"
    extra = {**tree, part: {**tree[part], "attention.gamma": torch.zeros(1)}}
    with pytest.raises(MineganError, match=rf"{part}.*unexpected: attention\.gamma"):
        plugin.build(save(extra), ema=ema)
    lacking = {**tree, part: {key: value for key, value in tree[part].items() if "scaleLayers.1.1" not in key}}
    with pytest.raises(MineganError, match=rf"{part}.*scaleLayers\.1\.1\.weight"):
        plugin.build(save(lacking), ema=ema)
    first = next(iter(tree[part]))
    misshapen = {**tree, part: {**tree[part], first: torch.zeros(3, 5, 7)}}
    with pytest.raises(MineganError):
        plugin.build(save(misshapen), ema=ema)


def test_unknown_parts_and_a_broken_config_are_named(save: Callable[[Any], Path]) -> None:
    tree = gan_zoo()
    with pytest.raises(MineganError, match="unknown parts: optimizer"):
        plugin.build(save({**tree, "optimizer": {}}))
    for name, value in {"alpha": "half", "leakyReluLeak": [1], "equalizedlR": "yes", "attribKeysOrder": 3}.items():
        with pytest.raises(MineganError, match=name):
            plugin.build(save({**tree, "config": {**tree["config"], name: value}}))
    for value in (torch.zeros(2), {"Shape": torch.zeros(0)}):
        with pytest.raises(MineganError, match="attribKeysOrder"):
            plugin.build(save({**tree, "config": {**tree["config"], "attribKeysOrder": value}}))
    with pytest.raises(MineganError, match="class logits"):
        attributes = {"Shape": {"order": 0, "values": ["round", "flat"]}}
        plugin.build(save({**tree, "config": {**tree["config"], "attribKeysOrder": attributes}}))
    with pytest.raises(MineganError, match="ema"):
        plugin.build(save({key: value for key, value in tree.items() if key != "netG"}), ema=False)


def test_rosinality_files_are_complete_or_refused(save: Callable[[Any], Path]) -> None:
    tree = read_checkpoint(ROSINALITY / "g_running.state_dict.pt")
    assert isinstance(tree, dict)
    with pytest.raises(MineganError, match=r"unexpected: to_rgb\.6\.weight"):
        plugin.build(save({**tree, "to_rgb.6.weight": torch.zeros(3, 4, 1, 1)}))
    with pytest.raises(MineganError, match=r"missing: to_rgb\.5\.bias"):
        plugin.build(save({key: value for key, value in tree.items() if key != "to_rgb.5.bias"}))
    with pytest.raises(MineganError, match=r"discriminator; give the folder"):
        plugin.build(ROSINALITY / "discriminator.state_dict.pt")
    flat = {key: value.flatten() for key, value in read_checkpoint(ROSINALITY / "discriminator.state_dict.pt").items()}
    save(tree, "g_running.state_dict.pt")
    with pytest.raises(MineganError, match=r"linear\.weight has shape \(\d+,\)"):
        plugin.build(save(flat, "discriminator.state_dict.pt").parent)
    with pytest.raises(MineganError, match="averaged weights only"):
        plugin.build(GOLDEN / "progan-rosinality-w24" / "010000.model", ema=False)


def test_a_wrapper_of_several_devices_is_looked_through(save: Callable[[Any], Path]) -> None:
    tree = read_checkpoint(ROSINALITY / "g_running.state_dict.pt")
    assert isinstance(tree, dict)
    z = {"z": torch.randn(1, 7)}
    wrapped = plugin.build(save({f"module.{key}": value for key, value in tree.items()}))
    assert torch.equal(wrapped.synthesize(z), plugin.build(ROSINALITY).synthesize(z))


def test_a_folder_gives_the_last_checkpoint_of_a_run(tmp_path: Path) -> None:
    for name, case in {"a_s2_i900": "pgan-fb-16-fade", "a_s3_i100": "pgan-fb-32"}.items():
        shutil.copy(GOLDEN / case / "model.pth", tmp_path / f"{name}.pt")
    assert plugin.build(tmp_path).image.resolution == 32
    shutil.copy(GOLDEN / "pgan-fb-4" / "model.pth", tmp_path / "other.pth")
    with pytest.raises(MineganError, match=r"a_s2_i900.pt.*give the one file"):
        plugin.build(tmp_path)
    with pytest.raises(MineganError, match="does not exist"):
        plugin.build(tmp_path / "nothing.pth")


FOREIGN: dict[str, Tree] = {
    "biggan": {"shared.weight": 1, "blocks.0.0.conv1.u0": 1},
    "biggan-deep": {"shared.weight": 1, "blocks.0.0.conv1.u0": 1, "blocks.0.0.conv4.u0": 1},
    "family biggan-deep": {"embeddings.weight": 1, "generator.gen_z.weight_orig": 1},
    "stylegan": {"generator": {"style.1.linear.bias": 1}, "discriminator": {}, "g_running": {}},
    "stylegan2": {"g_ema": {"conv1.conv.weight": 1}, "latent_avg": 1},
    "pytorch_GAN_zoo StyleGAN": {"config": 1, "netG": {"baseScale0": 1, "toRGBLayers.0.weight": 1}, "netD": {}},
    "pytorch_GAN_zoo DCGAN": {"config": 1, "netG": {"formatLayer.weight": 1}, "netD": {}},
    "no family known here": {"weights": 1},
}


@pytest.mark.parametrize("family", FOREIGN)
def test_a_foreign_file_says_which_family_it_looks_like(save: Callable[[Any], Path], family: str) -> None:
    path = save(FOREIGN[family])
    for weights in (path, path.parent):
        with pytest.raises(MineganError, match=rf"looks like .*{family}\b"):
            plugin.build(weights)


@pytest.mark.parametrize("file", ["pgan-fb-4/model.pth", "progan-rosinality-one-label/g_running.state_dict.pt"])
def test_damaged_files_are_refused_or_still_give_images(file: str, tmp_path: Path) -> None:
    """50 bit flips and 20 truncations: a flip inside tensor data may load, anything else is a MineganError."""
    whole = (GOLDEN / file).read_bytes()
    rng = torch.Generator().manual_seed(0)
    path = tmp_path / "damaged.pth"
    refused = 0
    for trial in range(70):
        data = bytearray(whole)
        position = int(torch.randint(len(data), (1,), generator=rng))
        if trial < 50:
            data[position] ^= 1 << int(torch.randint(8, (1,), generator=rng))
        else:
            del data[position:]
        path.write_bytes(data)
        try:
            source = plugin.build(path)
            source.synthesize(source.prior(1, source.inputs[0], rng))
        except MineganError:
            refused += 1
    assert refused >= 20
