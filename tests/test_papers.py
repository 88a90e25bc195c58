"""The run files of the literature execute as they are, on tiny checkpoints of the same formats and noise for images."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality import literature
from minegan_zoo import cli, registry
from minegan_zoo.config import RunConfig
from minegan_zoo.metrics import METRICS
from minegan_zoo.weights.cache import cached_path

PLUGINS = Path(__file__).parent.parent / "plugins"
STAND_INS = {
    "stylegan2.rosinality-ffhq-256": "minegan-zoo-stylegan/tests/golden/stylegan2-rosinality-32/000100.pt",
    "stylegan2": "minegan-zoo-stylegan/tests/golden/stylegan2-rosinality-32/stylegan2.pt",
    "stylegan.ffhq-256": "minegan-zoo-stylegan/tests/golden/stylegan1-rosinality-128/train_step-5.model",
    "progan.celebahq-256": "minegan-zoo-progan/tests/golden/pgan-fb-32/model.pth",
    "biggan.imagenet-128": "minegan-zoo-biggan/tests/golden/biggan-ajbrock-32",
}
"""A tiny random network in the format that each source's weights come in."""
SETTINGS = {each.name: each for each in literature.settings()}


def lay_out(name: str, folder: Path, count: int = 5) -> None:
    """What the card asks for, in small: so many images a class."""
    config = RunConfig.read(SETTINGS[name].run)
    for source in config.sources:
        stand_in = PLUGINS / STAND_INS[source.name]
        card = registry.generators.info(source.name).card
        place = folder / source.weights if source.weights else cached_path(card.weights if card else "")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(stand_in, place) if stand_in.is_dir() else shutil.copy(stand_in, place)
    classes = ("alley", "lobby") if config.labels else ("",)
    for seed, place in enumerate([config.target] + ([config.test] if config.test else [])):
        images = folder / "images" if place.endswith(".zip") else folder / place
        for number, class_name in enumerate(classes):
            (images / class_name).mkdir(parents=True, exist_ok=True)
            draw = np.random.default_rng([seed, number])
            for index in range(count):
                pixels = draw.integers(0, 256, (24, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(images / class_name / f"{index}.png")
        if place.endswith(".zip"):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(folder / place, "w") as archive:
                for file in sorted(images.iterdir()):
                    archive.write(file, file.name)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_file_executes_and_is_measured(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MINEGAN_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    lay_out(name, tmp_path)
    run_file = str(SETTINGS[name].run)
    command = ["minegan-zoo", "mine", "--config", run_file, "--out", "run"]
    quick = ["--steps", "2", "--batch", "2", "--set", "training.trackers=", "--set", "training.watch_every=0"]
    monkeypatch.setattr(sys, "argv", [*command, *quick, "--device", "cpu"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0, capsys.readouterr().err
    ran, written = RunConfig.read(tmp_path / "run" / "config.toml"), RunConfig.read(SETTINGS[name].run).checked()
    found_out = {"critic", "resolution", "noise_dim", "augmentation"}  # the last for five or ten images
    assert set(ran.differences(written)) <= {"steps", "batch", "training"} | found_out
    assert replace(ran.training, psi=None, trackers=written.training.trackers, watch_every=200) == written.training

    offline = [
        replace(recipe, extractor="pixels", samples=4, metrics=[m for m in recipe.metrics if not METRICS[m].lpips])
        for recipe in SETTINGS[name].recipes
    ]
    literature.measure(name, Path("run"), tmp_path / "results", [recipe for recipe in offline if recipe.metrics])
    (result,) = (tmp_path / "results" / name).glob("*.json")
    content = json.loads(result.read_text())
    found = content["records"]
    assert set(content["differs"]) == {"steps", "batch"} and "-other-" in result.name
    left_out = literature.comparison(SETTINGS[name], tmp_path / "results")
    assert all(mine is None for _, _, _, mine, _ in left_out), "another run than the setting's is no number of ours"
    result.write_text(json.dumps(content | {"differs": []}))
    on_training = SETTINGS[name].recipes[0].real == "training"
    assert ("fid_train" in found) == on_training and ("fid" in found) != on_training
    rows = literature.comparison(SETTINGS[name], tmp_path / "results")
    ours = {metric: mine for method, metric, _, mine, _ in rows if method == "minegan" and mine is not None}
    assert ours == pytest.approx({metric: record["value"] for metric, record in found.items()})


@pytest.mark.parametrize(
    ("changed", "other"),
    [
        (["--strategy", "freezed"], set()),
        (["--augmentation", "ada", "--seed", "3"], set()),
        (["--augmentation", "none"], set()),
        (["--miner", "residual"], {"miner"}),
        (["--set", "noise_dim=4"], {"noise_dim"}),
        (["--set", "strategy.source_lr=0.5"], {"strategy"}),
        (["--augmentation", "ada", "--set", "augmentation.target=0.9"], {"augmentation"}),
        (["--resolution", "16"], {"resolution"}),
    ],
)
def test_only_the_settings_own_run_by_a_methods_defaults_counts(
    changed: list[str], other: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out("ffhq-obama-100", tmp_path)
    content = run_and_measure("ffhq-obama-100", changed, tmp_path, monkeypatch)
    assert set(content["differs"]) == {"steps", "batch"} | other
    # it stands in few images, of which the strategy's own choice bears no name
    _, _, chosen = " ".join(changed).partition("--augmentation ")
    plus = f"+{chosen.split()[0]}" if chosen else ""
    assert content["method"] == ("freezed" if "freezed" in changed else "minegan") + plus


@pytest.mark.parametrize(
    ("changed", "other"),
    [
        ([], set()),
        (["--set", "objective.relativistic=false"], {"objective"}),
        (["--strategy", "transfergan"], set()),
        (["--strategy", "transfergan", "--set", "objective.relativistic=true"], {"objective"}),
    ],
)
def test_scores_are_the_methods_own(
    changed: list[str], other: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a ProGAN and no few images `minegan` scores fakes against real ones by itself, plain finetuning does not."""
    monkeypatch.setenv("MINEGAN_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    lay_out("celeba-women-1000", tmp_path, 20)
    content = run_and_measure("celeba-women-1000", changed, tmp_path, monkeypatch)
    assert set(content["differs"]) == {"steps", "batch"} | other


@pytest.mark.parametrize(
    ("changed", "other"),
    [
        ([], set()),
        (["--set", "training.psi=1"], {"training.psi"}),
        (["--strategy", "transfergan"], set()),
        (["--strategy", "transfergan", "--set", "training.psi=1.12"], {"training.psi"}),
    ],
)
def test_samples_are_as_wide_as_the_method_has_them(
    changed: list[str], other: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a BigGAN and no few images `minegan` draws them wider by itself, plain finetuning does not."""
    monkeypatch.chdir(tmp_path)
    lay_out("imagenet-bedroom-1000", tmp_path, 25)
    content = run_and_measure("imagenet-bedroom-1000", changed, tmp_path, monkeypatch)
    assert set(content["differs"]) == {"steps", "batch"} | other


def run_and_measure(name: str, changed: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    quick = ["--steps", "1", "--batch", "2", "--set", "training.trackers=", "--set", "training.watch_every=0"]
    command = ["minegan-zoo", "mine", "--config", str(SETTINGS[name].run), "--out", "run", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [*command, *quick, *changed])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    recipe = replace(SETTINGS[name].recipes[0], extractor="pixels", samples=4, metrics=["fid"])
    content: dict[str, Any] = json.loads(
        literature.measure(name, Path("run"), folder / "results", [recipe]).read_text()
    )
    return content


def test_cards_say_where_everything_comes_from() -> None:
    assert len(SETTINGS) == 12
    for each in SETTINGS.values():
        config = RunConfig.read(each.run).checked()
        places = {data["place"] for data in each.data}
        assert {config.target} | ({config.test} if config.test else set()) == places
        assert {source.weights or "" for source in config.sources} == {weights["place"] for weights in each.weights}
        assert all(entry["origin"] for entry in [*each.data, *each.weights])
        assert {metric for recipe in each.recipes for metric in recipe.metrics} <= set(METRICS)
        assert all(row.source and row.value > 0 for row in each.published)
