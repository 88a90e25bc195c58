"""Public checkpoints give the reference implementations' images and scores.

golden/ holds tiny random networks of both formats: the checkpoint, `io.safetensors` with inputs and outputs computed by
the reference code, and `case.json` with the calls between them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import minegan_zoo_progan as plugin
import pytest
import torch
from minegan_zoo_progan.critic import ProGANCritic
from minegan_zoo_progan.generator import ProGAN
from safetensors.torch import load_file
from torch import Tensor

from minegan_zoo.contracts import MineganError

GOLDEN = Path(__file__).parent / "golden"
BATCHES = {
    "x": lambda x: x,
    "x[:3]": lambda x: x[:3],
    "x[:1]": lambda x: x[:1],
    "concat(x, -x) along the batch": lambda x: torch.cat([x, -x]),
    "concat(x, -x[:2])": lambda x: torch.cat([x, -x[:2]]),
}


def calls_of(pattern: str) -> list[Any]:
    return [
        pytest.param(case.parent, call, id=f"{case.parent.name}-{call['out'].split(',')[0]}")
        for case in sorted(GOLDEN.glob(f"{pattern}/case.json"))
        for call in json.loads(case.read_text())["calls"]
    ]


def assert_close(found: Tensor, reference: Tensor) -> None:
    assert found.shape == reference.shape and found.dtype == torch.float32
    error = (found - reference).abs().max().item()
    assert error <= 1e-4 * max(1.0, reference.abs().max().item())


def critic_of(source: ProGAN) -> ProGANCritic:
    critic = source.own_critic()
    assert critic is not None
    return critic


@torch.no_grad()
@pytest.mark.parametrize(("folder", "call"), calls_of("pgan-fb-*"))
def test_gan_zoo(folder: Path, call: dict[str, Any]) -> None:
    tensors = load_file(folder / "io.safetensors")
    source = plugin.build(folder, ema=call["net"] == "avgG")
    if call["net"] == "netD":
        images, critic = BATCHES[call["in"]](tensors["x"]), critic_of(source)
        names = [name.split(":")[0].strip() for name in call["out"].split(", ")]
        features = critic.forward_features(images)
        assert_close(critic.heads(features), tensors[names[0]])
        assert_close(critic.forward_head(features), tensors[names[0]][:, 0])
        assert_close(critic(images), tensors[names[0]][:, 0])
        if len(names) > 1:
            assert_close(features, tensors[names[1]])
        if source.num_classes:
            labels = torch.zeros(len(images), len(source.plan.attributes), dtype=torch.int64)
            assert_close(critic(images, labels), tensors[names[0]][:, 0])
    else:
        code = {"z": tensors["z"]}
        if "labels" in call["in"]:
            code["class"] = source.class_codes(tensors["labels"])
            torch.testing.assert_close(code["class"], tensors["class"])
        assert_close(source.synthesize(code), tensors[call["out"]])


@torch.no_grad()
@pytest.mark.parametrize(("folder", "call"), calls_of("progan-rosinality-*"))
def test_rosinality(folder: Path, call: dict[str, Any]) -> None:
    tensors = load_file(folder / "io.safetensors")
    step, alpha = call["options"]["step"], call["options"]["alpha"]
    files = [folder] if call["net"] == "D" else [folder, *folder.glob("*.model"), folder / "g_running.state_dict.pt"]
    for file in files:
        source = plugin.build(file, resolution=4 << step, alpha=None if alpha < 0 else alpha)
        assert (source.own_critic() is None) == (file != folder)
        if call["net"] == "D":
            score, logits = (name.split()[0] for name in call["out"].split(", "))
            images, critic = tensors[call["in"]], critic_of(source)
            assert_close(critic(images), tensors[score])
            assert_close(critic(images, torch.zeros(len(images), dtype=torch.int64)), tensors[score])
            assert_close(critic.heads(critic.forward_features(images))[:, 1:], tensors[logits])
        else:
            code = {"z": tensors["z"], "class": source.class_codes(tensors["label"])}
            assert_close(source.synthesize(code), tensors[call["out"]])


@pytest.mark.parametrize("case", ["pgan-fb-16-fade", "pgan-fb-acgan-grey", "progan-rosinality-w24"])
def test_a_converted_checkpoint_is_the_same_bit_for_bit(case: str, tmp_path: Path) -> None:
    from minegan_zoo.weights import SavedSource, write_source

    source = plugin.build(GOLDEN / case)
    critic = critic_of(source)
    saved = SavedSource("progan", source.config(), {}, source.state_dict(), critic.state_dict())
    write_source(tmp_path / "source", saved)
    again = plugin.build(tmp_path / "source")
    code = source.prior(3, source.inputs[0], torch.Generator().manual_seed(0))
    images = source.synthesize(code)
    assert torch.equal(again.synthesize(code), images)
    assert torch.equal(critic_of(again)(images), critic(images))
    assert again.latents == source.latents


def test_all_resolutions_of_a_file_can_be_had_and_no_other() -> None:
    source = plugin.build(GOLDEN / "pgan-fb-32")
    assert set(source.to_rgb) == {"4", "8", "16", "32"}
    z = {"z": torch.randn(2, 24)}
    cropped = plugin.build(GOLDEN / "pgan-fb-32", resolution=16)
    assert cropped.image.resolution == 16 and critic_of(cropped).image.resolution == 16
    # half a fade shows the lower resolution, enlarged
    lower = plugin.build(GOLDEN / "pgan-fb-32", alpha=0.0).synthesize(z)
    torch.testing.assert_close(lower[:, :, ::2, ::2], cropped.synthesize(z))
    with pytest.raises(MineganError, match="4, 8, 16, 32, not 64"):
        plugin.build(GOLDEN / "pgan-fb-32", resolution=64)


def test_a_single_class_may_be_left_out() -> None:
    source = plugin.build(GOLDEN / "progan-rosinality-one-label", resolution=8)
    z = torch.randn(2, 7)
    code = {"z": z, "class": source.class_codes(torch.tensor([0, 0]))}
    assert torch.equal(source.synthesize({"z": z}), source.synthesize(code))


def test_the_prior_is_normal_where_z_is_normalised_with_the_class() -> None:
    source = plugin.build(GOLDEN / "pgan-fb-acgan-grey")
    assert source.latents["z"].prior == "normal" and source.num_classes == 5
    code = source.prior(5000, source.inputs[0], torch.Generator().manual_seed(0))
    assert code["z"].square().mean(dim=1).std() > 0.3
    assert abs(code["z"].square().mean() - 1) < 0.03
    torch.testing.assert_close(code["class"].mean(dim=0), torch.tensor([1, 1, 1, 1.5, 1.5]) / 3, atol=0.03, rtol=0)
    with pytest.raises(MineganError, match=r"\(n, 2\)"):
        source.class_codes(torch.tensor([0, 1]))
