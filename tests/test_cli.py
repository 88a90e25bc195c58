"""The command line: what it lists and explains, and one clear line for every mistake. Training is in test_runs.py."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minegan_zoo import cli, registry
from minegan_zoo.registry import KINDS, Catalogue, Plugin

PROGRAM = Path(sys.executable).with_name("minegan-zoo")


@dataclass
class Finished:
    code: int
    out: str
    err: str


Run = Callable[..., Finished]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """run(arguments) calls the console script in this process, in a folder of its own."""

    def call(*arguments: str | Path) -> Finished:
        monkeypatch.setattr(sys, "argv", ["minegan-zoo", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return Finished(end.value.code, captured.out, captured.err)

    monkeypatch.chdir(tmp_path)
    return call


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for index, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


# Looking


@pytest.mark.parametrize("arguments", [["mine", "--help"], ["list"], ["info", "stylegan2.tiny"]])
def test_looking_imports_no_torch(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", str(PROGRAM), *arguments]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in finished.stderr.splitlines()}
    assert "minegan_zoo" in imported
    assert imported.isdisjoint({"torch", "numpy", "PIL", "timm", "kornia", "torchvision"})
    assert finished.stdout


def test_list_shows_every_kind_or_one_kind_by_pattern(run: Run) -> None:
    everything = run("list")
    assert (everything.code, everything.err) == (0, "")
    rows = [line.split()[:2] for line in everything.out.splitlines()]
    assert ["generators", "stylegan2.tiny"] in rows and ["miners", "mlp"] in rows
    assert {row[0] for row in rows} == {"kind", *KINDS}
    some = run("list", "generators", "stylegan2*")
    names = [line.split()[1] for line in some.out.splitlines()[1:]]
    assert "stylegan2" in names and all(name.startswith("stylegan2") for name in names)


def test_list_as_json_is_the_same_list(run: Run) -> None:
    rows = json.loads(run("list", "--json").out)
    assert {row["kind"] for row in rows} == set(KINDS)
    assert {"kind": "miners", "name": "mlp", "summary": registry.miners.info("mlp").summary} in rows
    assert json.loads(run("list", "miners", "nothing*", "--json").out) == []


def test_info_shows_options_latents_and_image(run: Run) -> None:
    shown = run("info", "stylegan2.tiny")
    version = registry.generators.info("stylegan2.tiny").version
    for words in ("16x16", "z: (32,) normal", "truncation: float = 1.0", f"stylegan {version}"):
        assert words in shown.out
    assert all(line == line.rstrip() for line in shown.out.splitlines())
    about = run("info", "ada").out
    assert "how many real images p takes from 0 to 1" in about and about.count("Adaptive augmentation") == 1
    facts = json.loads(run("info", "mlp", "--json").out)
    assert facts["kind"] == "miner"
    assert "width: int = 128" in facts["options"]


def test_plugins_shows_who_failed_and_why_word_by_word(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "FileNotFoundError: [Errno 2] No such file: 'a[bold].so'"
    failed = Plugin("bad", "bad_module", "bad-dist", "2.0", (), reason)
    monkeypatch.setattr(registry, "catalogue", lambda: Catalogue((failed,), {kind: {} for kind in KINDS}))
    shown = run("plugins")
    assert shown.code == 0
    assert f"bad     bad-dist 2.0  {reason}" in shown.out
    assert json.loads(run("plugins", "--json").out)[0]["error"] == reason


# Mistakes


MINE = ["mine", "stylegan2.tiny", "--target", "images", "--steps", "4", "--batch", "4", "--device", "cpu"]
RUN = ["--out", "run"]
MISTAKES = {
    "an empty folder": ([*MINE, *RUN, "--target", "empty"], ["no images in empty", "it is empty"]),
    "no readable image": ([*MINE, *RUN, "--target", "bad"], ["no readable image in bad", "torn.png"]),
    "no such target": ([*MINE, *RUN, "--target", "nowhere"], ["nowhere does not exist"]),
    "an unknown source": (["mine", "stylegan2.tinny", *MINE[2:], *RUN], ["'stylegan2.tinny'", "'stylegan2.tiny'"]),
    "a family without weights": (["mine", "progan", *MINE[2:], *RUN], ["progan=PATH"]),
    "weights that are not there": (["mine", "progan=no.pt", *MINE[2:], *RUN], ["no.pt"]),
    "an unknown miner": ([*MINE, *RUN, "--miner", "mpl"], ["unknown miner 'mpl'", "'mlp'"]),
    "an unknown option": ([*MINE, *RUN, "--set", "widht=3"], ["'widht'", "miner.width: int = 128"]),
    "an unknown option of a part": ([*MINE, *RUN, "--set", "miner.widht=3"], ["'widht'", "width: int = 128"]),
    "a value of the wrong type": ([*MINE, *RUN, "--set", "miner.width=wide"], ["must be int, not 'wide'"]),
    "a setting without value": ([*MINE, *RUN, "--set", "width"], ["KEY=VALUE", "'width'"]),
    "no steps": ([*MINE, *RUN, "--steps", "0"], ["steps must be at least 1"]),
    "an unknown device": ([*MINE, *RUN, "--device", "gpu"], ["cpu or cuda", "'gpu'"]),
    "no run folder": (MINE, ["--out"]),
    "no target": (["mine", "stylegan2.tiny", *RUN], ["--target"]),
    "no configuration": (["mine", "--config", "no.toml", *RUN], ["no.toml", "No such file"]),
    "foreign files": ([*MINE, "--out", "images"], ["images exists and is no run folder"]),
    "a file in the way": ([*MINE, "--out", "images/0.png"], ["0.png exists and is no run folder"]),
    "an unknown kind": (["list", "generator"], ["unknown kind 'generator'", "generators"]),
    "an unknown name": (["info", "mpl"], ["unknown name 'mpl'", "'mlp'"]),
    "a name in capitals": (["info", "MLP"], ["unknown name 'MLP'", "'mlp'"]),
    "sampling no model": (["sample", "images"], ["images holds no model", "FAMILY=images"]),
    "looking up a path": (["info", "images"], ["unknown name 'images'", "minegan-zoo inspect"]),
    "mining a path": (["mine", "images/0.png", "--target", "images", *RUN], ["FAMILY=images/0.png"]),
    "sampling a family": (["sample", "progan"], ["progan=PATH"]),
    "sampling nothing": (["sample", "stylegan2.tinny"], ["'stylegan2.tiny'"]),
    "samples as no picture": (["sample", "stylegan2.tiny", "--out", "a.xyz"], ["PNG", "a.png"]),
    "samples in a file": (["sample", "stylegan2.tiny", "--out", "images/0.png/a.png"], ["cannot write samples"]),
    "pretraining no family": (["pretrain", "progann", "--images", "images", *RUN], ["'progann'", "'progan'"]),
    "pretraining nowhere": (["pretrain", "progan", "--images", "images"], ["--out"]),
    "a wrong architecture": (
        ["pretrain", "progan", "--images", "images", *RUN, "--set", "resolution=big"],
        ["'resolution'", "must be int | none, not 'big'"],
    ),
}


@pytest.mark.parametrize(("arguments", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_1(
    run: Run, images: Path, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "torn.png").write_bytes((images / "0.png").read_bytes()[:60])
    before = sorted(tmp_path.rglob("*"))
    finished = run(*arguments)
    assert (finished.code, finished.out) == (1, "")
    (line,) = finished.err.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line
    assert sorted(tmp_path.rglob("*")) == before


def test_a_mistake_in_a_process_of_its_own_shows_no_traceback(tmp_path: Path) -> None:
    command = [str(PROGRAM), "mine", "stylegan2.tiny", "--target", "images", "--out", "run", "--set", "widht=3"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr.startswith("error: ") and len(finished.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errno.ENOSPC, "error: the disk is full (metrics.jsonl: No space left on device)"),
        (errno.EFBIG, "error: the disk is full (metrics.jsonl: File too large)"),
        (errno.EACCES, "error: metrics.jsonl: Permission denied"),
    ],
)
def test_what_the_system_refuses_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, error: int, words: str) -> None:
    def refuse() -> None:
        raise OSError(error, os.strerror(error), "metrics.jsonl")

    monkeypatch.setattr(registry, "plugins", refuse)
    finished = run("plugins")
    assert finished.code == 1
    assert finished.err.startswith(words) and len(finished.err.splitlines()) == 1


def test_ctrl_c_in_any_command_is_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "plugins", interrupt)
    finished = run("plugins")
    assert (finished.code, finished.out) == (130, "")
    assert "interrupted" in finished.err


def test_a_wrong_call_shows_the_usage(run: Run) -> None:
    for arguments in (["mine", "--nonsense"], ["sample", "x", "-n", "0"], ["no-such-command"]):
        finished = run(*arguments)
        assert finished.code == 2
        assert "Usage" in finished.err


# Sources as they are, and runs that are only checked


def test_a_source_is_sampled_by_name_and_a_seed_repeats_it(run: Run, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 1), ("other", 2)):
        finished = run("sample", "progan.tiny", "-n", "4", "--seed", seed, "--out", name, "--device", "cpu")
        assert finished.code == 0
        assert f"wrote {name}.png" in finished.err
    one, two, other = ((tmp_path / f"{name}.png").read_bytes() for name in ("one", "two", "other"))
    assert one == two != other
    assert Image.open(tmp_path / "one.png").size == (2 * 17 + 1, 2 * 17 + 1)


def test_the_folder_of_a_run_that_pretrained_is_its_source_everywhere(run: Run, images: Path, tmp_path: Path) -> None:
    small = [f"--set={name}=16" for name in ("resolution", "z_dim", "channel_base", "channel_max")]
    assert run("pretrain", "progan", "--images", images, "--out", "own", "--steps", "1", *small).code == 0
    grids = []
    for name in ("own", "own/model", "progan=own/model"):
        assert run("sample", name, "-n", "4", "--seed", "1", "--out", "grid.png", "--device", "cpu").code == 0
        grids.append((tmp_path / "grid.png").read_bytes())
        shown = run("mine", name, "--target", "images", *RUN, "--dry-run")
        assert shown.code == 0 and 'name = "progan", weights = "own/model"' in shown.out
    assert len(set(grids)) == 1
    assert json.loads(run("inspect", "own", "--json").out) == json.loads(run("inspect", "own/model", "--json").out)


def test_a_dry_run_shows_what_it_would_do_and_leaves_nothing(run: Run, images: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    shown = run(*MINE, *RUN, "--dry-run", "--set", "miner.width=8")
    assert shown.code == 0
    for words in ("steps = 4", "width = 8", "# 4 target images from images", "# stage mine: 1 steps", "finetune: 3"):
        assert words in shown.out
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "run.toml").write_text(shown.out)
    again = run("mine", "--config", "run.toml", "--dry-run", "--steps", "10", "--strategy", "transfergan")
    assert again.code == 0
    assert "# stage finetune: 10 steps" in again.out and "width = 8" in again.out


def test_every_strategy_can_be_tried_dry(run: Run, images: Path) -> None:
    for name in sorted(set(registry.strategies.list()) - {"stages"}):  # which wants stages written
        shown = run(*MINE, *RUN, "--dry-run", "--strategy", name)
        assert shown.code == 0 and "# stage " in shown.out, name
        # what `bsa` adds to the loss has weights, which come when it is prepared
        assert ("and what the strategy adds" in shown.out) == (name == "bsa"), name
