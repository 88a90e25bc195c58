"""The pages that benchmarks write: they say what the committed results say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_page_of_speeds_is_made_of_the_committed_results() -> None:
    command = [sys.executable, "-m", "throughput.report", "--check"]
    done = subprocess.run(command, cwd=ROOT / "benchmarks", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
