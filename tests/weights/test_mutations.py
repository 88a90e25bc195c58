"""A thousand damaged files: each loads or is refused; none runs anything, hangs or takes much memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).parents[2] / "benchmarks" / "fuzz_checkpoints.py"
MUTATIONS = 200


def test_damaged_files(files: dict[str, Path]) -> None:
    """The script watches audit events, caps the address space and times every reading."""
    command = [sys.executable, str(FUZZ), "--mutations", str(MUTATIONS), *map(str, files.values())]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) * MUTATIONS == 1000
    assert all(result["loads"] > 0 and result["refused"] > MUTATIONS / 4 for result in results)
    assert all(result["grown_mib"] < 64 for result in results)
