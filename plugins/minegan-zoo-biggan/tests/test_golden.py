"""Both reference implementations' outputs on tiny checkpoints, every call of every case.json."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from minegan_zoo.contracts import GeneratorSource
from minegan_zoo.sources import load_source

GOLDEN = Path(__file__).parent / "golden"
AJBROCK = sorted(path.name for path in GOLDEN.glob("*ajbrock*"))
HUGGING_FACE = sorted(path.name for path in GOLDEN.glob("biggan-hf*"))


def read_case(name: str) -> tuple[dict, dict[str, torch.Tensor]]:
    return json.loads((GOLDEN / name / "case.json").read_text()), load_file(GOLDEN / name / "io.safetensors")


def load(name: str, **options: object) -> GeneratorSource:
    return load_source(read_case(name)[0]["family"], GOLDEN / name, **options)


def assert_close(case: dict, found: torch.Tensor, expected: torch.Tensor) -> None:
    tolerance = case["tolerance"]["atol"] * max(1.0, expected.abs().max().item())
    assert found.shape == expected.shape
    assert (found - expected).abs().max().item() <= tolerance


@pytest.mark.parametrize("name", AJBROCK)
@torch.no_grad()
def test_ajbrock(name: str) -> None:
    case, io = read_case(name)
    source = load(name)
    critic = source.own_critic()
    assert critic is not None
    outputs = {
        "G_image": lambda: source.synthesize({"z": io["z"], "class": source.class_codes(io["y"])}),
        "y_embed": lambda: source.class_codes(io["y"]),
        "G_image_from_embed": lambda: source.synthesize({"z": io["z"], "class": io["y_embed_custom"]}),
        "D_logits": lambda: critic(io["x"], io["x_y"])[:, None],
        "D_logits_on_G": lambda: critic(io["G_image"], io["y"])[:, None],
    }
    for call in case["calls"]:
        assert_close(case, outputs[call["out"]](), io[call["out"]])


@pytest.mark.parametrize("name", AJBROCK)
@torch.no_grad()
def test_ajbrock_scores_without_labels(name: str) -> None:
    """The class term is the spectrally normalised embedding times the features, which the linear layer sees too."""
    case, io = read_case(name)
    critic = load(name).own_critic()
    assert critic is not None
    tensors = dict(critic.named_parameters()) | dict(critic.named_buffers())
    features = critic.forward_features(io["x"])
    alone = critic.forward_head(features)
    embed, u = tensors["embed.weight"], tensors["embed.u0"]
    v = torch.nn.functional.normalize(u @ embed)
    u = torch.nn.functional.normalize(v @ embed.t())
    sigma = (v @ embed.t() @ u.t()).item()
    term = ((embed / sigma)[io["x_y"]] * features).sum(1)
    assert_close(case, alone[:, None] + term[:, None], io["D_logits"])


@pytest.mark.parametrize("name", HUGGING_FACE)
@torch.no_grad()
def test_hugging_face(name: str) -> None:
    case, io = read_case(name)
    for call in case["calls"]:
        if match := re.fullmatch(r"z \* (truncation_\d), class_onehot, \1 \(([\d.]+)\)", call["in"]):
            truncation = float(match[2])
            source = load(name, truncation=truncation)
            code = {"z": io["z"] * truncation, "class": source.class_codes(io["class_id"])}
        else:
            assert call["in"] == "z, class_soft, truncation 1.0"
            source = load(name)
            code = {"z": io["z"], "class": source.class_codes(io["class_soft"])}
        assert_close(case, source.synthesize(code), io[call["out"]])
        assert source.own_critic() is None


@pytest.mark.parametrize("name", AJBROCK + HUGGING_FACE)
def test_architecture_is_inferred(name: str) -> None:
    case, _ = read_case(name)
    source = load(name)
    made = case["constructor"].get("G", case["constructor"])
    resolution, classes = (
        made.get(a, made.get(b)) for a, b in (("resolution", "output_dim"), ("n_classes", "num_classes"))
    )
    assert (source.image.resolution, source.image.channels) == (resolution, 3)
    assert source.num_classes == classes
    shared = made.get("z_dim") or (made["shared_dim"] if made["G_shared"] else classes)
    assert source.latents["class"].shape == (shared,)
    assert source.latents["z"].prior == ("truncated" if "hf" in name else "normal")
