"""Public checkpoints give the reference implementations' images and scores.

golden/CASE/ holds a tiny random network as its project saves it, `io.safetensors` with inputs and outputs computed by
the reference code, and `case.json` with the calls between them. golden/variants/ holds further configurations, each a
file with its inputs (z, labels, x) and outputs: raw and averaged images, without noise ("none"), truncated ("psi": by
0.6 in the first 3 ws, "psiall": in all), scores ("d").
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from minegan_zoo.contracts import Critic, GeneratorSource
from minegan_zoo.sources import load_source

GOLDEN = Path(__file__).parent / "golden"


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


def critic_of(source: GeneratorSource) -> Critic:
    critic = source.own_critic()
    assert critic is not None
    return critic


def mapped(source: GeneratorSource, z: Tensor) -> Tensor:
    """w of given z: what `prior` maps its own draws to, tested through images elsewhere."""
    return source.mapping(z)


def noise_of(tensors: dict[str, Tensor], source: GeneratorSource) -> dict[str, Tensor]:
    return {key: tensors[key.replace(".", "_")] for key in source.latents if key.startswith("noise.")}


def doubled(x: Tensor) -> Tensor:
    return torch.cat([x, 0.5 * x.flip(0, 3)])


@torch.no_grad()
@pytest.mark.parametrize(("folder", "call"), calls_of("stylegan1-*"))
def test_stylegan(folder: Path, call: dict[str, Any]) -> None:
    tensors, out = load_file(folder / "io.safetensors"), call["out"]
    step, alpha = (call["options"]["step"], call["options"]["alpha"]) if "options" in call else (3, 1)
    files = ["train_step-5.model"] + (["030000.model"] if call["net"] == "g_running" else [])
    for file in files:
        ema = call["net"] != "generator"
        source = load_source("stylegan", folder / file, resolution=4 << step, alpha=float(alpha), ema=ema)
        if call["net"] == "discriminator":
            assert_close(critic_of(source)(tensors[f"x_step{step}"]), tensors[out][:, 0])
            continue
        noise = noise_of(tensors, source)
        w, w2 = mapped(source, tensors["z"]), mapped(source, tensors["z2"])
        mean, psi = tensors["mean_style"], tensors["style_weight"]
        t, t2 = mean + psi * (w - mean), mean + psi * (w2 - mean)
        if out == "style":
            assert_close(w, tensors[out])
        elif out == "g_running_truncated":
            assert_close(source.synthesize({"w": t, **noise}), tensors[out])
        elif out == "g_running_mixed_range":  # blocks 0 and 1 of four
            assert_close(source.synthesize({"w+": torch.stack([t2, t2, t, t], dim=1), **noise}), tensors[out])
        elif out == "g_running_mixed_crossover":
            assert_close(source.synthesize({"w+": torch.stack([w, w, w2, w2], dim=1), **noise}), tensors[out])
        else:
            assert_close(source.synthesize({"z": tensors["z"], **noise}), tensors[out])


@torch.no_grad()
@pytest.mark.parametrize(("folder", "call"), calls_of("stylegan2-rosinality-*"))
def test_stylegan2_rosinality(folder: Path, call: dict[str, Any]) -> None:
    tensors, names = load_file(folder / "io.safetensors"), call["out"].split(", ")
    out, z = names[0], {"z": tensors["z"]}
    for file in folder.glob("*.pt"):
        source = load_source("stylegan2", file, ema=call["net"] != "g")
        if call["net"] == "d":
            images = {"D_logits": "x", "D_logits_8": "x", "D_logits_on_g_ema": "g_ema_image"}[out]
            batch = doubled(tensors[images]) if out == "D_logits_8" else tensors[images]
            assert_close(critic_of(source)(batch), tensors[out][:, 0])
        elif out == "w":
            assert_close(mapped(source, tensors["z"]), tensors["w"])
        elif out == "g_ema_image_truncated":
            if file.name == "stylegan2.pt":  # the other file holds no mean
                source = load_source("stylegan2", file, truncation=tensors["truncation"].item())
                assert_close(source.synthesize(z), tensors[out])
        elif out == "g_ema_image_mixed":
            first = int(tensors["inject_index"])
            w, w2 = mapped(source, tensors["z"]), mapped(source, tensors["z2"])
            count = source.latents["w+"].shape[0]
            code = torch.stack([w] * first + [w2] * (count - first), dim=1)
            assert_close(source.synthesize({"w+": code}), tensors[out])
        else:
            code = {
                "g_ema_image_from_w": {"w": tensors["w"]},
                "g_ema_image_from_w_plus": {"w+": tensors.get("w_plus")},
                "g_ema_image_given_noise": z | noise_of(tensors, source),
            }.get(out, z)
            assert_close(source.synthesize(code), tensors[out])
            if "g_ema_latent" in names:
                assert_close(source.synthesize({"w+": tensors["g_ema_latent"]}), tensors[out])


@torch.no_grad()
@pytest.mark.parametrize(("folder", "call"), [*calls_of("stylegan2ada-*"), *calls_of("stylegan3-*")])
def test_nvidia(folder: Path, call: dict[str, Any]) -> None:
    tensors, names = load_file(folder / "io.safetensors"), call["out"].split(", ")
    out = names[-1]
    options: dict[str, Any] = {
        "G_ema_image_psi0": {"truncation": 0.7},
        "G_ema_image_cutoff": {"truncation": 0.7, "truncation_cutoff": 5 if "stylegan3" in folder.name else 4},
        "G_ema_image_nonoise": {"noise": "none"},
        "G_image": {"ema": False},
    }.get(out, {})
    family = "stylegan3" if "stylegan3" in folder.name else "stylegan2"
    source = load_source(family, folder / "network-snapshot-000100.pkl", **options)
    code = {"z": tensors["z"]}
    if source.num_classes:
        code["class"] = source.class_codes(tensors["c"].argmax(dim=1))
    if call["net"] == "D":
        images = tensors["x" if out != "D_logits_on_G_ema" else "G_ema_image_psi1"]
        labels = tensors.get("x_c" if out != "D_logits_on_G_ema" else "c")
        labels = None if labels is None else labels.argmax(dim=1)
        if out == "D_logits_8":
            images, labels = doubled(images), None if labels is None else torch.cat([labels, labels])
        assert_close(critic_of(source)(images, labels), tensors[out][:, 0])
    elif out == "G_ema_image_from_ws":
        assert_close(source.synthesize({"w+": tensors["ws_in"]}), tensors[out])
    else:
        if out == "G_ema_image_transformed":
            source.synthesis.input.transform.copy_(tensors["transform"])
        assert_close(source.synthesize(code), tensors[out])
        if len(names) > 1:
            assert_close(source.synthesize({"w+": tensors[names[0]]}), tensors[out])


VARIANTS = sorted(file for file in (GOLDEN / "variants").iterdir() if file.suffix != ".safetensors")
FAMILIES = {"ada": "stylegan2", "sg3": "stylegan3", "rosinality1": "stylegan", "rosinality2": "stylegan2"}
OPTIONS: dict[str, dict[str, Any]] = {
    "rosinality1-unfused": {"resolution": 32, "alpha": 0.3},
    "rosinality2-filter": {"mapping_lr": 0.1},
}


@torch.no_grad()
@pytest.mark.parametrize("file", VARIANTS, ids=lambda file: file.stem)
def test_variant(file: Path) -> None:
    tensors = load_file(file.with_suffix(".safetensors"))
    family = "stylegan2" if file.stem == "sg3-stylegan2" else FAMILIES[file.stem.split("-")[0]]
    given = OPTIONS.get(file.stem, {})
    calls: dict[str, dict[str, Any]] = {
        "ema": {},
        "raw": {"ema": False},
        "none": {"noise": "none"},
        "psi": {"truncation": 0.6, "truncation_cutoff": 3},
        "psiall": {"truncation": 0.6},
    }
    for out, options in calls.items():
        if out not in tensors or (out == "none" and family == "stylegan3"):
            continue
        source = load_source(family, file, **given, **options)
        code = {"z": tensors["z"]}
        if source.num_classes:
            code["class"] = source.class_codes(tensors["labels"])
        if "noise_0" in tensors:
            code |= noise_of(tensors, source)
        assert_close(source.synthesize(code), tensors[out])
    critic = critic_of(source)
    assert_close(critic(tensors["x"], tensors["labels"] if critic.num_classes else None), tensors["d"])
