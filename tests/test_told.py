"""What a run tells its user beside its numbers: on the console, in its notes, in metrics.jsonl."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import minegan_zoo as mz
from minegan_zoo.assembly import assemble
from minegan_zoo.config import RunConfig
from minegan_zoo.contracts import ImageSpec, MineganError
from minegan_zoo.data import load_images
from minegan_zoo.recorder import Recorder, read_events
from minegan_zoo.settings import Choice, SourceChoice, Training

GREY = ImageSpec(1, 8)
SIMPLE = RunConfig((SourceChoice("progan.tiny"),), "images").checked()
QUICK: dict[str, Any] = {"training.log_every": 1, "miner.width": 8}


def squares(n: int, size: int = 16) -> Tensor:
    """Images (n, 3, size, size), uint8, all different."""
    return torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def assembled(count: int, **parts: Any) -> tuple[str | None, bool]:
    """The augmentation of a run of so many images, and whether its notes speak of it."""
    made = assemble(RunConfig((SourceChoice("progan.tiny"),), "given", steps=4, **parts), squares(count))
    chosen = made.config.augmentation
    told = any("--augmentation none leaves" in note or "knows them by heart" in note for note in made.notes)
    return chosen.name if chosen else None, told


def test_ten_images_are_shifted_or_come_with_the_advice() -> None:
    assert assembled(24) == ("translation", True), "five are held out"
    assert assembled(25) == (None, False)
    assert assembled(10, strategy=Choice("minegan++")) == ("translation", True)
    assert assembled(10, augmentation=Choice("none")) == ("none", False)
    assert assembled(10, augmentation=Choice("ada")) == ("ada", False)
    assert (
        assembled(10, strategy=Choice("transfergan")) == assembled(24, strategy=Choice("transfergan")) == (None, True)
    )
    assert assembled(10, strategy=Choice("bsa")) == (None, False)  # it has no critic


def test_what_ten_images_are_augmented_by_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def mined(folder: str, augmentation: str | None) -> list[float]:
        mz.mine(
            "progan.tiny", squares(10), augmentation=augmentation, steps=4, batch=4, out=tmp_path / folder,
            options={**QUICK, "fid_samples": 0},
        )  # fmt: skip
        return [event["critic_loss"] for event in read_events(tmp_path / folder) if event["event"] == "step"]

    own = mined("own", None)
    read = RunConfig.read(tmp_path / "own" / "config.toml").augmentation
    assert read is not None and read.name == "translation"
    assert own == mined("named", "translation") != mined("plain", "none")
    capsys.readouterr()
    assert own == mined("own", None) == mined("own", "translation"), "it is the same run, and it is over"
    with pytest.raises(MineganError, match="augmentation: translation there, none here"):
        mined("own", "none")
    with pytest.raises(MineganError, match="augmentation is chosen by its name"):
        mined("off", False)  # type: ignore[arg-type]


def test_a_single_target_image_is_trained_on_and_not_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mz.mine("progan.tiny", squares(1), steps=2, batch=2, out=tmp_path / "run", options=QUICK)
    assert "has a single image, and FID and KID need at least 2" in capsys.readouterr().err
    events = read_events(tmp_path / "run")
    assert not [event for event in events if event["event"] == "evaluation"]
    assert (tmp_path / "run" / "report.html").is_file()
    test = squares(3)[1:]
    mz.mine("progan.tiny", squares(1), test=test, steps=1, batch=2, out=tmp_path / "other", options=QUICK)
    assert [event for event in read_events(tmp_path / "other") if event["event"] == "evaluation"]
    assert "single image" not in capsys.readouterr().err


def test_the_strength_of_ada_is_recorded_and_drawn(tmp_path: Path) -> None:
    options = {**QUICK, "fid_samples": 0, "augmentation.start": 0.25, "augmentation.images": 40, "every": 2}
    mz.mine("progan.tiny", squares(8), augmentation="ada", steps=3, batch=4, out=tmp_path / "run", options=options)
    events = [event for event in read_events(tmp_path / "run") if event["event"] == "step"]
    # p moves at every second update, by 2 * 4 / 40 one way or the other
    assert events[0]["augmentation_p"] == pytest.approx(0.25)
    assert abs(events[1]["augmentation_p"] - 0.25) == pytest.approx(0.2)
    assert events[2]["augmentation_p"] == events[1]["augmentation_p"]
    assert 'aria-label="Augmentation:' in (tmp_path / "run" / "report.html").read_text("utf-8")


def test_a_miner_that_the_strategy_has_no_use_for_is_told() -> None:
    def notes(strategy: str, miner: str) -> str:
        config = replace(SIMPLE, strategy=Choice(strategy), miner=Choice(miner)).checked()
        return " ".join(assemble(config, squares(8)).notes)

    assert "genda has a miner of its own, adaptor, not residual" in notes("genda", "residual")
    assert "miner of its own" not in notes("genda", "mlp") + notes("minegan", "residual")


def test_frozen_layers_of_a_random_critic_are_told() -> None:
    def told(strategy: str, critic: str) -> bool:
        config = replace(SIMPLE, strategy=Choice(strategy), critic=Choice(critic)).checked()
        return any("keeps layers of the critic as they are" in note for note in assemble(config, squares(8)).notes)

    assert told("freezed", "conv") and told("genda", "conv")
    assert not (told("freezed", "source") or told("genda", "source") or told("l2sp", "conv"))


def test_an_augmentation_that_learns_nothing_tells_nothing() -> None:
    assert dict(mz.augmentations.create("diffaugment").facts()) == {}


def test_a_class_without_images_is_named(tmp_path: Path) -> None:
    for name in ("bag", "boot", "sandal"):
        (tmp_path / name).mkdir()
    for name in ("bag", "boot"):
        Image.new("L", (8, 8)).save(tmp_path / name / "1.png")
    assert load_images(tmp_path, GREY).class_names == ()
    with pytest.raises(MineganError, match=rf"no images in {tmp_path / 'sandal'}: .*remove it"):
        load_images(tmp_path, GREY, labels=True)
    (tmp_path / "sandal" / "torn.png").write_text("text")
    with pytest.raises(MineganError, match=rf"class sandal in {tmp_path} can be read"):
        load_images(tmp_path, GREY, labels=True)
    Image.new("L", (8, 8)).save(tmp_path / "sandal" / "2.png")
    assert load_images(tmp_path, GREY, labels=True).class_names == ("bag", "boot", "sandal")


def test_training_is_not_blamed_for_what_the_untrained_model_does(tmp_path: Path) -> None:
    options = {"fid_samples": 0, "watch_every": 1, "source_lr": 0.0}
    source = mz.load_source("progan.tiny")
    with torch.no_grad():
        for parameter in list(source.groups().values())[-1]:
            parameter.mul_(0.01)  # hardly anything to see in its samples
    mz.mine(source, squares(24), strategy="transfergan", steps=2, batch=4, out=tmp_path / "run", options=options)
    events = read_events(tmp_path / "run")
    (start,) = [event["facts"] for event in events if event["event"] == "watch_start"]
    looks = [event for event in events if event["event"] == "watch"]
    assert looks and all(look["diversity"] == pytest.approx(start["diversity"]) for look in looks)
    titles = {warning.partition(":")[0] for look in looks for warning in look["warnings"]}
    assert titles == {"diversity is low from the start"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"steps": 40}, "steps: none there, 40 here"),
        ({"miner": Choice("mlp", {"width": 9})}, "miner.width: 128 there, 9 here"),
        ({"miner": Choice("affine")}, "miner: mlp there, affine here"),
        ({"training": Training(hold_out=0.5)}, "training.hold_out: 0.1 there, 0.5 here"),
        ({"sources": (SourceChoice("a"), SourceChoice("b", "c"))}, "sources: progan.tiny there, a, b=c here"),
        ({"sources": (SourceChoice("progan.tiny", None, {"noise": "none"}),)}, "progan.tiny(noise=none) here"),
    ],
)
def test_settings_that_differ_are_told_with_both_values(changed: dict[str, Any], words: str) -> None:
    other = replace(SIMPLE, **changed)
    other = replace(other, miner=replace(other.miner, options={**SIMPLE.miner.options, **other.miner.options}))
    assert words in other.contrast(SIMPLE, other.differences(SIMPLE))


def test_dropped_sources_and_stages_that_end_early_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = Recorder(tmp_path, steps=9, resumed_at=None, trackers=(), sources=["a", "b #1", "c", "d"])
    told.dropped(1, 5)
    told.stage_end("mine", 6, early=True)
    told.stage_end("finetune", 8, early=False)
    told.progress("finetune", 8, {"images_per_second": 3.0, "p": [0.1, 0.5, 0.15, 0.25]})
    assert capsys.readouterr().err.splitlines() == [
        "b #1 is dropped at step 5: the selector will not choose it again",
        "stage mine ends at step 6: samples come no nearer to held-out target images",
        "finetune 8/9  3 images/s  p b #1 0.50, d 0.25, c 0.15, 1 more",
    ]
    events = read_events(tmp_path)
    assert [event.get("reason") for event in events] == [None, "plateau", "steps"]
    assert events[0] == {"event": "dropped", "step": 5, "source": 1}


def test_a_larger_source_is_told_with_the_way_to_its_size() -> None:
    config = RunConfig((SourceChoice("progan.tiny"), SourceChoice("stylegan2.fashion-shoes-32")), "images")
    notes = assemble(config, squares(4)).notes
    assert [note for note in notes if "stylegan2" in note and "--resolution 32 would change" in note]
    assert not [note for note in assemble(replace(config, resolution=16), squares(4)).notes if "--resolution" in note]


def test_the_card_names_the_classes(tmp_path: Path) -> None:
    for name in ("bag", "boot"):
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "images" / name / "1.png")
    for labels, told in ((True, True), (False, False)):
        folder = tmp_path / f"model-{labels}"
        mz.mine("progan.tiny", tmp_path / "images", steps=1, batch=2, options={**QUICK, "labels": labels}).save(folder)
        assert ("Conditioned on the classes bag, boot." in (folder / "README.md").read_text("utf-8")) is told
