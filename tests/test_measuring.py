"""The command evaluate: what it prints for a mined model and for a source, and what it refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minegan_zoo as mz
from minegan_zoo import cli

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["minegan-zoo", "evaluate", *map(str, arguments), "--device", "cpu"])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, captured.out, " ".join(captured.err.split())

    monkeypatch.chdir(tmp_path)
    return call


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Path]:
    """Two disjoint folders: real images and training images."""
    rng = np.random.default_rng(0)
    for folder in ("real", "training"):
        (tmp_path / folder).mkdir()
        for index in range(6):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((16, 16)).save(tmp_path / folder / f"{index}.png")
    return tmp_path / "real", tmp_path / "training"


def test_a_source_by_name(run: Run, images: tuple[Path, Path]) -> None:
    real, training = images
    code, out, err = run(
        "progan.tiny", "--images", real, "-n", "20", "--seed", "3", "--metric", "kid", "--metric", "memorisation",
        "--training", training, "--extractor", "pixels",
    )  # fmt: skip
    assert code == 0
    header, kid, memorisation = (line.split() for line in out.splitlines())
    assert header == ["metric", "value", "tool", "extractor"]
    assert kid[0] == "kid" and kid[2] == "±" and kid[-1] == memorisation[-1] == "pixels"
    assert memorisation[0] == "memorisation" and float(memorisation[1]) > 0
    assert err == "20 samples, 6 real images of real: 0 trained on, pixel for pixel"
    said = run("progan.tiny", "--images", real, "-n", "20", "--metric", "kid", "--metric", "fid")[2]
    assert "was not checked" in said and "fashion-mnist-32 does not see colour" in said
    assert "FID needs more images than the 64 numbers of fashion-mnist-32, and there are 6" in said


def test_a_mined_folder_gives_the_records_of_the_python_call(run: Run, images: tuple[Path, Path]) -> None:
    real, training = images
    mined = mz.mine("progan.tiny", training, steps=1, batch=2, device="cpu")
    mined.save("model")
    arguments = ("model", "--images", real, "-n", "10", "--seed", "2", "--checkpoint", "last", "--json")
    code, out, _ = run(*arguments, "--metric", "class_accuracy", "--class", "bag", "--class", "9")
    assert code == 0
    wanted = mz.evaluate(
        mined, real, metrics=("class_accuracy",), samples=10, seed=2, classes=("bag", "9"), checkpoint="last",
        device="cpu",
    )  # fmt: skip
    assert json.loads(out) == {name: record.as_dict() for name, record in wanted.items()}


def test_mistakes_are_one_line(run: Run, images: tuple[Path, Path]) -> None:
    real, training = images
    for arguments, what in (
        (["--metric", "fidd"], "did you mean fid"),
        (["--training", real], "6 of 6 real images of real were trained on"),
        (["--metric", "memorisation"], "give them as training"),
        (["--extractor", "pixel"], "did you mean pixels"),
    ):
        code, out, err = run("progan.tiny", "--images", real, "-n", "4", *arguments)
        assert (code, out) == (1, "") and err.startswith("error: ") and what in err
    allowed = run("progan.tiny", "--images", real, "-n", "4", "--training", real, "--allow-training")
    assert allowed[0] == 0 and "fid_train" in allowed[1] and "6 trained on" in allowed[2]
    assert run("nothing-there", "--images", training)[0] == 1
