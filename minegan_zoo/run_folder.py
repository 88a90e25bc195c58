"""What the files of a run folder are called: one place for those that write and read them. Imports nothing of ours."""

from __future__ import annotations

from pathlib import Path

CONFIG = "config.toml"
"""The resolved configuration: enough to repeat the run."""
METRICS = "metrics.jsonl"
"""One event a line: start, stage, step, rule, samples, evaluation, watch, dropped,
stage_end."""
SAMPLES = "samples"
STATE = "state"
"""What the run goes on from."""
FAILED = "failed"
"""A state and its batch, written where the loss became non-finite."""
MODEL = "model"
"""The mined model, or the source that was pretrained."""
REPORT = "report.html"

IN_PYTHON = "images given in Python"
"""What a configuration says of images that no path names."""


def short_name(reference: str) -> str:
    """A source's name without the folders that lead there; of a run's model, the run's."""
    path = Path(reference)
    return (path.parent.name if path.name == MODEL else path.name) or reference
