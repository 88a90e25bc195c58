"""The sources of the quality benchmark that come with the project."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from benchmarks.quality import __main__ as quality
from benchmarks.quality.measuring import Together
from benchmarks.quality.page import mixed_sources
from benchmarks.quality.protocol import Spec
from benchmarks.quality.results import Result, Results
from benchmarks.quality.sources import RECIPES, choice, is_taken, run_folder
from minegan_zoo.saved import open_any


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the jobs that a command would have started."""
    found: list[str] = []
    monkeypatch.setattr(quality, "run_jobs", lambda jobs, *_: found.extend(job.name for job in jobs) or [])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return found


def carry_out(monkeypatch: pytest.MonkeyPatch, cache: Path, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["quality", *arguments, "--cache", str(cache), "--work", str(cache / "work")])
    with pytest.raises(SystemExit) as ended:
        quality.main()
    return ended.value.code


def test_the_projects_own_are_taken(asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert carry_out(monkeypatch, tmp_path, "sources", "--full") == 0 and not asked
    assert all(is_taken(name, recipe, tmp_path) for name, recipe in RECIPES.items())
    choices = [choice(name, recipe, tmp_path) for name, recipe in RECIPES.items()]
    drawn = Together([source for one in choices for source in open_any(one.name, one.weights)])
    assert drawn.sample(16, seed=0).isfinite().all()
    told = carry_out(monkeypatch, tmp_path, "sources", "--only", "tops", "--full", "--pretrain")
    assert told == f"error: {tmp_path} holds the project's own tops: name another --cache" and not asked
    (run_folder("tops", RECIPES["tops"], tmp_path) / "config.toml").touch()  # as if it had been trained there
    assert carry_out(monkeypatch, tmp_path, "sources", "--only", "tops", "--full", "--pretrain") == 0 and not asked


def test_others_are_trained(asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert carry_out(monkeypatch, tmp_path, "sources", "--full", "--pretrain") == 0
    assert sorted(asked) == sorted(f"source {name}" for name in RECIPES)
    asked.clear()
    assert carry_out(monkeypatch, tmp_path, "sources", "--smoke", "--only", "tops") == 0
    assert asked == ["source tops"], "a recipe that the project has not trained"
    told = carry_out(monkeypatch, tmp_path, "page", "--pretrain")
    assert told == "error: --pretrain is for run, sources and tune, not for page"


def test_what_has_begun_to_be_trained_goes_on(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, killed = (run_folder(name, RECIPES[name], tmp_path) for name in ("tops", "shoes"))
    begun.mkdir()
    (begun / "config.toml").touch()
    (killed / ".model-left").mkdir(parents=True)  # of a process that was killed while it copied
    assert carry_out(monkeypatch, tmp_path, "sources", "--full") == 0
    assert asked == ["source tops"] and is_taken("shoes", RECIPES["shoes"], tmp_path)


def test_a_single_row_takes_its_source(asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.quality.performing.perform", lambda spec, *_: asked.append(spec.name))
    arguments = ["digits-off/minegan-100-s0", "--results", str(tmp_path / "results")]
    monkeypatch.setattr(sys, "argv", ["quality", "one", *arguments, "--cache", str(tmp_path)])
    quality.main()
    assert asked == ["digits-off/minegan-100-s0"] and is_taken("digits-0-8", RECIPES["digits-0-8"], tmp_path)
    monkeypatch.setattr("benchmarks.quality.sources.PRETRAINED", tmp_path / "none")
    told = carry_out(monkeypatch, tmp_path / "empty", "one", *arguments)
    assert told == "error: digits-off/minegan-100-s0 needs the source digits-0-8: `source digits-0-8` trains it"


def test_other_weights_of_a_source_are_told(tmp_path: Path) -> None:
    def made_from(method: str, seed: int, digest: str) -> Result:
        raw = {"sources": {"digits-0-8": digest}}
        return Result(Spec("digits-off", method, 100, seed, 400), raw, tmp_path)

    same = [made_from("minegan", 0, "a"), made_from("minegan", 1, "a"), made_from("scratch", 0, "b")]
    assert mixed_sources(Results(same)) == []
    assert mixed_sources(Results([*same, made_from("transfergan", 0, "b")])) == ["digits-0-8"]
