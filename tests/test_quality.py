"""The quality benchmark: splits without overlap, equal budgets, rows that resume, bars, page, lost jobs."""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import json
import shutil
import signal
import struct
import sys
from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import minegan_zoo as mz
from benchmarks.quality import training
from benchmarks.quality.__main__ import main
from benchmarks.quality.images import read_splits
from benchmarks.quality.jobs import Job, run_jobs
from benchmarks.quality.measuring import Together, class_indices
from benchmarks.quality.page import write_page
from benchmarks.quality.performing import is_done, perform, result_path
from benchmarks.quality.places import RESULTS, Places
from benchmarks.quality.protocol import OWN, PROTOCOLS, RIVALS, TASKS, Block, Protocol, Spec
from benchmarks.quality.results import read_results
from benchmarks.quality.sources import Recipe, is_made, make
from minegan_zoo.extractors import load_extractor

TINY = {"resolution": 8, "channels": 1, "z_dim": 4, "channel_base": 32, "channel_max": 4}
RECIPE = Recipe("progan", "MNIST", (0, 1, 2), 2, TINY, batch=4)
PROTOCOL = Protocol(
    (Block(("digits-off",), ("minegan", "bsa"), (30,)),),
    updates=4,
    seeds=(0,),
    samples=16,
    points=2,
    recipes={"digits-0-8": RECIPE},
    second="pixels",
)


