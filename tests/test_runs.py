"""Runs as their users start them, in processes of their own: mine, sample, mine again, pretrain, stop and resume."""

from __future__ import annotations

import dataclasses
import errno
import functools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minegan_zoo as mz
from minegan_zoo.config import RunConfig
from minegan_zoo.contracts import MineganError
from minegan_zoo.recorder import read_events
from minegan_zoo.results import Results
from minegan_zoo.running import run
from minegan_zoo.sampling import sample_images, write_samples

PROGRAM = str(Path(sys.executable).with_name("minegan-zoo"))
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
QUICK = ["--batch", "4", "--device", "cpu", "--set", "fid_samples=0", "--set", "miner.width=8", "--set", "log_every=1"]
CORRUPT = "nested/broken [copy].png"

Finished = subprocess.CompletedProcess[str]


def minegan_zoo(folder: Path, *arguments: Any, prepare: Callable[[], None] | None = None) -> Finished:
    """Run the console script in `folder`; `prepare` is called in the new process first."""
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=prepare,
    )


def succeeded(finished: Finished) -> str:
    """What a run that went well told."""
    assert finished.returncode == 0, finished.stderr
    assert "Traceback" not in finished.stderr
    return finished.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds `images`: nine real ones of every kind and size, one that is broken, and a note."""
    folder = tmp_path_factory.mktemp("place")
    images = folder / "images"
    (images / "nested" / "deeper").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (40, 24, 3), dtype=np.uint8)
    rgb = Image.fromarray(noise)
    rgb.save(images / "rgb.png")
    rgb.resize((300, 200)).save(images / "large.jpg")
    rgb.resize((5, 5)).save(images / "small.webp")
    rgb.convert("L").save(images / "nested" / "grey.png")
    rgb.convert("P").save(images / "nested" / "palette.png")
    rgb.convert("1").save(images / "nested" / "bits.png")
    rgb.convert("RGBA").save(images / "nested" / "deeper" / "alpha.PNG")
    rgb.convert("CMYK").save(images / "nested" / "deeper" / "press.jpeg")
    Image.fromarray(noise[..., 0].astype(np.uint16) * 257).save(images / "nested" / "deeper" / "sixteen.png")
    (images / CORRUPT).write_bytes((images / "rgb.png").read_bytes()[:80])
    (images / "notes.txt").write_text("No image.")
    return folder


@pytest.fixture(scope="module")
def mined(place: Path) -> Finished:
    """`place`/mined, a run of two stages over all these images."""
    return minegan_zoo(place, "mine", "stylegan2.tiny", "--target", "images", "--out", "mined", "--steps", 4, *QUICK)


# Mine and sample


def test_mining_names_the_broken_image_once_and_counts_it(mined: Finished) -> None:
    told = succeeded(mined)
    assert told.count(CORRUPT) == 1
    assert told.count("1 of 10 target images could not be read") == 1
    assert "finetune 4/4" in told


def test_a_run_leaves_what_the_readme_promises(place: Path, mined: Finished) -> None:
    succeeded(mined)
    out = place / "mined"
    config = RunConfig.read(out / "config.toml")
    assert (config.steps, config.batch, config.noise_dim, config.resolution) == (4, 4, 32, 16)
    steps = [event for event in read_events(out) if event["event"] == "step"]
    assert [(event["step"], event["stage"]) for event in steps] == [
        (1, "mine"), (2, "finetune"), (3, "finetune"), (4, "finetune")
    ]  # fmt: skip
    pictures = [event["file"] for event in read_events(out) if event["event"] == "samples"]
    assert sorted(pictures) == sorted(f"samples/{path.name}" for path in (out / "samples").iterdir())
    assert list((out / "tensorboard").iterdir()) and list((out / "state").iterdir())
    assert {path.name for path in (out / "model").iterdir()} >= {"model.json", "parts.safetensors", "README.md"}
    assert "<html" in (out / "report.html").read_text("utf-8")


def test_samples_are_the_same_for_the_same_seed_in_every_process(
    place: Path, mined: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded(mined)
    told = minegan_zoo(place, "sample", "mined/model", "-n", 3, "--separate", "--seed", 1, "--out", "one")
    assert "wrote one" in succeeded(told)
    monkeypatch.chdir(place)
    for name, seed in (("two", 1), ("other", 2)):
        write_samples(sample_images("mined", 3, seed, "cpu"), Path(name), separate=True)
    one, two, other = ([path.read_bytes() for path in sorted(Path(name).iterdir())] for name in ("one", "two", "other"))
    assert len(one) == 3 and len(set(one)) == 3
    assert one == two
    assert not set(one) & set(other)
    assert Image.open("one/00000.png").size == (16, 16)


def test_another_setting_in_the_folder_of_a_run_is_refused(
    place: Path, mined: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded(mined)
    monkeypatch.chdir(place)
    before = {path: path.stat().st_mtime_ns for path in Path("mined").rglob("*")}
    other = dataclasses.replace(RunConfig.read(Path("mined/config.toml")), steps=5, seed=1)
    told = r"mined holds a run with other settings \(steps: \d+ there, 5 here; seed: 0 there, 1 here\)"
    with pytest.raises(MineganError, match=told):
        run(other, Path("mined"))
    assert {path: path.stat().st_mtime_ns for path in Path("mined").rglob("*")} == before


def test_what_was_mined_and_what_was_pretrained_are_sources_of_the_next_run(place: Path, mined: Finished) -> None:
    succeeded(mined)
    small = ["--set", "resolution=8", "--set", "z_dim=8", "--set", "channel_max=8"]
    training = ["--steps", 2, "--batch", 4, "--device", "cpu", "--set", "fid_samples=0"]
    told = succeeded(minegan_zoo(place, "pretrain", "progan", "--images", "images", "--out", "own", *small, *training))
    assert "progan=own/model" in told
    sources = ["progan=own/model", "mined/model"]
    told = succeeded(
        minegan_zoo(
            place,
            "mine",
            *sources,
            "--target",
            "images",
            "--out",
            "second",
            "--steps",
            4,
            *QUICK,
            "--set",
            "keep_above=0",
        )
    )
    assert "progan makes 8x8 RGB images" in told or "mined (stylegan2.tiny) makes 16x16 RGB images" in told
    facts = json.loads((place / "second" / "model" / "model.json").read_text("utf-8"))
    assert [(source["name"], source["mined"]) for source in facts["sources"]] == [
        ("progan", False), ("mined/model", True)
    ]  # fmt: skip
    assert sum(facts["probabilities"]) == pytest.approx(1, abs=1e-5)
    names = Results.read(place / "second").sources
    assert names == ["progan", "mined (stylegan2.tiny)"]  # also what was mined before it


def test_a_mined_folder_is_loaded_by_its_run_and_takes_one_option(place: Path, mined: Finished) -> None:
    succeeded(mined)
    source = mz.load_source(str(place / "mined"))
    assert (source.image.resolution, source.latents["z"].shape) == (16, (32,))
    model = str(place / "mined" / "model")
    for options, words in (
        ({"truncation": 0.5}, "no option 'truncation'. Its options: source: int | none = None"),
        ({"source": "first"}, "must be int | none, not 'first'"),
        ({"source": 1}, "has the sources 0 to 0, not 1"),
    ):
        with pytest.raises(MineganError) as error:
            mz.load_source(model, **options)
        assert words in str(error.value)
    with pytest.raises(MineganError, match=r"'stylegan2\.tiny' has no option 'source'"):
        mz.load_source("stylegan2.tiny", source=0)


# Stop and resume


def start_and_signal(place: Path, number: int, *arguments: Any) -> tuple[int, str]:
    """Start a run, send it a signal once it shows pictures, and give its exit code and what it told."""
    command = [PROGRAM, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=place, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    metrics = place / arguments[arguments.index("--out") + 1] / "metrics.jsonl"
    while not (metrics.exists() and '"event": "samples"' in metrics.read_text("utf-8")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    _, told = process.communicate(timeout=300)
    return process.returncode, told


def test_ctrl_c_saves_the_state_and_the_same_command_finishes(place: Path) -> None:
    command = ["mine", "stylegan2.tiny", "--target", "images", "--out", "stopped", "--steps", 40, *QUICK]
    code, told = start_and_signal(place, signal.SIGINT, *command)
    assert code == 130
    assert "Traceback" not in told and "the same command goes on from the last saved state" in told
    (state,) = (place / "stopped" / "state").iterdir()
    reached = int(state.name)
    assert 1 <= reached < 40
    assert not (place / "stopped" / "model").exists()
    told = succeeded(minegan_zoo(place, *command))
    assert f"resuming at step {reached}" in told
    assert CORRUPT not in told
    steps = [event["step"] for event in read_events(place / "stopped") if event["event"] == "step"]
    assert steps == list(range(1, 41))
    assert (place / "stopped" / "model" / "model.json").exists()


def test_sigterm_saves_the_state_too(place: Path) -> None:
    command = ["mine", "progan.tiny", "--target", "images", "--out", "ended", "--steps", 40, *QUICK]
    code, told = start_and_signal(place, signal.SIGTERM, *command)
    assert code == 143
    assert "Traceback" not in told
    assert len(list((place / "ended" / "state").iterdir())) == 1


def test_a_full_disk_is_one_line_and_loses_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on the size of files stands in for the disk: what writes the state meets an OSError all the same."""
    room = (200_000, resource.RLIM_INFINITY)
    command = ["mine", "progan.tiny", "--target", "images", "--out", "full", "--steps", 2, *QUICK]
    limited = minegan_zoo(place, *command, prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, room))
    assert limited.returncode == 1
    assert "Traceback" not in limited.stderr
    assert limited.stderr.splitlines()[-1].startswith("error: cannot write full/state/00000001: ")
    assert not [path for path in (place / "full").rglob("*") if path.name.startswith(".")]
    monkeypatch.chdir(place)
    run(RunConfig.read(Path("full/config.toml")), Path("full"))
    assert Path("full/model/model.json").exists()


def test_a_disk_that_is_full_from_the_start_leaves_no_half_configuration(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(path: Path, text: str, encoding: str) -> int:
        path.write_bytes(text.encode(encoding)[: len(text) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    again = functools.partial(mz.mine, "progan.tiny", place / "images", out=place / "none", steps=2, batch=4)
    monkeypatch.setattr(Path, "write_text", write_half)
    with pytest.raises(MineganError, match="none: No space left on device"):
        again()
    assert not (place / "none" / "config.toml").exists()
    monkeypatch.undo()
    again(options={"fid_samples": 0})
    assert (place / "none" / "model" / "model.json").exists()
