"""Nothing is lost: whatever ends a run, and whenever, the same command goes on and ends where an undisturbed run does.

This file is also the script that lives and dies: `test_states.py FOLDER CASE...`. It imports everything once and forks
a process for every life of a run, which then is killed from outside, or at a chosen moment by its own hand.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Generator

from minegan_zoo import atomic, cli
from minegan_zoo.checkpoint import load_state
from minegan_zoo.recorder import read_events

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
TRAINING = """
target = "images.safetensors"
labels = false
batch = 4
resolution = 16
device = "cpu"
[training]
fid_samples = 0
log_every = 1
state_every = 2
samples_every = 3
watch_every = 3
hold_out = 0.3
[miner]
name = "mlp"
options = { width = 16 }
"""
LOSERS_GO = "options = { warmup = 1, patience = 2, drop_below = 0.9, rate = 1.0 }"
CASES = {
    # three sources of which losers are dropped, held-out images, a rule that ends a stage, what a regulariser held
    "rules": f"""
sources = ["progan.tiny", "biggan.tiny", "stylegan2.tiny"]
steps = 14
{TRAINING}
[selector]
name = "mixture"
{LOSERS_GO}
[strategy]
name = "stages"
[[strategy.options.stages]]
name = "mine"
share = 0.7
until = {{ every = 1, patience = 2 }}
train = {{ miners = 5e-3, critic = 2e-3 }}
[[strategy.options.stages]]
name = "tune"
share = 0.3
select = false
train = {{ sources = 5e-4, miners = 5e-4, critic = 2e-3 }}
regularisers = [{{ name = "l2sp", weight = 10.0 }}]
""",
    # a source that is dropped when mining ends, masks of the neurons that are held, augmentations drawn from the global
    # random numbers, a critic with R1
    "masks": f"""
sources = ["biggan.tiny", "progan.tiny"]
steps = 8
{TRAINING}
[selector]
name = "partition"
options = {{ draws = 16, keep_above = 0.99 }}
[critic]
name = "conv"
[objective]
name = "logistic"
options = {{ penalty_every = 3 }}
[augmentation]
name = "ada"
options = {{ start = 0.5 }}
[strategy]
name = "minegan++"
options = {{ probes = 4, mine_share = 0.5, plateau = true }}
""",
    # a regulariser with weights of its own, and no critic
    "weights": f"""
sources = ["biggan.tiny"]
steps = 8
{TRAINING.replace("resolution = 16", "")}
[strategy]
name = "bsa"
options = {{ perceptual = "none" }}
""",
    # a miner that is put back when mining ends, and stays
    "undone": f"""
sources = ["progan.tiny"]
steps = 8
{TRAINING.replace("resolution = 16", "")}
[strategy]
name = "minegan"
options = {{ mine_share = 0.5, miner_lr = 1e-5 }}
""",
}


# The script


def arguments(place: Path, case: str, out: str) -> list[str]:
    return ["minegan-zoo", "mine", "--config", str(place / f"{case}.toml"), "--out", str(place / out / case)]


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_writing() -> None:
    """When the first of a state's files is on the disk."""
    atomic._flush = die


def die_swapping() -> None:
    """When a whole state has not taken its place."""
    atomic._swap_in = die


def die_removing() -> None:
    """When the older state is not yet removed."""
    remove = shutil.rmtree
    shutil.rmtree = lambda path, **options: die() if path.name.isdigit() else remove(path, **options)  # type: ignore


SUICIDES: dict[str, Callable[[], None]] = {"writing": die_writing, "swapping": die_swapping, "removing": die_removing}


def begin(place: Path, case: str, prepare: Callable[[], None]) -> int:
    """Fork a life of the killed run: its process."""
    process = os.fork()
    if process:
        return process
    code: Any = 1
    try:
        prepare()
        sys.argv = arguments(place, case, "killed")
        cli.main()
    except SystemExit as leaving:
        code = leaving.code or 0
    finally:
        os._exit(code)


def state_of(out: Path) -> int:
    return max((int(path.name) for path in (out / "state").glob("[0-9]*")), default=0)


def steps_told(out: Path) -> tuple[int, int]:
    """The file of events, which every life begins anew, and how many steps it tells."""
    with suppress(FileNotFoundError), (out / "metrics.jsonl").open() as file:
        return os.fstat(file.fileno()).st_ino, file.read().count('"event": "step"')
    return 0, 0


