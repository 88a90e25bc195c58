"""Mining that brought a lone source no nearer to the target is undone; all other mining stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

import minegan_zoo as mz
from minegan_zoo.checkpoint import load_state
from minegan_zoo.contracts import GeneratorSource
from minegan_zoo.gallery import Gallery
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.recorder import read_events
from minegan_zoo.sources import as_module
from minegan_zoo.watch import Watch

QUICK = {"fid_samples": 0, "watch_every": 0, "log_every": 1, "state_every": 1, "miner.width": 16, "mine_share": 0.5}
FAST = {"miner_lr": 0.1, "finetune_miner_lr": 0.1}
"""Miners that go far, where they are trained."""


def noise(n: int = 10) -> Tensor:
    return torch.randint(0, 256, (n, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture
def source() -> GeneratorSource:
    torch.manual_seed(0)
    return mz.load_source("progan.tiny")


@pytest.fixture
def gains(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the share of the distance that mining leaves."""

    def leave(share: float) -> None:
        monkeypatch.setattr(Gallery, "gained", lambda self, model: (2.0, 2.0 * share))

    return leave


def mine(out: Path, sources: Any, target: Any = None, *, steps: int = 8, **settings: Any) -> MinedGAN:
    options = {**QUICK, **FAST, **settings.pop("options", {})}
    if "stages" in options:
        options = {name: value for name, value in options.items() if name not in {*FAST, "mine_share"}}
    target = noise() if target is None else target
    return mz.mine(sources, target, steps=steps, batch=4, out=out, options=options, **settings)


def undone(out: Path) -> list[dict[str, Any]]:
    return [event for event in read_events(out) if event["event"] == "undone"]


def own_samples(model: MinedGAN) -> bool:
    u = torch.randn(6, model.noise_dim, generator=Generator().manual_seed(1))
    mined, unmined = (model.sample_source(0, u, mined=mined) for mined in (True, False))
    return torch.allclose(mined, unmined, atol=1e-4)


