"""Which images a model is known to have been trained on, and that no evaluation measures it against them unasked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import minegan_zoo as mz
from minegan_zoo.assembly import assemble
from minegan_zoo.config import RunConfig
from minegan_zoo.contracts import ImageSpec, MineganError
from minegan_zoo.data import load_images
from minegan_zoo.evaluation import evaluate
from minegan_zoo.mined_source import MinedSource
from minegan_zoo.saved import open_any
from minegan_zoo.settings import SourceChoice

QUIET = {"training.fid_samples": 0, "training.watch_every": 0}


def pixels(n: int, seed: int, resolution: int = 16) -> Tensor:
    """Noise (n, 3, R, R), uint8."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, resolution, resolution), generator=rng, dtype=torch.uint8)


def mined(source: str | Path, target: Tensor, out: Path, strategy: str = "minegan", size: int | None = None) -> Path:
    """A run of two steps."""
    mz.mine([str(source)], target, strategy=strategy, steps=2, batch=4, resolution=size, out=out, options=QUIET)
    return out


def test_a_mined_model_remembers_what_it_was_trained_on(tmp_path: Path) -> None:
    target, others = pixels(12, 3), pixels(12, 4)
    run = mined("progan.tiny", target, tmp_path / "run")
    model = mz.MinedGAN.load(run)
    assert len(model.trained_on) == 12
    with pytest.raises(MineganError, match="12 of 12 real images of tensor were trained on"):
        evaluate(model, target, samples=12)
    allowed = evaluate(model, target, samples=12, allow_training=True)["fid_train"]
    assert (allowed.trained_on, allowed.checkpoint) == (12, "last, averaged")
    assert allowed.model == "MinedGAN of progan.tiny" and len(allowed.model_sha256) == 64
    assert evaluate(model, others, samples=12)["fid"].trained_on == 0
    (source,) = open_any(str(run))
    assert isinstance(source, MinedSource)
    with pytest.raises(MineganError, match="12 of 12 real images"):
        evaluate(source, target, samples=12)
    source.as_model().save(tmp_path / "copy")
    assert mz.MinedGAN.load(tmp_path / "copy").trained_on == model.trained_on


@pytest.mark.parametrize("strategy", ["minegan", "transfergan"])
def test_what_a_source_was_mined_for_is_remembered_by_what_is_mined_from_it(tmp_path: Path, strategy: str) -> None:
    first, second = pixels(12, 3), pixels(9, 4)
    before = mined("progan.tiny", first, tmp_path / "a", strategy)
    model = mz.MinedGAN.load(mined(before, second, tmp_path / "b"))
    assert len(model.trained_on) == 21
    for known in (first, second):
        with pytest.raises(MineganError, match=f"{len(known)} of {len(known)} real images"):
            evaluate(model, known, samples=12)


def test_a_sources_images_in_another_form_are_told(tmp_path: Path) -> None:
    before = mined("progan.tiny", pixels(12, 3), tmp_path / "a")
    model = mz.MinedGAN.load(mined(before, pixels(9, 4, 8), tmp_path / "b", size=8))
    record = evaluate(model, pixels(10, 5, 8), samples=12, extractor="pixels@8")["fid"]
    assert (record.trained_on, record.training_count, record.training_unchecked) == (0, 9, 12)


def test_of_training_images_given_only_those_that_the_model_remembers_count(tmp_path: Path) -> None:
    target, others = pixels(30, 3), pixels(20, 4)
    model = mz.MinedGAN.load(mined("progan.tiny", target, tmp_path / "run"))  # a tenth, at least 5, is held out
    record = evaluate(model, others, samples=20, metrics=("memorisation",), training=target)["memorisation"]
    assert (record.training_count, record.training_left_out, record.settings["training_images"]) == (25, 5, 25)
    remembered = model.trained_on
    digests = load_images(target, ImageSpec(3, 16)).digests()
    held_out = target[torch.tensor([digest not in remembered for digest in digests])]
    assert evaluate(model, held_out, samples=20, training=target)["fid"].trained_on == 0
    with pytest.raises(MineganError, match="none of the 20 images of tensor"):
        evaluate(model, held_out, samples=20, metrics=("memorisation",), training=others)


def test_sources_of_a_model_remember_with_it_and_may_see_another_form(tmp_path: Path) -> None:
    target = pixels(12, 3, 8)
    run = mined("progan.tiny", target, tmp_path / "run", "transfergan", 8)
    for model in (mz.MinedGAN.load(run), mz.mine(["progan.tiny"], target, steps=2, batch=4, options=QUIET)):
        assert len(model.trained_on) == 12
        assert all(source.trained_on == model.trained_on for source in model.sources)
    (source,) = open_any(str(run))  # which makes 16x16
    record = evaluate(source, pixels(10, 5), samples=12)["fid"]
    assert (record.trained_on, record.training_unchecked) == (None, 12)
    with pytest.raises(MineganError, match="prepared as 3x8, real ones as 3x16"):
        evaluate(source, pixels(10, 5), training_digests=source.trained_on)


def test_a_run_judges_by_no_image_that_a_source_was_mined_for(tmp_path: Path) -> None:
    before = mined("progan.tiny", pixels(30, 3), tmp_path / "a")
    with pytest.raises(MineganError, match=r"\d+ of the test images were trained on when a source was mined"):
        mz.mine([str(before)], pixels(12, 4), test=pixels(30, 3), steps=2, batch=4, options=QUIET)
    config = RunConfig((SourceChoice(str(before)),), "given", steps=4, seed=1)
    assert any("held out to judge by were trained on" in note for note in assemble(config, pixels(30, 3)).notes)


def test_every_real_image_that_was_trained_on_is_counted(tmp_path: Path) -> None:
    train = pixels(4, 3)
    real = torch.cat([train[:1].expand(8, -1, -1, -1), pixels(2, 5)])
    found = evaluate(pixels(10, 6), real, training=train, allow_training=True)
    assert found["fid_train"].trained_on == 8