def write_digits(root: Path, split: str, count: int, seed: int, first: np.ndarray | None = None) -> np.ndarray:
    """`count` noise images of each class 0 to 9 as torchvision lays MNIST out; `first` stand before the others."""
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 256, (10 * count, 28, 28), dtype=np.uint8)
    if first is not None:
        pixels[: len(first)] = first
    labels = np.repeat(np.arange(10)[None], count, 0).ravel().astype(np.uint8)
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    name = {"train": "train", "test": "t10k"}[split]
    content = struct.pack(">iiii", 2051, len(pixels), 28, 28) + pixels.tobytes()
    (raw / f"{name}-images-idx3-ubyte").write_bytes(content)
    (raw / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">ii", 2049, len(labels)) + labels.tobytes())
    for file in list(raw.glob(f"{name}-*ubyte")):
        (raw / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    return pixels


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """Data and one trained source."""
    folder = tmp_path_factory.mktemp("quality")
    write_digits(folder / "data", "train", 60, 0)
    write_digits(folder / "data", "test", 20, 1)
    found = Places(folder / "data", folder / "cache", folder / "results", folder / "work")
    make("digits-0-8", RECIPE, found.cache, found.data)
    return found


def spec_of(method: str, protocol: Protocol = PROTOCOL) -> Spec:
    return next(spec for spec in protocol.specs({}) if spec.method == method)


def values(result: dict[str, Any], space: int = 0) -> dict[str, float]:
    return {name: record["value"] for name, record in result["spaces"][space]["metrics"].items()}


# Images


def test_the_three_sets_share_no_image(tmp_path: Path) -> None:
    test = write_digits(tmp_path, "test", 10, 1)
    write_digits(tmp_path, "train", 20, 0, first=test[:20])  # two of each class are test images too
    splits = read_splits("MNIST", (3, 7), tmp_path, tmp_path / "cache")
    assert (len(splits.pool), len(splits.validation), len(splits.test)) == (29, 7, 20)  # of 40, less 4; a fifth
    sets = [{row.numpy().tobytes() for row in images} for images in (splits.pool, splits.validation, splits.test)]
    assert all(not one & other for one, other in itertools.combinations(sets, 2))
    again = read_splits("MNIST", (3, 7), tmp_path / "gone", tmp_path / "cache")  # kept after the first time
    assert torch.equal(again.pool, splits.pool) and torch.equal(again.test, splits.test)


def test_a_tasks_classes_are_the_classifiers() -> None:
    names = load_extractor(None, "cpu", logits=True).class_names
    found = {task: [names[index] for index in class_indices(TASKS[task])] for task in ("fashion-two", "digits-two")}
    assert found == {"fashion-two": ["Sneaker", "Bag"], "digits-two": ["4", "5"]}


def test_unmined_sources_are_drawn_from_in_equal_shares() -> None:
    sources = [mz.load_source("progan.tiny"), mz.load_source("progan.tiny")]
    with torch.no_grad():
        for parameter in cast(nn.Module, sources[1]).parameters():
            parameter.zero_()
    drawn = Together(sources).sample(7, seed=0)
    dark = [not image.any() for image in drawn]
    assert dark.count(True) == 3 and dark != sorted(dark)
    assert torch.equal(Together(sources).sample(7, seed=0), drawn)


def test_fewer_shots_are_among_more_and_seeds_differ(places: Places) -> None:
    splits = read_splits("MNIST", (9,), places.data, places.cache)
    few, many, other = (splits.shots(*each).image_digests() for each in ((10, 0), (30, 0), (10, 1)))
    assert len(few) == 10 and few < many and few != other


# Rows


def test_a_source_is_trained_once(places: Places) -> None:
    assert is_made("digits-0-8", RECIPE, places.cache)
    assert not is_made("digits-0-8", dataclasses.replace(RECIPE, steps=3), places.cache)


@pytest.mark.parametrize("method", ["minegan", "bsa"])
def test_a_run_is_measured_on_its_way_and_at_its_end(places: Places, method: str) -> None:
    spec = spec_of(method)
    perform(spec, PROTOCOL, places)
    found = json.loads(result_path(spec, places).read_text())
    assert is_done(spec, PROTOCOL, places)
    assert found["generator_updates"] == 4  # the same budget in whichever updates a method has
    assert found["critic_updates"] == (0 if method == "bsa" else 4)
    assert ("source_lr" in found["stages"][-1]) == (method == "minegan")
    assert {point["updates"] for point in found["over_steps"]} == {0, 2, 4} | ({1} if method == "minegan" else set())
    assert set(values(found)) == set(PROTOCOL.metrics) and set(values(found, 1)) == set(PROTOCOL.second_metrics)
    shared = found["spaces"][0]["shared"]
    assert shared["trained_on"] == 0 and shared["fake_count"] == 16
    assert 20 < shared["training_count"] < 30  # of 30 shots the library holds some out by itself
    assert result_path(spec, places).with_suffix(".webp").is_file()
    assert not is_done(dataclasses.replace(spec, rates=(("source_lr", 1e-3),)), PROTOCOL, places)
    assert not is_done(spec, dataclasses.replace(PROTOCOL, samples=17), places)


def test_an_interrupted_run_goes_on_to_the_same_result(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = dataclasses.replace(spec_of("minegan"), seed=5)
    whole = perform(spec, PROTOCOL, places)
    aside = dataclasses.replace(places, results=tmp_path / "results", work=tmp_path / "work")
    calls = []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        calls.append(len(calls))
        if len(calls) == 3:  # the start, the end of mining, then this
            raise KeyboardInterrupt
        return measured(*arguments, **options)

    measured = training.to_uint8
    monkeypatch.setattr(training, "to_uint8", interrupted)
    with pytest.raises(KeyboardInterrupt):
        perform(spec, PROTOCOL, aside)
    assert not is_done(spec, PROTOCOL, aside)
    again = perform(spec, PROTOCOL, aside)
    assert len(calls) == 5  # only what was missing is trained and measured
    assert again["spaces"] == whole["spaces"] and again["over_steps"] == whole["over_steps"]


def test_rows_without_training(places: Places) -> None:
    of_target = [spec for spec in PROTOCOL.specs({}) if spec.task == "digits-off"]
    replay, other, unmined = (
        perform(next(spec for spec in of_target if spec.method == name), PROTOCOL, places)
        for name in ("replay", "other-real", "unmined")
    )
    assert values(replay)["memorisation"] == 0 and replay["spaces"][0]["shared"]["trained_on"] == 0
    assert "memorisation" not in values(other) and values(other)["fid"] < values(unmined)["fid"]
    assert values(unmined, 1)["fid"] > 0


# Grids


def test_the_core_grid_is_what_was_agreed() -> None:
    specs = [spec for spec in PROTOCOLS["core"].specs({}) if spec.trains]
    found = Counter((spec.task, spec.method, spec.shots) for spec in specs if not spec.source)
    for task in ("digits-off", "fashion-off"):
        for method in ("scratch", "transfergan", "minegan"):
            assert all(found[task, method, shots] == 3 for shots in (10, 100, 1000))
        assert all(found[task, method, 100] == 3 for method in RIVALS)
    assert all(found["digits-off", method, 100] == 3 for method in OWN)
    assert all(found["digits-on", method, 100] == 3 for method in ("minegan-noft", "genda"))
    assert all(found[f"fashion-{cover}", "minegan", 100] == 3 for cover in ("one", "two", "none"))
    assert all(found[f"fashion-{cover}", "minegan-noft", 100] == 3 for cover in ("one", "two", "none"))
    assert all(found["fashion-two", method, 100] == 3 for method in ("minegan/max", "minegan-noft/max"))
    alone = Counter((spec.task, spec.method, spec.source) for spec in specs if spec.source)
    seen = {"fashion-one": ["shoes"], "fashion-two": ["shoes", "others"], "fashion-none": ["tops", "shoes", "others"]}
    methods = ("minegan", "minegan-noft")
    assert alone == {(task, way, one): 3 for task, names in seen.items() for way in methods for one in names}
    own = {spec.task for spec in PROTOCOLS["core"].specs({}) if spec.task.startswith("own-")}
    assert own == {f"own-{name}" for name in ("digits-0-8", "fashion-0-8", "tops", "shoes", "others")}
    for name in ("core", "full", "smoke"):
        every = [spec.name for spec in PROTOCOLS[name].specs({})]
        assert len(every) == len(set(every))
        assert {spec.task for spec in PROTOCOLS[name].specs({})} <= set(TASKS)


# Page


def test_the_page_shows_what_there_is(places: Places, tmp_path: Path) -> None:
    for spec in PROTOCOL.specs({}):
        if not is_done(spec, PROTOCOL, places):
            perform(spec, PROTOCOL, places)
    page = write_page(read_results(PROTOCOL, places, {}), PROTOCOL, places, {}).read_text()
    for text in ("minegan", "bsa", "replay", "other-real", "unmined", "FID over updates", "Quality against diversity"):
        assert text in page
    assert "rows are there" not in page and "made with other settings" not in page
    assert "<h2>Sources</h2>" in page and "progan, MNIST 0, 1, 2, 3, 4, 5, 6, 7, 8, 2 steps" in page
    assert page.count("data:image/webp") == 6 and "http" not in page.replace("http-equiv", "")
    changed = dataclasses.replace(PROTOCOL, points=1)
    assert (
        "2 rows made with other settings"
        in write_page(
            read_results(changed, places, {}), changed, dataclasses.replace(places, results=tmp_path), {}
        ).read_text()
    )
    more = dataclasses.replace(PROTOCOL, seeds=(*PROTOCOL.seeds, 7))
    place = dataclasses.replace(places, results=tmp_path)
    part = write_page(read_results(PROTOCOL, places, {}), more, place, {}).read_text()
    assert f"{len(PROTOCOL.specs({}))} of {len(more.specs({}))} rows are there" in part
    less = dataclasses.replace(changed, blocks=(Block(("digits-off",), ("minegan",), (30,)),))
    beyond = write_page(read_results(changed, places, {}), less, place, {}).read_text()
    assert "<b>1 row made with other settings" in beyond and "rows are there" not in beyond
    assert "Beyond this grid, 1 row made with other settings" in beyond


# Processes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--only", "digits-of/*"], "is no row's name"),
        (["run", "--jobs", "0"], "at least 1"),
        (["sources", "--only", "nope"], "is no source's name; there are digits-0-8"),
        (["source", "nope"], "no source nope; they are named as digits-0-8"),
        (["one", "nope"], "no row nope"),
        (["measure", "ffhq-obama-100"], "a setting's name and the folder"),
        (["measure", "ffhq-obama-100", "no-run"], "no-run"),
    ],
)
def test_a_mistake_ends_with_one_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["quality", *arguments, "--work", str(tmp_path)])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code and said in f"{ended.value.code} {capsys.readouterr().err}"


