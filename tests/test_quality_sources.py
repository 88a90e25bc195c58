"""The sources of the quality benchmark that come with the project."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from benchmarks.quality import __main__ as quality
from benchmarks.quality.measuring import Together
from benchmarks.quality.sources import RECIPES, choice
from minegan_zoo.saved import open_any


@pytest.mark.parametrize("trained", [False, True])
def test_the_projects_own_are_taken_unless_asked_otherwise(
    trained: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(quality, "run_jobs", lambda jobs, *_: asked.extend(job.name for job in jobs) or [])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    arguments = ["--full", "--cache", str(tmp_path), "--work", str(tmp_path), *(["--pretrain"] * trained)]
    monkeypatch.setattr(sys, "argv", ["quality", "sources", *arguments])
    with pytest.raises(SystemExit, match="0"):
        quality.main()
    assert asked == ([f"source {name}" for name in RECIPES] if trained else [])
    if not trained:
        choices = [choice(name, recipe, tmp_path) for name, recipe in RECIPES.items()]
        drawn = Together([source for one in choices for source in open_any(one.name, one.weights)])
        assert drawn.sample(16, seed=0).isfinite().all()
