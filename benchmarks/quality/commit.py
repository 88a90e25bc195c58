"""Which commit a benchmark measures. Imports nothing of ours."""

from __future__ import annotations

import subprocess
from pathlib import Path


def commit() -> str:
    """The commit that is checked out, with "+" where files differ; what measuring itself writes is no change."""
    own = (":(exclude,top)benchmarks/results", ":(exclude,top)docs")
    changed = _git("status", "--porcelain", "-uno", "--", ":/", *own)
    return _git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    return done.stdout.strip()