def test_missing_data_is_said_before_anything_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(root: Path, download: bool) -> None:
        raise RuntimeError("no\nnetwork")

    monkeypatch.setattr(torchvision.datasets, "MNIST", offline)
    arguments = ["--only", "digits-off/bsa-*", "--data-root", str(tmp_path), "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["quality", "run", *arguments])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match=r"no MNIST under .* holds MNIST/raw \(no network\)"):
        main()


def test_what_is_committed_says_how_many_bars_are_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = shutil.copytree(RESULTS, tmp_path / "results")
    monkeypatch.setattr(sys, "argv", ["quality", "page", "--results", str(results)])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    main()
    lines = capsys.readouterr().out.splitlines()
    verdicts = [line.split()[0] for line in lines if line.startswith(("yes ", "NO "))]
    assert f"{verdicts.count('yes')} of {len(verdicts)} bars are reached" in lines
    assert len(verdicts) > 50 and lines[-1] == f"the page: {results / 'index.html'}"


def test_a_failing_job_loses_no_other(tmp_path: Path) -> None:
    jobs = [Job("bad", ["no-such-command"]), Job("good/one", ["--help"]), Job("worse", ["one", "--jobs", "x"])]
    failures = run_jobs(jobs, 2, tmp_path)
    assert sorted(failure.name for failure in failures) == ["bad", "worse"]
    assert "invalid choice" in next(failure.reason for failure in failures if failure.name == "bad")
    assert "usage" in (tmp_path / "good.one.log").read_text()
