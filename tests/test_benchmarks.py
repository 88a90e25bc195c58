"""What the benchmarks of speed keep and say: their page, their comparison with a commit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
RESULTS = BENCHMARKS / "results" / "throughput"


def throughput(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=False)


def test_the_page_of_speeds_is_made_of_the_committed_results() -> None:
    done = throughput("throughput.report", "--check")
    assert done.returncode == 0, done.stderr


def test_comparing_with_the_same_results_finds_nothing() -> None:
    done = throughput("throughput.compare", RESULTS)
    assert (done.returncode, done.stdout) == (0, "nothing became worse\n"), done.stderr


def test_comparing_tells_what_became_worse_and_what_is_gone(tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(RESULTS, base)
    steps = json.loads((base / "steps.json").read_text())
    faster = next(record for record in steps["records"] if record["case"] == "4 sources 32x32, naive / ours")
    faster.update(value=9.0, low=8.9, high=9.1)
    steps["records"].append(faster | {"case": "5 sources 32x32, naive / ours"})
    (base / "steps.json").write_text(json.dumps(steps))
    done = throughput("throughput.compare", base)
    worse, gone = "steps: 4 sources 32x32, naive / ours: 9 ->", "steps: 5 sources 32x32, naive / ours: 9 x -> no longer"
    assert done.returncode == 1 and worse in done.stdout and gone in done.stdout
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize(("base", "reason"), [("no-such-commit", "neither a folder nor a commit"), (".", "no results")])
def test_comparing_with_nothing_is_refused(base: str, reason: str) -> None:
    done = throughput("throughput.compare", base)
    assert done.returncode == 1 and reason in done.stderr and "Traceback" not in done.stderr