def test_miner_and_critic_are_put_back_and_the_miner_stays(
    source: GeneratorSource, gains: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gains(0.96)
    before = {name: tensor.clone() for name, tensor in as_module(source).state_dict().items()}
    model = mine(tmp_path, source)
    (event,) = undone(tmp_path)
    assert (event["stage"], event["step"], event["kid_before"]) == ("mine", 4, 2.0)
    assert "mining left 96% of the distance" in capfd.readouterr().err
    assert own_samples(model) and own_samples(MinedGAN.load(tmp_path / "model"))
    after = model.source_modules[0].state_dict()
    assert any(not torch.equal(after[name], tensor) for name, tensor in before.items())
    stages = {event["stage"]: event["summary"] for event in read_events(tmp_path) if event["event"] == "stage"}
    # of few images at two thirds of its rate instead of a third
    summary = {
        "source_lr": pytest.approx(2e-3 * 2 / 3),
        "mining": "undone",
        "critic_lr": 2e-3,
        "critic_frozen": "16x16, 8x8",
    }
    assert stages["finetune"] == summary
    report = (tmp_path / "report.html").read_text()
    assert "mining undone" in report and "after step 4, undone" in report and "after step 8, undone" not in report
    state = load_state(tmp_path / "state")
    assert state is not None and set(state["averages"]) == {"sources/0"}, "a miner that stays is not averaged"


@pytest.mark.parametrize(
    ("strategy", "images", "share", "options", "of_source", "of_critic"),
    [
        ("minegan", 100, 0.96, {}, 2.0, 2.0),  # ten are held out; twice as fast at most
        ("minegan++", 100, 0.96, {}, 2.0, 2.0),
        ("minegan", 25, 0.96, {}, 2 / 3, 2.0),  # five are; twice a third
        ("minegan", 25, 0.96, {"freeze_lower": False}, 2 / 3, 2.0),
        ("minegan", 24, 0.96, {}, 2 / 3, 1.0),  # 19 are soon known by heart
        ("minegan", 100, 0.8, {}, 1.5, 1.0),  # what pays stays
    ],
)
def test_rates_go_by_the_number_of_images_and_double_where_mining_was_undone(
    strategy: str,
    images: int,
    share: float,
    options: dict[str, Any],
    of_source: float,
    of_critic: float,
    source: GeneratorSource,
    gains: Any,
    tmp_path: Path,
) -> None:
    gains(share)
    mine(tmp_path, source, noise(images), strategy=strategy, options=options)
    state = load_state(tmp_path / "state")
    assert state is not None
    rates = {part: {group["lr"] for group in held["param_groups"]} for part, held in state["optimizers"].items()}
    lazy = 16 / 17  # of a penalty that is due at every 16th update
    assert list(rates["critic"]) == [pytest.approx(of_critic * 2e-3 * lazy)]
    assert (FAST["finetune_miner_lr"] in rates["miner"]) == (share <= 0.9), "an undone miner stays"
    assert list(rates["miner"] - {FAST["finetune_miner_lr"]}) == [pytest.approx(of_source * 2e-3)]
    summaries = [event["summary"] for event in read_events(tmp_path) if event["event"] == "stage"]
    assert summaries[-1]["source_lr"] == pytest.approx(of_source * 2e-3)
    assert summaries[-1].get("critic_lr") == (pytest.approx(of_critic * 2e-3) if share > 0.9 else None)


def test_nothing_of_what_was_undone_is_left(source: GeneratorSource, gains: Any, tmp_path: Path) -> None:
    """The state at the end of mining is that of a run whose parts never moved."""
    gains(0.96)
    tables = [{"name": "mine", "share": 1.0, "train": {"miners": 0.1, "critic": 0.1}, "undo_above": 0.9}]
    still = [{"name": "mine", "share": 1.0, "train": {"miners": 0.0, "critic": 0.0}}]
    states = []
    for name, stages in (("undone", tables), ("still", still)):
        mine(tmp_path / name, source, strategy="stages", steps=3, options={"stages": stages})
        states.append(load_state(tmp_path / name / "state"))
    moved, still_there = states
    assert moved is not None and still_there is not None
    assert moved["optimizers"] == {} and moved["averages"] == {}
    assert moved["critic"].keys() == still_there["critic"].keys()
    assert all(torch.equal(moved["critic"][name], tensor) for name, tensor in still_there["critic"].items())


@pytest.mark.parametrize("left, kept", [(0.5, True), (0.89, True), (0.91, False), (1.3, False)])
def test_a_tenth_of_the_distance_is_to_be_gained(
    left: float, kept: bool, source: GeneratorSource, gains: Any, tmp_path: Path
) -> None:
    gains(left)
    model = mine(tmp_path, source)
    assert bool(undone(tmp_path)) != kept and own_samples(model) != kept


@pytest.mark.parametrize("found", [None, (0.0, 1.0), (-0.1, 1.0)])
def test_what_cannot_be_told_is_kept(
    found: Any, source: GeneratorSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Too few images, or samples that are at the target as they are."""
    monkeypatch.setattr(Gallery, "gained", lambda self, model: found)
    assert not own_samples(mine(tmp_path, source)) and not undone(tmp_path)


def test_the_distance_is_kid_to_the_training_images(source: GeneratorSource, tmp_path: Path) -> None:
    def pixels(images: Tensor) -> Tensor:
        return images.flatten(1).float() / 255

    train = noise(20)
    gallery = Gallery(32, 0, None, lambda: Watch(pixels, train, None), train, None)
    tables = [{"name": "mine", "share": 1.0, "train": {"miners": 0.1, "critic": 2e-3}}]
    model = mine(tmp_path, source, train, strategy="stages", options={"stages": tables})
    without, given = gallery.gained(model) or (0.0, 0.0)
    u = gallery._noise(256)
    for mined, found in ((False, without), (True, given)):
        expected = Watch(pixels, train, None).to_training(model.sample_source(0, u, mined=mined))
        assert found == pytest.approx(expected)
    assert without != pytest.approx(given)
    few = Gallery(32, 0, None, lambda: Watch(pixels, train[:4], None), train[:4], None)
    assert few.gained(model) is None


def test_miners_that_move_nothing_are_undone_by_what_is_measured(source: GeneratorSource, tmp_path: Path) -> None:
    mine(tmp_path, source, options={"miner_lr": 1e-6})
    (event,) = undone(tmp_path)
    assert event["kid_after"] == pytest.approx(event["kid_before"], rel=0.01)


@pytest.mark.parametrize(
    "sources, settings",
    [
        ("biggan.tiny", {}),  # its miner makes classes too, and begins with none of its own
        ("progan.tiny", {"options": {"miner.skip": False}}),  # begins anywhere
        ("progan.tiny", {"labels": True, "target": {"images": noise(), "labels": torch.arange(10) % 2}}),
    ],
)
def test_what_has_nothing_to_be_put_back_to_is_kept(
    sources: Any, settings: dict[str, Any], gains: Any, tmp_path: Path
) -> None:
    gains(1.0)
    settings = dict(settings)
    target = settings.pop("target", None)
    if target is not None:
        from safetensors.torch import save_file

        save_file(target, tmp_path / "target.safetensors")
        target = tmp_path / "target.safetensors"
    mine(tmp_path / "run", sources, target, **settings)
    assert not undone(tmp_path / "run")


MINE = {"name": "mine", "share": 0.5, "train": {"miners": 0.1, "critic": 2e-3}, "undo_above": 0.9}
TUNE = {"name": "tune", "share": 0.5, "train": {"sources": 1e-3, "critic": 2e-3}, "select": False}


def test_several_sources_keep_what_was_mined(gains: Any, tmp_path: Path) -> None:
    gains(1.0)
    mine(tmp_path, ["progan.tiny", "stylegan2.tiny"], strategy="stages", options={"stages": [MINE, TUNE]})
    assert not undone(tmp_path)


def test_later_stages_that_mine_do_without(source: GeneratorSource, gains: Any, tmp_path: Path) -> None:
    """Also one that trains nothing else, and one that asks again."""
    gains(1.0)
    more = {**MINE, "name": "more", "share": 0.25}
    tune = {**TUNE, "share": 0.25, "train": {"sources": 1e-3, "miners": 0.1, "critic": 2e-3}}
    model = mine(tmp_path, source, strategy="stages", options={"stages": [MINE, more, tune]})
    assert [event["stage"] for event in undone(tmp_path)] == ["mine"] and own_samples(model)


def test_a_stage_has_no_such_rule_unless_it_asks(source: GeneratorSource, gains: Any, tmp_path: Path) -> None:
    gains(1.0)
    unasked = {name: value for name, value in MINE.items() if name != "undo_above"}
    model = mine(tmp_path, source, strategy="stages", options={"stages": [unasked, TUNE]})
    assert not undone(tmp_path) and not own_samples(model)


@pytest.mark.parametrize(
    "changed", [{"undo_above": 0}, {"undo_above": -1}, {"undo_above": "half"}, {"train": {"*": 1e-3}}]
)
def test_a_stage_that_cannot_be_undone_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(mz.MineganError, match="undo_above"):
        mz.strategies.create("stages", stages=[{**MINE, "share": 1.0, **changed}])


def test_who_only_measures_watches_nothing(source: GeneratorSource, tmp_path: Path) -> None:
    mine(tmp_path, source)
    assert not {"watch_start", "watch"} & {event["event"] for event in read_events(tmp_path)}
