"""What a run tells its user beside its numbers: on the console, in its notes, in metrics.jsonl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import minegan_zoo as mz
from minegan_zoo.recorder import read_events

QUICK: dict[str, Any] = {"training.log_every": 1, "miner.width": 8}


def squares(n: int, size: int = 16) -> Tensor:
    """Images (n, 3, size, size), uint8, all different."""
    return torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_a_single_target_image_is_trained_on_and_not_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mz.mine("progan.tiny", squares(1), steps=2, batch=2, out=tmp_path / "run", options=QUICK)
    assert "has a single image, and FID and KID need at least 2" in capsys.readouterr().err
    events = read_events(tmp_path / "run")
    assert not [event for event in events if event["event"] == "evaluation"]
    assert (tmp_path / "run" / "report.html").is_file()
    test = squares(3)[1:]
    mz.mine("progan.tiny", squares(1), test=test, steps=1, batch=2, out=tmp_path / "other", options=QUICK)
    assert [event for event in read_events(tmp_path / "other") if event["event"] == "evaluation"]
    assert "single image" not in capsys.readouterr().err
