"""psi: how wide the base noise of samples is, who draws it wider than it trains on, and what else goes by that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator

import minegan_zoo as mz
from minegan_zoo.config import RunConfig
from minegan_zoo.contracts import GeneratorSource, MineganError
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.recorder import read_events

OPTIONS: dict[str, Any] = {"fid_samples": 0, "watch_every": 0, "miner.width": 16}
IMAGES = torch.randint(0, 256, (60, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)
WIDE = 1.12


def mined(source: Any = "biggan.tiny", out: Path | None = None, images: int = 60, **settings: Any) -> MinedGAN:
    options = {**OPTIONS, **settings.pop("options", {})}
    return mz.mine(source, IMAGES[:images], steps=2, batch=2, out=out, options=options, **settings)


@pytest.fixture(scope="module")
def model() -> MinedGAN:
    return mined(options={"training.psi": 1.0})


# What it is


def test_psi_widens_the_noise_and_nothing_else(model: MinedGAN) -> None:
    noise = torch.randn(4, model.noise_dim, generator=Generator().manual_seed(3))
    usual, wide = model.sample(4, seed=3), model.sample(4, seed=3, psi=1.5)
    torch.testing.assert_close(usual, model.sample(4, seed=3, u=noise))
    torch.testing.assert_close(wide, model.sample(4, seed=3, u=1.5 * noise))
    assert not torch.allclose(usual, wide)


def test_without_noise_all_samples_are_one(model: MinedGAN) -> None:
    first, *others = model.sample(3, seed=0, psi=0.0)
    for other in others:
        torch.testing.assert_close(first, other)


@pytest.mark.parametrize("psi", [-0.1, float("nan"), float("inf")])
def test_what_is_no_width_is_refused(psi: float, model: MinedGAN) -> None:
    with pytest.raises(MineganError, match="psi is at least 0"):
        model.sample(1, psi=psi)


def test_noise_that_is_given_has_its_width(model: MinedGAN) -> None:
    with pytest.raises(MineganError, match="beside u"):
        model.sample(1, u=torch.zeros(1, model.noise_dim), psi=1.0)


# Who draws it wider


@pytest.mark.parametrize("strategy", ["minegan", "minegan++"])
def test_a_finetuned_biggan_draws_it_wider_says_so_and_is_kept_so(
    strategy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = mined(out=tmp_path / "run", strategy=strategy)
    assert model.psi == WIDE and RunConfig.read(tmp_path / "run" / "config.toml").training.psi == WIDE
    assert f"{strategy} draws samples from base noise 1.12 times as wide" in " ".join(capsys.readouterr().err.split())
    kept, plain = MinedGAN.load(tmp_path / "run"), model.eval().sample(4, seed=1, psi=1.0)
    torch.testing.assert_close(kept.sample(4, seed=1), model.sample(4, seed=1, psi=WIDE))
    assert not torch.allclose(kept.sample(4, seed=1), plain)


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        ("progan.tiny", {}),
        ("stylegan2.tiny", {}),
        (["biggan.tiny", "progan.tiny"], {}),
        ("biggan.tiny", {"strategy": "minegan-noft"}),
        ("biggan.tiny", {"strategy": "transfergan"}),
        ("biggan.tiny", {"images": 19}),
        ("biggan.tiny", {"options": {"training.psi": 1}}),
    ],
)
def test_nobody_else_does(source: Any, settings: dict[str, Any], tmp_path: Path) -> None:
    assert mined(source, tmp_path / "run", **settings).psi == 1
    assert RunConfig.read(tmp_path / "run" / "config.toml").training.psi == 1


def test_any_method_can_be_told_to(tmp_path: Path) -> None:
    model = mined(out=tmp_path / "run", strategy="transfergan", options={"training.psi": 1.3})
    assert model.psi == MinedGAN.load(tmp_path / "run").psi == 1.3


def test_a_plugins_source_says_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    source = mz.load_source("progan.tiny")
    monkeypatch.setattr(type(source), "finetuned_psi", 1.25)
    assert isinstance(source, GeneratorSource) and mined(source).psi == 1.25


# What else goes by it


@pytest.mark.parametrize(("psi", "times"), [(None, 5 / 3), (0.9, 1.0), (1.3, 5 / 3)])
def test_a_source_that_is_sampled_wider_learns_faster(psi: float | None, times: float, tmp_path: Path) -> None:
    """54 of the 60 images are trained on."""
    mined(out=tmp_path, options={} if psi is None else {"training.psi": psi})
    (told,) = [e["summary"] for e in read_events(tmp_path) if e["event"] == "stage" and e["stage"] == "finetune"]
    assert told["source_lr"] == pytest.approx(2e-3 * 54 / 60 * times)


def test_where_the_length_of_noise_is_lost_psi_changes_no_rate(tmp_path: Path) -> None:
    rates = []
    for psi in (1.0, 1.3):
        mined("progan.tiny", tmp_path / f"{psi}", options={"training.psi": psi})
        events = [event for event in read_events(tmp_path / f"{psi}") if event["event"] == "stage"]
        rates.append(events[-1]["summary"]["source_lr"])
    assert rates[0] == rates[1]


# Runs of before


def unsaid(run: Path) -> None:
    """Make a run's configuration that of a version that did not know psi."""
    config = run / "config.toml"
    lines = config.read_text("utf-8").splitlines(keepends=True)
    config.write_text("".join(line for line in lines if not line.startswith("psi")), "utf-8")


def test_a_run_of_before_goes_on_as_wide_as_it_trained(tmp_path: Path) -> None:
    first = mined("progan.tiny", tmp_path / "run")
    unsaid(tmp_path / "run")
    torch.testing.assert_close(mined("progan.tiny", tmp_path / "run").sample(2, seed=0), first.sample(2, seed=0))


def test_a_run_of_before_that_would_be_wider_now_is_told_how_to_go_on(tmp_path: Path) -> None:
    mined(out=tmp_path / "run", options={"training.psi": 1.0})
    unsaid(tmp_path / "run")
    with pytest.raises(MineganError, match=r"training\.psi: none there, 1\.12 here"):
        mined(out=tmp_path / "run")
    assert mined(out=tmp_path / "run", options={"training.psi": 1.0}).psi == 1
