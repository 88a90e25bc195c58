"""Tiny files of every checkpoint format, written once."""

from __future__ import annotations

import warnings
from pathlib import Path
from runpy import run_path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Format name -> file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that it cannot store the source of made-up classes
        made: dict[str, Path] = run_path(str(BENCHMARKS / "checkpoint_files.py"))["write_all"](
            tmp_path_factory.mktemp("formats")
        )
    return made
