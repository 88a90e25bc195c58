"""What a run tells its user beside its numbers: on the console, in its notes, in metrics.jsonl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import minegan_zoo as mz
from minegan_zoo.contracts import ImageSpec, MineganError
from minegan_zoo.data import load_images
from minegan_zoo.recorder import read_events

GREY = ImageSpec(1, 8)
QUICK: dict[str, Any] = {"training.log_every": 1, "miner.width": 8}


def squares(n: int, size: int = 16) -> Tensor:
    """Images (n, 3, size, size), uint8, all different."""
    return torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


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
