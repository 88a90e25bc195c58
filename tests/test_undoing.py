"""Mining that brought a lone source no nearer to the target is undone; all other mining stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

import minegan_zoo as mz
from minegan_zoo.checkpoint import load_state
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.pixels import to_uint8
from minegan_zoo.recorder import read_events

QUICK = {"fid_samples": 0, "watch_every": 0, "log_every": 1, "miner.width": 16}
STILL = {"miner_lr": 1e-6, "finetune_miner_lr": 0.1}
"""Mining that cannot pay, and miners that would run away while finetuning if they were trained."""


def noise(n: int = 24, channels: int = 3) -> Tensor:
    return torch.randint(0, 256, (n, channels, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)


def mine(out: Path, target: Tensor, sources: Any = "progan.tiny", *, steps: int = 8, **settings: Any) -> MinedGAN:
    options = {**QUICK, "mine_share": 0.5, **settings.pop("options", {})}
    return mz.mine(sources, target, steps=steps, batch=4, out=out, options=options, **settings)


def undone(out: Path) -> list[dict[str, Any]]:
    return [event for event in read_events(out) if event["event"] == "undone"]


def own_codes(model: MinedGAN) -> bool:
    u = torch.randn(6, model.noise_dim, generator=Generator().manual_seed(1))
    mined, unmined = (model.sample_source(0, u, mined=mined) for mined in (True, False))
    return torch.allclose(mined, unmined, atol=1e-4)


def test_mining_that_brings_nothing_is_undone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = mine(tmp_path, noise(10), options=STILL)
    (event,) = undone(tmp_path)
    assert event["stage"] == "mine" and event["step"] == 4 and event["kid_after"] > 0.9 * event["kid_before"]
    assert "mining brought the samples of progan.tiny no nearer" in capfd.readouterr().err
    assert own_codes(model) and own_codes(MinedGAN.load(tmp_path / "model"))
    stages = {event["stage"]: event["summary"] for event in read_events(tmp_path) if event["event"] == "stage"}
    # of few images at two thirds of its rate instead of a third
    assert stages["finetune"] == {"source_lr": pytest.approx(2e-3 * 2 / 3), "mining": "undone"}
    assert "mining undone" in (tmp_path / "report.html").read_text()
    own = mz.load_source("progan.tiny").state_dict()  # type: ignore[attr-defined]
    assert any(not torch.equal(own[name], tensor) for name, tensor in model.source_modules[0].state_dict().items())


def test_a_mining_that_pays_is_kept(tmp_path: Path) -> None:
    """The target is a small part of what the source makes."""
    source = mz.load_source("progan.tiny")
    z = torch.randn(40, source.latents["z"].shape[0], generator=Generator().manual_seed(2))
    z = 0.3 * z + torch.sign(z[:1])
    code = {"z": z * torch.rsqrt(z.square().mean(1, keepdim=True))}
    with torch.no_grad():
        target = to_uint8(source.synthesize(code).clamp(-1, 1))
    model = mine(tmp_path, target, steps=60, options={"mine_share": 0.9, "miner_lr": 1e-2, "code_prior": 0.0})
    assert not undone(tmp_path) and not own_codes(model)
    (told,) = [e["summary"] for e in read_events(tmp_path) if e["event"] == "stage" and e["stage"] == "finetune"]
    assert "mining" not in told


@pytest.mark.parametrize(
    "sources, options",
    [
        (["progan.tiny", "stylegan2.tiny"], {}),  # of several the selector learns from what was mined
        ("biggan.tiny", {}),  # its miner makes classes too, and begins with none of its own
        ("progan.tiny", {"miner.skip": False}),  # begins anywhere
    ],
)
def test_what_has_nothing_to_be_put_back_to_is_kept(sources: Any, options: dict[str, Any], tmp_path: Path) -> None:
    model = mine(tmp_path, noise(), sources, options={**STILL, **options})
    assert not undone(tmp_path) and not own_codes(model)


@pytest.mark.parametrize("images", [2, 5])
def test_too_few_images_to_tell_by_keep_what_was_mined(images: int, tmp_path: Path) -> None:
    mine(tmp_path, noise(images), options={**STILL, "hold_out": 0.0})
    assert len(undone(tmp_path)) == (images >= 5)


def test_a_stage_asks_for_it(tmp_path: Path) -> None:
    tables: list[dict[str, Any]] = [
        {"name": "mine", "share": 0.5, "train": {"miners": 1e-6, "critic": 2e-3}},
        {"name": "tune", "share": 0.5, "train": {"sources": 1e-3, "critic": 2e-3}, "select": False},
    ]
    for name, asked in (("unasked", {}), ("asked", {"undo_above": 0.9}), ("content", {"undo_above": 1.5})):
        options = {**QUICK, "stages": [{**tables[0], **asked}, tables[1]]}
        mz.mine("progan.tiny", noise(), strategy="stages", steps=4, batch=4, out=tmp_path / name, options=options)
        assert bool(undone(tmp_path / name)) == (name == "asked")
        assert bool(load_state(tmp_path / name / "state")["position"]["undone"]) == (name == "asked")


@pytest.mark.parametrize("share", [0, -1, "half"])
def test_a_share_that_is_none_is_refused(share: Any) -> None:
    table = {"name": "mine", "share": 1.0, "train": {"miners": 1e-6}, "undo_above": share}
    with pytest.raises(mz.MineganError, match="undo_above"):
        mz.strategies.create("stages", stages=[table])
