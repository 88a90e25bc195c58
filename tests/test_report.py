"""The report of a run: one file that shows what happened, whatever became of the run."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import minegan_zoo as mz
from minegan_zoo.config import Choice, RunConfig, SourceChoice
from minegan_zoo.records import MetricRecord
from minegan_zoo.report import write_report

RECORD = MetricRecord(
    metric="fid", value=0.0, std=None, tool="torch-fidelity 0.4.0", settings={},
    extractor="fashion-mnist-32",
    extractor_sha256="ab" * 32,
    resize="pillow-lanczos, centre crop",
    quantisation="uint8",
    real_name="boots-test",
    real_digest="cd" * 32,
    real_count=500,
    fake_count=1000,
    trained_on=0,
    seed=0,
    device="cpu",
)  # fmt: skip


class RunFolder:
    """A run folder, written event by event as the trainer does."""

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.path, self.config = path, config
        (path / "samples").mkdir(parents=True)
        (path / "config.toml").write_text(config.to_toml(), "utf-8")

    def event(self, kind: str, step: int, facts: Mapping[str, Any]) -> None:
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": kind, "step": step, **facts}) + "\n")

    def samples(self, name: str, step: int, colour: int, side: int = 166, **facts: Any) -> None:
        file = f"samples/{step:08d}-{name}.png"
        Image.new("RGB", (side, side), (colour, colour, 255 - colour)).save(self.path / file)
        self.event("samples", step, {"file": file, **facts})

    def step(self, stage: str, step: int, p: Sequence[float], loss: float = 1.0) -> None:
        scores = {"real_score": 0.5, "fake_score": -0.5, "penalty": 0.1}
        losses = {"critic_loss": loss, "miner_loss": 0.5 * loss, "seconds": 0.25, "images_per_second": 128.0}
        self.event("step", step, {"stage": stage, **losses, **scores, "critic_updates": step, "p": list(p)})

    def measure(self, step: int, value: float, name: str = "fid", trained_on: int | None = 0, **facts: Any) -> None:
        record = dataclasses.replace(RECORD, metric=name, value=value, trained_on=trained_on)
        self.event("evaluation", step, {**facts, "metrics": {name: record.as_dict()}})

    def finish(self, p: Sequence[float]) -> None:
        (self.path / "model").mkdir()
        sources = [{**dataclasses.asdict(choice), "mined": False} for choice in self.config.sources]
        image = {"channels": 1, "resolution": 32}
        facts = {"sources": sources, "image": image, "mined": True, "recipe": {"adopted": 0}, "probabilities": list(p)}
        (self.path / "model" / "model.json").write_text(json.dumps(facts), "utf-8")

    def report(self) -> str:
        return write_report(self.path).read_text("utf-8")


def mining_run(path: Path, names: Sequence[str], p: Sequence[float], **settings: Any) -> RunFolder:
    """A finished run of both stages, 20 steps each."""
    run = RunFolder(path, RunConfig(tuple(map(SourceChoice, names)), "photos/boots", steps=40, **settings))
    run.samples("target", 0, 10, of="target")
    for index in range(len(names)):
        run.samples(f"before-source-{index}", 0, 20 + index, of="before", source=index)
        run.measure(0, 100.0 + index, stage="before", source=index)
    for step in range(10, 41, 10):
        stage = "mine" if step <= 20 else "finetune"
        run.step(stage, step, p)
        if step % 20 == 0:
            run.samples(stage, step, 100 + step, of="end", stage=stage)
            for index in range(len(names)) if len(names) > 1 else ():
                run.samples(f"{stage}-source-{index}", step, 150 + index, of="source", stage=stage, source=index)
            run.measure(step, 60.0 - step, stage=stage)
    run.finish(p)
    return run


def text_of(page: str) -> str:
    """What a reader reads, as one line."""

    class Reader(HTMLParser):
        words: list[str]
        hidden = False

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.hidden = tag == "style"

        def handle_data(self, data: str) -> None:
            if not self.hidden:
                self.words.append(data)

    reader = Reader()
    reader.words = []
    reader.feed(page)
    return " ".join(" ".join(reader.words).split())


def captions(page: str) -> list[str]:
    return re.findall(r'<img [^>]*alt="([^"]*)"', page)


def test_everything_is_in_one_file(tmp_path: Path) -> None:
    page = mining_run(tmp_path / "run", ["biggan.tops", "progan.shoes"], [0.1, 0.9]).report()
    assert not re.search(r"<(script|link|iframe|object)\b|@import|\burl\(", page)
    assert not re.search(r"https?://", page)
    sources = re.findall(r'<img src="([^"]*)"', page)
    assert len(sources) == 4 + 2 * 3 and all(source.startswith("data:image/png;base64,") for source in sources)
    target = (tmp_path / "run/samples/00000000-target.png").read_bytes()
    assert base64.b64decode(sources[0].partition(",")[2]) == target


def test_the_story_is_told_in_order(tmp_path: Path) -> None:
    page = mining_run(tmp_path / "run", ["biggan.tops", "progan.shoes"], [0.1, 0.9]).report()
    story = [
        "Target: images it learned from",
        "Before: progan.shoes",
        "Mined: after step 20",
        "Finetuned: after step 40",
    ]
    assert captions(page)[:4] == story
    assert captions(page)[4:] == ["Before", "Mined", "Finetuned"] * 2
    text = text_of(page)
    assert "A generator for boots, mined from biggan.tops and progan.shoes." in text
    assert "source: starts as the discriminator of biggan.tops" in text
    assert "10.0 s" in text and "40 steps of 32 images" in text and "128 images/s" in text
    assert "Unfinished" not in text and "training images" not in text


def test_the_table_says_how_it_was_measured(tmp_path: Path) -> None:
    text = text_of(mining_run(tmp_path / "run", ["biggan.tops", "progan.shoes"], [0.1, 0.9]).report())
    rows = "biggan.tops, before 100.0 progan.shoes, before 101.0 after mine 40.0 after finetune 20.0"
    assert rows in text
    assert "100.0 → 20.0" in text
    assert "500 of boots-test (sha256 cdcdcdcdcdcd)" in text
    assert "none of these 500 images, pixel for pixel" in text
    for fact in ("1000, seed 0, uint8", "fashion-mnist-32 (sha256 abababababab)", RECORD.resize, RECORD.tool):
        assert fact in text


def test_fid_on_training_images_is_a_warning(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run", RunConfig((SourceChoice("progan.shoes"),), "boots", steps=10))
    run.step("mine", 10, [1.0])
    run.measure(10, 3.0, name="fid_train", trained_on=500, stage="mine")
    run.finish([1.0])
    page = run.report()
    assert 'class="warning"' in page and "FID is measured on the training images" in page
    assert "All 500 real images" in page and "FID on training images ↓" in page


def test_what_was_not_checked_and_not_seen_is_said(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run", RunConfig((SourceChoice("progan.shoes"),), "boots", steps=10))
    run.step("mine", 10, [1.0])
    record = dataclasses.replace(RECORD, trained_on=None, unseen="colour")
    run.event("evaluation", 10, {"stage": "mine", "metrics": {"fid": record.as_dict()}})
    page = run.report()
    assert "not checked whether training saw any" in page and "colour: what differs in it alone counts" in page


def test_an_unfinished_run_shows_what_there_is(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run", RunConfig((SourceChoice("progan.shoes"),), "boots", steps=1000))
    run.samples("target", 0, 10, of="target")
    assert "Unfinished: step 0 of 1,000" in run.report()
    run.samples("before-source-0", 0, 20, of="before", source=0)
    run.step("mine", 10, [1.0])
    run.samples("mine", 10, 30, of="progress", stage="mine")
    with (run.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"event": "st')  # a kill in the middle of a line
    page = run.report()
    assert "Unfinished: step 10 of 1,000" in page
    assert captions(page)[:3] == ["Target: images it learned from", "Before: progan.shoes", "Mined: so far, step 10"]
    (run.path / "failed").mkdir()
    assert "The loss became non-finite" in run.report()


def test_a_fresh_folder_has_a_report(tmp_path: Path) -> None:
    sources = (SourceChoice("progan.shoes"), SourceChoice("biggan.tops"))
    page = RunFolder(tmp_path / "run", RunConfig(sources, "boots")).report()
    assert "Unfinished: step 0" in page and "progan.shoes" in page


def test_missing_pictures_are_left_out(tmp_path: Path) -> None:
    run = mining_run(tmp_path / "run", ["progan.shoes"], [1.0])
    (run.path / "samples/00000000-target.png").unlink()
    assert captions(run.report())[0] == "Before: progan.shoes"


def test_pretraining(tmp_path: Path) -> None:
    options: dict[str, Any] = {"resolution": 32, "channels": 1}
    config = RunConfig(
        (SourceChoice("stylegan2", None, options),),
        "my photos",
        strategy=Choice("scratch", {"source_lr": 0.002}),
        critic=Choice("source", {"source": ""}),
        steps=10,
        labels=True,
    )
    run = RunFolder(tmp_path / "run", config)
    run.step("train", 10, [1.0])
    run.samples("train", 10, 30, of="end", stage="train")
    (run.path / "model").mkdir()
    (run.path / "model/source.json").write_text("{}")
    text = text_of(run.report())
    assert "stylegan2, trained from random weights on my photos." in text
    assert "Trained after step 10" in text and "Unfinished" not in text
    assert " Miner " not in text and "Selector" not in text and "generator 0.5" in text
    for word in ("pretrain stylegan2", "--images 'my photos'", "--labels", "--set resolution=32"):
        assert word in text
    assert "--set strategy.source_lr=0.002" in text and "source=" not in text.replace("source_lr=", "")


def test_names_are_text(tmp_path: Path) -> None:
    page = mining_run(tmp_path / "run", ["a<script>alert(1)</script>", 'b" onload="x'], [0.5, 0.5]).report()
    assert "<script" not in page and 'onload="x' not in page
    assert "&lt;script&gt;" in page


def test_equal_names_stay_apart(tmp_path: Path) -> None:
    text = text_of(mining_run(tmp_path / "run", ["progan.shoes", "progan.shoes"], [0.95, 0.05]).report())
    assert "settled on progan.shoes #0" in text


@pytest.mark.parametrize("count", [1, 2, 9, 16])
def test_any_number_of_sources(tmp_path: Path, count: int) -> None:
    names = [f"family{index}.some-long-tag-{index}" for index in range(count)]
    page = mining_run(tmp_path / "run", names, [1 / count] * count).report()
    assert len(captions(page)) == 4 + (3 * count if count > 1 else 0)
    assert all(name in page for name in names)
    assert ("least probable" in page) == (count > 8)
    assert page.count('class="bar') == (count if count > 1 else 0) + (count > 1)


def test_large_grids_are_reduced(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run", RunConfig((SourceChoice("stylegan2.faces"),), "cats", steps=10))
    run.samples("target", 0, 10, side=2000, of="target")
    page = run.report()
    assert 'src="data:image/webp' in page and "max-width: 2160px" in page and "class=crisp" not in page


def test_what_the_run_said_is_shown(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run", RunConfig((SourceChoice("mined"),), "boots"))
    notes = ["skipped broken.png: truncated"] * 25
    start = {"steps": 400, "sources": ["a", "b"], "target_images": 100, "adopted": 1, "device": "cuda", "notes": notes}
    run.event("start", 0, start)
    run.step("mine", 10, [0.7, 0.3])
    text = text_of(run.report())
    assert "step 10 of 400" in text and "100 images (boots)" in text and "mined from a and b" in text
    assert "discriminator of b" in text and "Device cuda" in text
    assert text.count("skipped broken.png: truncated") == 20 and "and 5 more" in text


def test_repeating(tmp_path: Path) -> None:
    run = mining_run(tmp_path / "my run", ["progan.shoes"], [1.0])
    assert "minegan-zoo mine --config '" in text_of(run.report())
    python = RunFolder(tmp_path / "b", RunConfig((SourceChoice("progan.shoes"),), "images given in Python", steps=1))
    text = text_of(python.report())
    assert "call minegan_zoo.mine" in text and "mine --config" not in text


def test_no_run_no_report(tmp_path: Path) -> None:
    with pytest.raises(mz.MineganError, match="holds no run"):
        write_report(tmp_path)


def test_an_unexpected_choice_is_said(tmp_path: Path) -> None:
    expected = text_of(mining_run(tmp_path / "a", ["tops", "shoes"], [0.9, 0.1]).report())
    assert "tops was also the closest to the target before mining (FID 100.0)." in expected
    unexpected = text_of(mining_run(tmp_path / "b", ["tops", "shoes"], [0.1, 0.9]).report())
    assert "another source was closer to the target: tops (FID 100.0 against 101.0)." in unexpected


def test_the_report_of_a_real_run(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (12, 3, 16, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    options = {"samples_every": 1, "log_every": 1, "fid_samples": 8}
    mz.mine(["stylegan2.tiny", "progan.tiny"], images, steps=2, batch=2, out=tmp_path / "run", options=options)
    page = (tmp_path / "run/report.html").read_text("utf-8")
    story = ["Target: images it learned from", "Before", "Mined: after step 1", "Finetuned: after step 2"]
    assert [caption.startswith(start) for caption, start in zip(captions(page), story, strict=False)] == [True] * 4
    text = text_of(page)
    assert "Unfinished" not in text and "FID is measured on the training images" in text
    assert "stylegan2.tiny, before" in text and "after finetune" in text and "Critic's penalty" in text