def lives_of(place: Path, case: str) -> list[tuple[str, int, int]]:
    """Kill a run again and again, then let it end: what was done to each life, its exit code, the state it left."""
    out, rng, told = place / "killed" / case, random.Random(case), []

    def send(number: int, process: int, steps: int, seconds: float) -> int:
        """A signal after so many steps of this life and some time; its exit code."""
        before, _ = steps_told(out)
        first = None
        while os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            file, count = steps_told(out)
            if file != before and first is None:
                first = count
            if first is not None and count >= first + steps:
                break
            time.sleep(0.005)
        time.sleep(seconds)
        os.kill(process, number)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    for death in ("random", "preempted", "writing", "removing", "random", "swapping", "random", "random", "none"):
        process = begin(place, case, SUICIDES.get(death, lambda: None))
        if death == "random":
            code = send(signal.SIGKILL, process, rng.randrange(3), rng.uniform(0, 0.1))
        elif death == "preempted":
            code = send(signal.SIGTERM, process, 1, 0)
        else:
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        told.append((death, code, state_of(out)))
    return told


def script(place: Path, *cases: str) -> None:
    """Run every case undisturbed and killed; print what became of the lives as JSON."""
    lives = {}
    for case in cases:
        sys.argv = arguments(place, case, "undisturbed")
        try:
            cli.main()
        except SystemExit as leaving:
            assert not leaving.code, case
        lives[case] = lives_of(place, case)
    print(json.dumps(lives))


# Kills


def write_images(place: Path) -> None:
    images = torch.randint(0, 256, (20, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)
    save_file({"images": images, "labels": torch.zeros(20, dtype=torch.int64)}, place / "images.safetensors")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every case ran undisturbed/CASE and killed/CASE, and lives.json."""
    folder = tmp_path_factory.mktemp("place")
    write_images(folder)
    for case, text in CASES.items():
        (folder / f"{case}.toml").write_text(text)
    command = [sys.executable, __file__, str(folder), *CASES]
    finished = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=400
    )
    assert finished.returncode == 0, finished.stderr
    (folder / "lives.json").write_text(finished.stdout)
    (folder / "told.txt").write_text(finished.stderr)
    return folder


def files_of(out: Path) -> dict[str, bytes]:
    """What a run left that must not depend on when it was killed."""
    found = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if path.suffix in (".safetensors", ".png", ".toml") or path.name in ("model.json", "README.md"):
            found[name] = path.read_bytes()
    return found


def story_of(out: Path) -> list[dict[str, Any]]:
    """Its events, without what they tell of time."""
    clock = ("seconds", "images_per_second")
    return [{name: value for name, value in event.items() if name not in clock} for event in read_events(out)]


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_is_killed_again_and_again_leaves_what_an_undisturbed_one_leaves(case: str, place: Path) -> None:
    lives = json.loads((place / "lives.json").read_text())[case]
    assert [code for death, code, _ in lives if death in SUICIDES] == [-signal.SIGKILL] * len(SUICIDES)
    assert [code for death, code, _ in lives if death == "preempted"] == [143]
    assert lives[-1][:2] == ["none", 0]
    states = [state for *_, state in lives]
    assert states == sorted(states), f"a state was lost: {lives}"
    undisturbed, killed = (files_of(place / kind / case) for kind in ("undisturbed", "killed"))
    assert undisturbed.keys() == killed.keys()
    assert [name for name in undisturbed if undisturbed[name] != killed[name]] == []
    assert story_of(place / "undisturbed" / case) == story_of(place / "killed" / case)
    hidden = [path for path in (place / "killed" / case).rglob("*") if path.name.startswith(".")]
    assert not hidden


def test_the_cases_hold_what_must_survive(place: Path) -> None:
    """A source that was dropped, a rule that ended a stage, masks, a regulariser's weights, mining undone, a watch."""
    events = {case: read_events(place / "killed" / case) for case in CASES}
    assert all(any(event["event"] == "dropped" for event in events[case]) for case in ("rules", "masks"))
    assert ("mine", "plateau") in [(e["stage"], e["reason"]) for e in events["rules"] if e["event"] == "stage_end"]
    (start,) = [event for event in events["rules"] if event["event"] == "start"]
    assert start["held_out"] == 6
    state = {case: load_state(place / "killed" / case / "state") for case in CASES}
    assert all(state.values())
    free = state["masks"]["strategy"]["free"]  # type: ignore[index]
    assert {bool(each) for layers in free.values() for mask in layers.values() for each in mask} == {True, False}
    assert state["weights"]["regularisers"], "codes that are learned"  # type: ignore[index]
    assert [event["step"] for event in events["undone"] if event["event"] == "undone"] == [4]
    assert all(any(event["event"] == "watch" for event in told) for told in events.values())


if __name__ == "__main__":
    script(Path(sys.argv[1]), *sys.argv[2:])
