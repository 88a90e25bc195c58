"""The committed rows of the quality benchmark: of which weights and settings they are."""

from __future__ import annotations

import hashlib
import signal
import sys
from pathlib import Path

import pytest

from benchmarks.quality.__main__ import main
from benchmarks.quality.page import mixed_sources
from benchmarks.quality.places import RESULTS, Places
from benchmarks.quality.protocol import PROTOCOLS, UNTAUGHT, Spec
from benchmarks.quality.results import read_results
from benchmarks.quality.sources import PRETRAINED
from benchmarks.quality.training import settings_of
from benchmarks.quality.tuning import read_rates

FULL = PROTOCOLS["full"]


def test_committed_rows_are_of_the_sources_that_come_with_the_project() -> None:
    places = Places(RESULTS, RESULTS, RESULTS, RESULTS)
    results = read_results(FULL, places, read_rates(places))
    ours = {
        name: hashlib.sha256(
            (PRETRAINED / f"{name}-{recipe.digest()}" / "model" / "generator.safetensors").read_bytes()
        ).hexdigest()
        for name, recipe in FULL.recipes.items()
    }
    taught = [each for each in results.found if each.spec.method.partition("+")[0] not in UNTAUGHT]
    assert len(taught) > 200
    assert [each.spec.name for each in taught if each.raw["sources"] != {n: ours[n] for n in each.raw["sources"]}] == []
    assert mixed_sources(results) == []
    assert [each.spec.name for each in results.found if each.stale] == []


def test_a_row_of_ten_images_is_of_the_strategys_own_augmentation() -> None:
    def augmented(method: str, shots: int) -> bool:
        return "[augmentation]" in settings_of(Spec("digits-off", method, shots, 0, 400), FULL)

    assert augmented("minegan", 10) and augmented("minegan++", 10)
    assert not augmented("minegan", 100) and not augmented("transfergan", 10)
    assert not augmented("minegan-paper", 10)


def test_a_row_is_of_the_codes_that_its_strategy_mines() -> None:
    def per_layer(task: str, method: str, shots: int = 100) -> bool:
        return "per_layer" in settings_of(Spec(task, method, shots, 0, 400), FULL)

    assert per_layer("fashion-on", "minegan-noft") and per_layer("fashion-two", "minegan-noft")
    assert not per_layer("fashion-on", "minegan-noft", 10)
    assert not per_layer("digits-on", "minegan-noft") and not per_layer("fashion-on", "minegan")


def test_a_row_is_of_the_scores_that_its_strategy_takes() -> None:
    def relativistic(task: str, method: str, shots: int = 100) -> bool:
        return "relativistic" in settings_of(Spec(task, method, shots, 0, 400), FULL)

    assert relativistic("digits-off", "minegan") and relativistic("digits-on", "minegan-noft")
    assert not relativistic("digits-off", "minegan", 10)
    assert not relativistic("digits-off", "transfergan") and not relativistic("digits-off", "minegan-paper")
    assert not relativistic("fashion-off", "minegan") and not relativistic("digits-two", "minegan")


def test_a_row_is_of_the_width_of_noise_that_its_strategy_draws() -> None:
    def wide(task: str, method: str, source: str = "") -> bool:
        return "psi = 1.12" in settings_of(Spec(task, method, 100, 0, 400, source), FULL)

    assert wide("fashion-off", "minegan") and wide("fashion-two", "minegan", "others")
    assert wide("fashion-off", "transfergan+wide")
    assert not wide("fashion-two", "minegan") and not wide("digits-off", "minegan")
    assert not wide("fashion-off", "minegan-noft") and not wide("fashion-off", "transfergan")
    assert not wide("fashion-off", "minegan-paper")


def test_one_row_of_the_whole_grid_is_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = "fashion-on/minegan-noft-100-s0"
    assert row not in {spec.name for spec in PROTOCOLS["core"].specs({})}
    monkeypatch.setattr(sys, "argv", ["quality", "one", row, "--work", str(tmp_path)])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    main()
    assert f"{row} is there" in capsys.readouterr().out
