"""What a report shows of a run that was watched: copies, warnings, dropped sources, free neurons, endings."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import minegan_zoo as mz
from minegan_zoo.config import RunConfig
from minegan_zoo.report import write_report
from minegan_zoo.settings import Choice, SourceChoice
from minegan_zoo.watch import warnings

Told = tuple[str, int, Mapping[str, Any]]
FINE = {"memorisation": 1.02, "near_copies": 0.06, "diversity": 0.97, "critic_overfit": 0.11, "kid": 0.0123}


def page_of(folder: Path, events: Sequence[Told], sources: Sequence[str] = ("a", "b")) -> str:
    """The report of a run that told these events."""
    config = RunConfig(tuple(map(SourceChoice, sources)), "photos/boots", strategy=Choice("my-own"), steps=40)
    (folder / "samples").mkdir(parents=True)
    (folder / "config.toml").write_text(config.to_toml(), "utf-8")
    lines = [json.dumps({"event": kind, "step": step, **facts}) for kind, step, facts in events]
    (folder / "metrics.jsonl").write_text("\n".join(lines), "utf-8")
    for kind, step, facts in events:
        if kind == "samples":
            Image.new("L", (16, 16), step).save(folder / facts["file"])
    return write_report(folder).read_text("utf-8")


def start(**facts: Any) -> Told:
    return "start", 0, {"steps": 40, "sources": ["a", "b"], "target_images": 32, "mines": True, **facts}


def steps(stage: str, *numbers: int, p: Sequence[float] = (0.7, 0.3)) -> Iterator[Told]:
    for step in numbers:
        yield "step", step, {"stage": stage, "critic_loss": 1.0, "seconds": 0.1, "p": list(p)}


def looks(found: Mapping[int, Mapping[str, float]]) -> list[Told]:
    """Watch events: step -> what differs from a run that does well."""
    told: list[Told] = []
    for step, changed in found.items():
        facts = {**FINE, **changed}
        told.append(("watch", step, {"stage": "mine", **facts, "warnings": warnings(facts)}))
    return told


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)).split())


def asides(page: str) -> list[str]:
    return [text_of(found) for found in re.findall(r'<aside class="warning">.*?</aside>', page, re.DOTALL)]


def test_a_watched_run_shows_its_numbers(tmp_path: Path) -> None:
    page = page_of(tmp_path / "run", [start(held_out=8), *steps("mine", 10, 20), *looks({10: {}, 20: {}})])
    text = text_of(page)
    for words in (
        "Distance to training images 1.02 1 = as held-out images",
        "8 images were held out to compare them with",
        "8 of the target's images: they judge, training never sees them",
        "A generator for 32 images (boots), mined from a and b.",
    ):
        assert words in text
    for title in ("Nearest training image", "Diversity", "Overfitting of the critic", "Near copies", "KID"):
        assert f'aria-label="{title}:' in page
    assert re.findall(r'<i class="meaning"[^>]*>([^<]*)', page) == [
        "as held-out images", "as the target", "full", "as real images",
    ]  # fmt: skip
    for last in ("1.02", "0.97", "0.11", "0.06", "0.0123"):
        assert f"<span>{last}</span>" in page
    assert len(asides(page)) == 1  # unfinished, nothing else
    assert not re.search(r"<script|https?://", page)


def test_without_held_out_images(tmp_path: Path) -> None:
    events = [start(held_out=0), *steps("mine", 10), ("watch", 10, {"memorisation_loo": 0.5, "diversity": 1.1})]
    page = page_of(tmp_path / "run", events)
    assert "Distance to training images 0.50 1 = as among themselves" in text_of(page)
    assert "No image was held out" in page and "as training images" in page
    assert "Overfitting" not in page and 'aria-label="KID' not in page


def test_warnings_that_hold_and_that_passed(tmp_path: Path) -> None:
    troubles = {10: {"diversity": 0.4}, 20: {"diversity": 0.5, "memorisation": 0.6}, 30: {"memorisation": 0.5}}
    page = page_of(tmp_path / "run", [start(held_out=8), *steps("mine", 10, 20, 30), *looks(troubles)])
    copying, unfinished = asides(page)
    assert copying.startswith("Samples copy the training images They lie at 0.50 of the distance")
    assert "strategy.source_lr." in copying and "Unfinished" in unfinished
    text = text_of(page)
    assert "Samples copy the training images from step 20 to 30" in text
    assert "Diversity collapsed from step 10 to 20, not after it : Samples differ 0.50 times" in text


def test_the_last_audit_is_shown(tmp_path: Path) -> None:
    pairs = [
        ("samples", step, {"file": f"samples/{step:08d}-mine-nearest.png", "of": "nearest", "stage": "mine"})
        for step in (10, 20)
    ]
    page = page_of(tmp_path / "run", [start(), *steps("mine", 10, 20), *looks({10: {}, 20: {}}), *pairs])
    last = base64.b64encode((tmp_path / "run/samples/00000020-mine-nearest.png").read_bytes()).decode()
    assert page.count("<img") == 1 and last in page
    assert 'alt="Nearest to training images: step 20"' in page


def test_dropped_sources_are_marked(tmp_path: Path) -> None:
    told = [*steps("mine", 10, 20), ("dropped", 20, {"source": 1}), *steps("mine", 30, 40, p=(1.0, 0.0))]
    page = page_of(tmp_path / "run", [start(), *told])
    assert text_of(page).count("dropped at step 20 with probability 0.30") == 2  # beside its bar and over its pictures
    (cross,) = re.findall(r'class="cross c1" style="left: ([\d.]+)%; top: ([\d.]+)px"', page)
    assert cross == ("50.0", "140.0")  # step 20 of 40, probability 0.3
    assert "×: dropped" in page
    same = [*steps("mine", 10), ("dropped", 20, {"source": 1}), *steps("mine", 20, 30, p=(1.0, 0.0))]
    assert text_of(page_of(tmp_path / "same", [start(), *same])).count("step 20 with probability 0.30") == 2
    at_once = [("dropped", 10, {"source": 1}), *steps("mine", 10, p=(1.0, 0.0))]
    assert "dropped at step 10 with" not in text_of(page_of(tmp_path / "at_once", [start(), *at_once]))
    whole = page_of(tmp_path / "whole", [start(), *steps("mine", 10, 20)])
    assert "dropped at" not in text_of(whole) and "×:" not in whole


def test_free_neurons_of_each_layer(tmp_path: Path) -> None:
    free = {"sources/0/mapping.0": 0.25, "sources/0/b4.conv": 1.0, "sources/1/linear": 0.0}
    told: list[Told] = [start(), ("stage", 0, {"stage": "mine", "summary": {}}), *steps("mine", 10)]
    told += [("stage", 10, {"stage": "tune", "summary": {"free": free}}), *steps("tune", 20)]
    text = text_of(page_of(tmp_path / "run", told))
    assert "bit for bit. a mapping.0 25% b4.conv 100% b linear 0%" in text


def test_what_a_strategy_says_of_a_stage(tmp_path: Path) -> None:
    summary = {"kernels": 400, "mean_fisher": 0.00012345, "free": {"sources/0/conv": 0.5}}
    told = [
        start(),
        ("stage", 0, {"stage": "mine", "summary": {}}),
        ("stage", 10, {"stage": "tune", "summary": summary}),
    ]
    assert "Strategy my-own tune: kernels 400, mean fisher 0.000123 Miner" in text_of(page_of(tmp_path / "run", told))


def test_how_stages_ended(tmp_path: Path) -> None:
    told: list[Told] = [start(), *steps("mine", 10), ("stage_end", 10, {"stage": "mine", "reason": "plateau"})]
    told += [*steps("tune", 20), ("stage_end", 20, {"stage": "tune", "reason": "steps"}), *steps("polish", 30)]
    text = text_of(page_of(tmp_path / "run", told))
    assert "mine: to step 10, where its rule saw no more improvement" in text
    assert "tune: to step 20, all of its steps polish: to step 30, unfinished" in text


def test_whether_it_mines_is_the_run_s_own_word(tmp_path: Path) -> None:
    text = text_of(page_of(tmp_path / "run", [start(mines=False), *steps("tune", 10)]))
    assert "finetuned from a and b" in text and " Miner " not in text


def test_a_run_that_was_not_watched_has_no_such_sections(tmp_path: Path) -> None:
    text = text_of(page_of(tmp_path / "run", [*steps("mine", 10)]))
    for words in ("New images or copies", "free sub-network", "dropped at", "Held out", "Distance to training images"):
        assert words not in text


def test_a_real_run_is_watched(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (24, 3, 16, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    options = {"watch_every": 1, "log_every": 1, "fid_samples": 0, "strategy.probes": 4}
    out = tmp_path / "run"
    mz.mine("progan.tiny", images, strategy="minegan++", steps=2, batch=2, out=out, options=options)
    page = (out / "report.html").read_text("utf-8")
    text = text_of(page)
    for words in ("New images or copies", "were held out", "Nearest to training images step 2", "The free sub-network"):
        assert words in text
    assert 'aria-label="Nearest training image:' in page
    assert "mine: to step 1, all of its steps finetune: to step 2, all of its steps" in text
